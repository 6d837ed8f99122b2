import { expect, test } from "bun:test";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";
import { scenarioCommand } from "./real-images.test-support.ts";

test.each(engineWays)(
  "$name: a pod of an image that holds next to nothing runs with a read-only root [X5]",
  async (way) => {
    await using folder = new EngineFolder(way);
    const pod = (workingDir: string) => ({ lines: ["/cache", "1", workingDir], message: "bye\n" });
    expect(await folder.result(scenarioCommand(folder.stateDir))).toEqual({
      plain: pod("/"),
      places: pod("/made/work"),
      errors: [],
    });
  },
  60_000,
);

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";

const program = [process.execPath, join(import.meta.dir, "connect.test-support.ts")];

describe.each(engineWays)("connecting into pods $name", (way) => {
  test("connections come from the node or the pod, end their sides separately, slow down floods and leave nothing", async () => {
    await using folder = new EngineFolder(way);
    const { microseconds, ...found } = await folder.result([...program, folder.stateDir]);
    expect(found).toEqual({
      halfClose: "you said hello",
      refused: "ECONNREFUSED",
      unreachable: "ENETUNREACH",
      ownLoopback: "loopback",
      loopbackFromNode: "ECONNREFUSED",
      podToItself: "0",
      aborted: "Error: given up",
      abortedBefore: "Error: no",
      backPressure: { isHeldBack: true, bytes: true },
      networksOfThreads: 2,
      leakedFiles: 0,
      destroyed: { ended: true, later: "ENETDOWN" },
      networksAfterClose: 1,
    });
    expect(microseconds).toBeLessThan(3000);
  }, 20_000);
});

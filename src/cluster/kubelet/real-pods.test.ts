import { describe, expect, test } from "bun:test";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";
import { scenarioCommand } from "./real-pods.test-support.ts";

describe.each(engineWays)("real pods $name", (way) => {
  async function resultOf(scenario: Parameters<typeof scenarioCommand>[0]) {
    await using folder = new EngineFolder(way);
    return await folder.result(scenarioCommand(scenario, folder.stateDir));
  }

  test("share volumes, read their configuration, end, are replaced and go", async () => {
    const found = await resultOf("oneOfEach");
    expect(found).toEqual({
      sidecar: {
        runningAfterMs: expect.any(Number),
        goneAfterMs: expect.any(Number),
        first: "line 0",
        last: "sidecar",
      },
      files: {
        text: [
          "from map",
          "..data/key",
          "read-only",
          "from map",
          "hunter2",
          "400",
          "tmpfs",
          "tmpfs",
          'app="files"',
          "of this machine",
          "777",
          "777",
          "files POD-IP o hunter2 files 0 /t/work",
          "1",
          "files",
          "",
        ],
        onNode: "made\n",
        state: "message\n",
      },
      ends: { phase: "Failed", words: ["bad Error 3 first\nlast", "fine Completed 0"] },
      deletion: { seconds: 2 },
      replaced: { restartCount: 1, hasIp: true, had: true },
      badStart: { reason: "StartError", exitCode: 128 },
      tier: expect.any(String),
      left: [],
      errors: [],
    });
    expect((found["sidecar"] as { goneAfterMs: number }).goneAfterMs).toBeLessThan(1000);
  }, 30_000);

  test("that crash do not hurt: back-off in time, an idle engine, a quick end", async () => {
    const found = await resultOf("crashLoops");
    expect(found).toEqual({
      backingOffAfterMs: expect.any(Number),
      goneAfterMs: expect.any(Number),
      idleMs: expect.any(Number),
      counts: [1],
      errors: [],
    });
    expect(found["idleMs"]).toBeLessThan(250);
  }, 30_000);
});

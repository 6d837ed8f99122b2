import { describe, expect, test } from "bun:test";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";
import { scenarioCommand } from "./real-lifecycle.test-support.ts";

describe.each(engineWays)("real pods $name", (way) => {
  test("complete beside sidecars, run their hooks, stop in order and in time [I2, I9, T4, T5, T6, T7, T14, T15, EC3, R15, S6]", async () => {
    await using folder = new EngineFolder(way);
    expect(await folder.result(scenarioCommand(folder.stateDir))).toEqual({
      completes: {
        phase: "Succeeded",
        ends: ["before Completed 0", "side Error 1", "between Completed 0", "main Completed 0"],
        told: ["side"],
      },
      order: ["main", "s2", "s1"],
      deafSidecar: { phase: "Succeeded", ends: ["side Error 137"], tookTwoSeconds: true },
      preStop: { quick: ["hook", "quick"], endless: ["endless"], tookASecond: true },
      postStart: {
        phase: "Failed",
        ends: ["first Completed 0", "quits Error 3", "second Completed 0"],
        told: true,
      },
      expiry: { phase: "Failed", ends: ["deaf Error 137"] },
      daemons: "Succeeded",
      ephemeral: { phase: "Running", ends: ["debug Completed 0"], text: "sh -c : marker;\n" },
      restart: ["run", "run"],
      errors: [],
      left: [],
    });
  }, 60_000);
});

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";

const program = [process.execPath, join(import.meta.dir, "pod-processes.test-support.ts")];

describe.each(engineWays)("processes of pods $name", (way) => {
  test("containers share network, IPC, host name, and processes only when asked to; SIGKILL ends all of one container [N1, T11]", async () => {
    await using folder = new EngineFolder(way);
    const notFound = 'unable to start container process: exec: "nope": executable file not found in $PATH';
    expect(await folder.result([...program, folder.stateDir])).toEqual({
      ordinary: {
        shared: ["net", "ipc", "uts"],
        first: ["sleep 1000", "sleep 1000"],
        seen: "hello\ntmpfs 16384 4096\n1777\nordinary",
        apart: "0\nother",
      },
      shared: {
        "process 1": "sleep\nother",
        "sleeps seen": [3, 3],
        "own root": true,
        orphans: "reaped",
        "not found": notFound,
        "error in an exec": `OCI runtime exec failed: exec failed: ${notFound}: unknown`,
        "leaves daemons": 3,
        killed: [137, 137, 0],
        "others stay": [3],
        "SIGTERM to a program without a handler": 143,
        "holder killed": [137, 137],
      },
      visitors: {
        "process 1": "sleep 1000",
        same: true,
        "root of the target": "/proc/1/root/etc",
        "target alone": "alone",
        "end with the target": [137, 137],
        "no target": expect.stringContaining("is not running"),
      },
      isClean: true,
    });
  }, 20_000);
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaceCommand } from "./enter-namespaces.ts";
import { readMachineFacts } from "./probe-facts.ts";

/** `nobody`, an ordinary user of every machine. */
const USER = 65_534;
const AS_USER = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--"];
const isRoot = process.geteuid?.() === 0;
const program = [process.execPath, join(import.meta.dir, "pod-processes.test-support.ts")];

const ways = [{ name: "as this user", prefix: namespaceCommand([]), owner: undefined as number | undefined }];
if (isRoot && Bun.spawnSync([...AS_USER, "test", "-r", import.meta.path]).exitCode === 0) {
  const facts = { ...readMachineFacts(), uid: USER, capabilities: 0n, newuidmap: false };
  const enter = namespaceCommand([], facts, () => ({ exitCode: 0, output: "" }));
  ways.push({ name: "as an ordinary user", prefix: [...AS_USER, ...enter], owner: USER });
}

describe.each(ways)("processes of pods $name", ({ prefix, owner }) => {
  let folder = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pillion-processes-"));
    for (const name of ["state", "bun"]) mkdirSync(join(folder, name));
    if (owner !== undefined)
      for (const name of ["", "state", "bun"]) chownSync(join(folder, name), owner, owner);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("containers share network, IPC, host name, and processes only when asked to; SIGKILL ends all of one container [N1, T11]", async () => {
    const engine = Bun.spawn([...prefix, ...program, join(folder, "state")], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PATH: process.env["PATH"] ?? "", BUN_TMPDIR: join(folder, "bun"), TMPDIR: folder },
    });
    const [text] = await Promise.all([engine.stdout.text(), engine.exited]);
    const notFound = 'unable to start container process: exec: "nope": executable file not found in $PATH';
    expect(JSON.parse(text)).toEqual({
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

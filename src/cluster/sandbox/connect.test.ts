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
const program = [process.execPath, join(import.meta.dir, "connect.test-support.ts")];

const ways = [{ name: "as this user", prefix: namespaceCommand([]), owner: undefined as number | undefined }];
if (isRoot && Bun.spawnSync([...AS_USER, "test", "-r", import.meta.path]).exitCode === 0) {
  const facts = { ...readMachineFacts(), uid: USER, capabilities: 0n, newuidmap: false };
  const enter = namespaceCommand([], facts, () => ({ exitCode: 0, output: "" }));
  ways.push({ name: "as an ordinary user", prefix: [...AS_USER, ...enter], owner: USER });
}

describe.each(ways)("connecting into pods $name", ({ prefix, owner }) => {
  let folder = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pillion-connect-"));
    for (const name of ["state", "bun"]) mkdirSync(join(folder, name));
    if (owner !== undefined)
      for (const name of ["", "state", "bun"]) chownSync(join(folder, name), owner, owner);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("connections come from the node or the pod, end their sides separately, slow down floods and leave nothing", async () => {
    const engine = Bun.spawn([...prefix, ...program, join(folder, "state")], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PATH: process.env["PATH"] ?? "", BUN_TMPDIR: join(folder, "bun"), TMPDIR: folder },
    });
    const [text] = await Promise.all([engine.stdout.text(), engine.exited]);
    const { microseconds, ...found } = JSON.parse(text) as Record<string, unknown>;
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

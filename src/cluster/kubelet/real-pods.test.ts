import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaceCommand } from "../sandbox/enter-namespaces.ts";
import { readMachineFacts } from "../sandbox/probe-facts.ts";
import { scenarioCommand } from "./real-pods.test-support.ts";

/** `nobody`, an ordinary user of every machine. */
const USER = 65_534;
const AS_USER = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--"];
const isRoot = process.geteuid?.() === 0;

interface Way {
  readonly name: string;
  readonly prefix: readonly string[];
  readonly owner: number | undefined;
}

const ways: Way[] = [{ name: "as this user", prefix: namespaceCommand([]), owner: undefined }];
/** A checkout in a folder such as /root is closed to other users. */
const isOpenToUser = isRoot && Bun.spawnSync([...AS_USER, "test", "-r", import.meta.path]).exitCode === 0;
if (isRoot && !isOpenToUser)
  test.skip("real pods as an ordinary user: this checkout is closed to other users", () => {});
if (isOpenToUser) {
  const facts = { ...readMachineFacts(), uid: USER, capabilities: 0n, newuidmap: false };
  const enter = namespaceCommand([], facts, () => ({ exitCode: 0, output: "" }));
  ways.push({ name: "as an ordinary user", prefix: [...AS_USER, ...enter], owner: USER });
}

describe.each(ways)("real pods $name", ({ prefix, owner }) => {
  let folder = "";
  let stateDir = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pillion-kubelet-"));
    stateDir = join(folder, "state");
    for (const path of [stateDir, join(folder, "tmp")]) mkdirSync(path);
    if (owner !== undefined)
      for (const path of [folder, stateDir, join(folder, "tmp")]) chownSync(path, owner, owner);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function resultOf(scenario: Parameters<typeof scenarioCommand>[0]) {
    const child = Bun.spawn([...prefix, ...scenarioCommand(scenario, stateDir)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PATH: process.env["PATH"] ?? "", TMPDIR: join(folder, "tmp") },
    });
    return JSON.parse(await child.stdout.text()) as Record<string, unknown>;
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

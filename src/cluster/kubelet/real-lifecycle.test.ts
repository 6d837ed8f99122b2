import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaceCommand } from "../sandbox/enter-namespaces.ts";
import { readMachineFacts } from "../sandbox/probe-facts.ts";
import { scenarioCommand } from "./real-lifecycle.test-support.ts";

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
if (isRoot && Bun.spawnSync([...AS_USER, "test", "-r", import.meta.path]).exitCode === 0) {
  const facts = { ...readMachineFacts(), uid: USER, capabilities: 0n, newuidmap: false };
  const enter = namespaceCommand([], facts, () => ({ exitCode: 0, output: "" }));
  ways.push({ name: "as an ordinary user", prefix: [...AS_USER, ...enter], owner: USER });
}

describe.each(ways)("real pods $name", ({ prefix, owner }) => {
  let folder = "";
  let stateDir = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pillion-life-"));
    stateDir = join(folder, "state");
    for (const path of [stateDir, join(folder, "tmp")]) mkdirSync(path);
    if (owner !== undefined)
      for (const path of [folder, stateDir, join(folder, "tmp")]) chownSync(path, owner, owner);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("complete beside sidecars, run their hooks, stop in order and in time [I2, I9, T4, T5, T6, T7, T14, T15, EC3, R15, S6]", async () => {
    const child = Bun.spawn([...prefix, ...scenarioCommand(stateDir)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PATH: process.env["PATH"] ?? "", TMPDIR: join(folder, "tmp") },
    });
    expect(JSON.parse(await child.stdout.text())).toEqual({
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

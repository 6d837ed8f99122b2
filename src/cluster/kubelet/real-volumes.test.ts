import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaceCommand } from "../sandbox/enter-namespaces.ts";
import { readMachineFacts } from "../sandbox/probe-facts.ts";
import { scenarioCommand } from "./real-volumes.test-support.ts";

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
  test.skip("volumes of real pods as an ordinary user: this checkout is closed to other users", () => {});
if (isOpenToUser) {
  const facts = { ...readMachineFacts(), uid: USER, capabilities: 0n, newuidmap: false };
  const enter = namespaceCommand([], facts, () => ({ exitCode: 0, output: "" }));
  ways.push({ name: "as an ordinary user", prefix: [...AS_USER, ...enter], owner: USER });
}

describe.each(ways)("volumes of real pods $name", ({ prefix, owner }) => {
  let folder = "";
  let stateDir = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pillion-volumes-"));
    stateDir = join(folder, "state");
    for (const path of [stateDir, join(folder, "tmp")]) mkdirSync(path);
    if (owner !== undefined)
      for (const path of [folder, stateDir, join(folder, "tmp")]) chownSync(path, owner, owner);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("are what the specification says, seen from inside [E14, N2, N3, N5, N8, N10, V3, V7, V8, V10, V12, V15, V18, V19, V22, V23]", async () => {
    const child = Bun.spawn([...prefix, ...scenarioCommand(stateDir)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PATH: process.env["PATH"] ?? "", TMPDIR: join(folder, "tmp") },
    });
    const found = JSON.parse(await child.stdout.text()) as Record<string, unknown>;
    const hasUsers = found["tier"] === "root" || found["tier"] === "rootless-subuid";
    expect(found).toEqual({
      tier: found["tier"],
      update: ["watching", "event rename ..data", "moved true", "new 2 open 1 subPath 1"],
      ownership: hasUsers
        ? {
            lines: [
              "2777 0:4321",
              "2777 0:4321",
              "644 0:4321",
              "440 0:4321",
              "640 1000:4321",
              "4321",
              "hunter2",
              "token-1",
              "1000 4321",
            ],
            warnings: [],
          }
        : {
            lines: expect.any(Array),
            warnings: [
              expect.stringContaining(
                "securityContext.fsGroup 4321 is not applied to volumes: this cluster has only one group id",
              ),
            ],
          },
      limits: [
        "full",
        "1048576",
        "256 * 4096",
        "1",
        "key",
        "nested",
        expect.stringContaining("No such file"),
        "nothing",
        "read-only",
        "x",
      ],
      attack: [
        'failed to prepare subPath for volumeMount "v" of container "app"',
        'failed to prepare subPath for volumeMount "v" of container "other"',
      ],
      namespaces: [
        "77",
        "box",
        "1",
        "192.0.2.9\talias.example\tother.example",
        "search one.example",
        "nameserver 192.0.2.53",
        "options ndots:2",
        "/made/by/the/runtime",
        "box",
      ],
      hostPort: { answer: "from the pod", after: "ECONNREFUSED" },
      hostNetwork: {
        isNode: true,
        hosts: "# Kubernetes-managed hosts file (host network).",
        hasBridge: true,
      },
      errors: [],
    });
  }, 40_000);
});

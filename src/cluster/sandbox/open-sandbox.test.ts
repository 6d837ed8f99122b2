import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startTimeOf } from "../../lib/process-identity.ts";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";
import { snapshotHost } from "../../testing/host-snapshot.ts";
import { cgroupName } from "./cgroups/cgroup-records.ts";
import { cgroupMounts } from "./cgroups/cgroup-mounts.ts";
import { reapLeftovers } from "./leftovers.ts";
import { scenarioCommand } from "./open-sandbox.test-support.ts";

const UNSHARED = ["unshare", "--mount", "--propagation", "shared"];

/** Folders of control groups that belong to the cluster. */
function cgroupsOf(stateDir: string): string[] {
  const name = cgroupName(stateDir);
  const folders = cgroupMounts(readFileSync("/proc/self/mountinfo", "utf8")).map(({ folder }) => folder);
  return folders.map((folder) => join(folder, name)).filter((folder) => existsSync(folder));
}

describe.each(engineWays)("a sandbox $name", (way) => {
  let engine: EngineFolder;
  let folder = "";
  let stateDir = "";

  beforeEach(() => {
    engine = new EngineFolder(way);
    ({ path: folder, stateDir } = engine);
  });
  afterEach(() => engine[Symbol.asyncDispose]());

  function start(
    scenario: Parameters<typeof scenarioCommand>[0],
  ): Bun.Subprocess<"ignore", "pipe", "inherit"> {
    return engine.start(scenarioCommand(scenario, stateDir));
  }

  async function resultOf(scenario: Parameters<typeof scenarioCommand>[0]): Promise<unknown> {
    return await engine.result(scenarioCommand(scenario, stateDir));
  }

  test("pods share no port, reach each other and the node, and nothing reaches this machine's loopback", async () => {
    const before = snapshotHost(folder);
    expect(await resultOf("network")).toEqual({
      tier: expect.stringContaining(way.tier),
      addresses: { node: "10.244.0.1", one: "10.244.0.2", two: "10.244.0.3", onNode: "10.244.0.1" },
      answers: {
        "pod to pod": "two",
        "and back": "one",
        "container to container by localhost": "one",
        "node to pod": "one",
        "pod to node": "node",
        "pod to the node by a Service's address": "node",
        "pod to this machine's loopback": "refused",
        "node to this machine's loopback": "refused",
        "pod to the outside": "refused",
        "node to the outside": "refused",
      },
      routes: ["eth0 0.0.0.0 via 10.244.0.1", "eth0 10.244.0.1 via 0.0.0.0"],
      nodeLinks: ["br0", "lo", "veth0af40002", "veth0af40003"],
      hostnames: ["one", "on-node"],
    });
    expect(snapshotHost(folder)).toEqual(before);
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });

  test("whatever ends a pod or its start, nothing of it stays", async () => {
    const gone = (pod: string, what: string) =>
      `failed to create container "late": the sandbox of pod "test/${pod}" ${what}`;
    expect(await resultOf("lifecycle")).toEqual({
      ips: ["2", "3", "4", "5", "6", "2", "3", "4", "5", "6", "2", "3"],
      longName: "sethostname(): invalid argument (EINVAL)",
      recordsAfterFailure: ["the node"],
      noAddress: "Cannot give the pod an address: all 5 of 10.244.0.0/29 are in use",
      mounts: [
        expect.stringMatching(/^\/memory rw,nosuid,nodev,relatime rw,size=980k,mode=750(,noswap)?$/),
        expect.stringMatching(/^\/memory\/inner rw,nosuid,nodev,relatime rw,mode=700(,noswap)?$/),
      ],
      records: ["container sleeper of pod uid-p0"],
      startWhileDestroyed: gone("p0", "is being removed"),
      sleeper: 9,
      mountsAfter: [],
      volumeAfter: [],
      startAfterEnd: gone("p1", "has ended"),
      holderGone: true,
      survivor: 9,
      race: "ended by signal 9",
      createAfterClose: "Cannot start the pod: the cluster is stopping",
      recordsAfterClose: [],
    });
    expect(snapshotHost(folder).processes).toEqual([]);
  });

  test("a hundred pods have a hundred addresses and go without a trace", async () => {
    expect(await resultOf("manyPods")).toMatchObject({ pods: 100, records: [] });
    expect(cgroupsOf(stateDir)).toEqual([]);
    expect(snapshotHost(folder).processes).toEqual([]);
  });

  test("after kill -9 of the engine, reapLeftovers() ends what outlived it and this machine is as before", async () => {
    const before = snapshotHost(folder);
    const engine = start("idle");
    const { value } = await engine.stdout.getReader().read();
    const { stubborn } = JSON.parse(new TextDecoder().decode(value)) as { stubborn: number };
    const startTime = startTimeOf(stubborn);
    engine.kill("SIGKILL");
    await engine.exited;
    expect(startTimeOf(stubborn)).toBe(startTime ?? "running");
    if (way.tier === "root") expect(cgroupsOf(stateDir)).not.toEqual([]);
    const { killed } = await reapLeftovers(stateDir);
    expect(killed).toBeGreaterThanOrEqual(1);
    expect(cgroupsOf(stateDir)).toEqual([]);
    expect(snapshotHost(folder)).toEqual(before);
    expect(readdirSync(stateDir).toSorted()).toEqual(["memory", "ordinary.log", "stubborn.log"]);
    expect(readdirSync(join(stateDir, "memory"))).toEqual([]);
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });
});

test("pods reach each other directly where /proc/sys is read-only and the node cannot be a router", async () => {
  const [way] = engineWays;
  if (way === undefined) throw new Error("no way to run an engine");
  await using engine = new EngineFolder(way);
  const script = `mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$0" "$@"`;
  const argv = ["sh", "-c", script, ...scenarioCommand("network", engine.stateDir)];
  expect(await engine.result(argv)).toMatchObject({
    answers: { "and back": "one", "node to pod": "one", "pod to node": "node" },
    routes: ["eth0 0.0.0.0 via 10.244.0.1", "eth0 10.244.0.0 via 0.0.0.0"],
  });
});

test.skipIf(process.geteuid?.() !== 0)(
  "openSandbox() refuses to mount where other namespaces see it, and writes nothing",
  async () => {
    await using engine = new EngineFolder({ name: "", tier: "root", prefix: UNSHARED });
    const run = Bun.spawn([...UNSHARED, ...scenarioCommand("idle", engine.stateDir)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(await run.stderr.text()).toContain("was called outside of namespaceCommand()");
    expect(readdirSync(engine.stateDir)).toEqual([]);
  },
);

import { describe, expect, test } from "bun:test";
import type { CgroupChoice } from "./choose-cgroups.ts";
import { SUPERVISOR } from "./choose-cgroups.ts";
import { ModelCgroups, V1_FILES } from "./model-cgroups.test-support.ts";
import { type Cgroups, openCgroupTree } from "./open-cgroups.ts";
import { cpuWeight } from "./v2-driver.ts";

const ENGINE = 77;
const ROOT = "/cg";
const NAME = "pillion-demo-0123abcd";

function open(files: ModelCgroups, choice: CgroupChoice, killed: number[] = []): Cgroups {
  return openCgroupTree({
    files,
    choice,
    name: NAME,
    cpus: 4,
    maxPids: 32_768,
    killProcess(pid) {
      killed.push(pid);
      for (const { processes } of files.groups.values()) processes.delete(pid);
    },
    onFolders: () => {},
  });
}

interface Setup {
  readonly files: ModelCgroups;
  readonly choice: CgroupChoice;
  /** Folder of a group below the cluster's own, for a controller. */
  readonly at: (path: string, controller: string) => string;
}

const V1 = ["memory", "cpu", "cpuacct", "pids", "freezer"] as const;

function v1(): Setup {
  const files = new ModelCgroups();
  for (const name of V1) files.add(`${ROOT}/${name}`, V1_FILES[name] ?? {}, [ENGINE]);
  const hierarchies = Object.fromEntries(V1.map((name) => [name, `${ROOT}/${name}`]));
  return {
    files,
    choice: { kind: "cgroup-v1", hierarchies },
    at: (path, controller) => `${ROOT}/${controller}/${NAME}/${path}`,
  };
}

function v2(movesProcesses: boolean): Setup {
  const files = new ModelCgroups({ unified: ROOT, isMachineRoot: !movesProcesses });
  const controllers = ["memory", "cpu", "pids"];
  files.add(ROOT, { "cgroup.controllers": controllers.join(" "), "cgroup.subtree_control": "" }, [1, ENGINE]);
  return {
    files,
    choice: { kind: "cgroup-v2", parent: ROOT, controllers, movesProcesses },
    at: (path) => `${ROOT}/${NAME}/${path}`,
  };
}

const LIMITS = { memory: 1000, cpuQuota: 50_000, cpuShares: 512 };

describe.each([
  ["version 1", v1],
  ["version 2 as root", () => v2(false)],
  ["version 2 in a group of one's own", () => v2(true)],
] as const)("a tree of %s", (_, setup) => {
  test("has a place per class, pod and container, and nothing of it stays [G1]", () => {
    const { files, choice, at } = setup();
    const before = [...files.groups.keys()];
    const cgroups = open(files, choice);
    expect(cgroups).toMatchObject({ kind: choice.kind, limits: [] });
    const pods = (["Guaranteed", "Burstable", "BestEffort"] as const).map((qosClass) =>
      cgroups.pod({ uid: qosClass, qosClass, resources: LIMITS }),
    );
    for (const pod of pods) pod.container("id", LIMITS);
    for (const path of [
      "kubepods/podGuaranteed",
      "kubepods/burstable/podBurstable",
      "kubepods/besteffort/podBestEffort",
    ])
      expect(files.groups.has(at(`${path}/id`, "memory"))).toBe(true);
    for (const pod of pods) {
      pod.remove();
      pod.remove();
    }
    cgroups.close();
    cgroups.close();
    expect([...files.groups.keys()]).toEqual(before);
    // Processes that had to make room are back where they were.
    const engineIn = [...files.groups]
      .filter(([, { processes }]) => processes.has(ENGINE))
      .map(([folder]) => folder);
    expect(engineIn).toEqual(choice.kind === "cgroup-v1" ? V1.map((name) => `${ROOT}/${name}`) : [ROOT]);
  });

  test("a process joins its container's group in every hierarchy", () => {
    const { files, choice, at } = setup();
    const container = open(files, choice).pod({ uid: "u", qosClass: "BestEffort" }).container("id");
    for (const file of container.joins) files.write(file, "500");
    expect(container.joins).toHaveLength(choice.kind === "cgroup-v1" ? 5 : 1);
    expect(files.read(`${at("kubepods/besteffort/podu/id", "pids")}/cgroup.procs`)).toBe("500\n");
  });

  test("a restarted engine finds the groups of containers that run on", () => {
    const { files, choice } = setup();
    const first = open(files, choice).pod({ uid: "u" }).container("id");
    for (const file of first.joins) files.write(file, "500");
    const cgroups = open(files, choice);
    const again = cgroups.pod({ uid: "u" }).container("id");
    expect(again.joins).toEqual(first.joins);
    cgroups.close();
    expect(files.read(again.joins[0] ?? "")).toBe("500\n");
  });

  test("a pod that goes takes along what is left in it; killing one container spares the others", () => {
    const { files, choice } = setup();
    const killed: number[] = [];
    const cgroups = open(files, choice, killed);
    const pod = cgroups.pod({ uid: "u" });
    const [one, two] = [pod.container("one"), pod.container("two")];
    for (const [container, pid] of [
      [one, "501"],
      [two, "502"],
    ] as const)
      for (const file of container.joins) files.write(file, pid);
    one.kill();
    expect([files.read(one.joins[0] ?? ""), files.read(two.joins[0] ?? "")]).toEqual(["", "502\n"]);
    one.remove();
    pod.remove();
    expect([...files.groups.keys()].filter((folder) => folder.includes("podu"))).toEqual([]);
  });
});

describe("what the kernel is told", () => {
  const values = ({ files, choice, at }: Setup, names: readonly (readonly [string, string])[]) => {
    open(files, choice).pod({ uid: "u", qosClass: "Burstable" }).container("id", LIMITS);
    const path = "kubepods/burstable/podu/id";
    return Object.fromEntries(
      names.map(([controller, file]) => [file, files.read(`${at(path, controller)}/${file}`)]),
    );
  };

  test("in version 1 [G2, G3, G4]", () => {
    const setup = v1();
    setup.files.add(`${ROOT}/memory`, { ...V1_FILES["memory"], "memory.memsw.limit_in_bytes": "max" });
    expect(
      values(setup, [
        ["memory", "memory.limit_in_bytes"],
        ["memory", "memory.memsw.limit_in_bytes"],
        ["cpu", "cpu.shares"],
        ["cpu", "cpu.cfs_period_us"],
        ["cpu", "cpu.cfs_quota_us"],
        ["pids", "pids.max"],
      ]),
    ).toEqual({
      "memory.limit_in_bytes": "1000",
      "memory.memsw.limit_in_bytes": "1000",
      "cpu.shares": "512",
      "cpu.cfs_period_us": "100000",
      "cpu.cfs_quota_us": "50000",
      "pids.max": "4096",
    });
    // Memory and swap together can never be less than memory alone.
    const writes = setup.files.writes.filter((line) => line.includes("/id/memory"));
    expect(writes.map((line) => line.replace(/^.*\//, ""))).toEqual([
      "memory.limit_in_bytes=1000",
      "memory.memsw.limit_in_bytes=1000",
    ]);
  });

  test("in version 2, where an OOM kill takes the whole container [G2, G3, G4]", () => {
    const files = ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight", "cpu.max", "pids.max"];
    expect(
      values(
        v2(false),
        files.map((file) => ["", file]),
      ),
    ).toEqual({
      "memory.max": "1000",
      "memory.swap.max": "0",
      "memory.oom.group": "1",
      "cpu.weight": String(cpuWeight(512)),
      "cpu.max": "50000 100000",
      "pids.max": "4096",
    });
  });

  test("while an exec joins, an OOM kill in version 2 takes one process only [G4]", () => {
    const { files, choice, at } = v2(false);
    const container = open(files, choice).pod({ uid: "u" }).container("id");
    const group = () => files.read(`${at("kubepods/besteffort/podu/id", "")}/memory.oom.group`);
    expect([group(), container.whileJoining(group), group()]).toEqual(["1", "0", "1"]);
    expect(() =>
      container.whileJoining(() => {
        throw new Error("refused");
      }),
    ).toThrow("refused");
    expect(group()).toBe("1");
    container.remove();
    expect(container.whileJoining(() => 5)).toBe(5);
  });

  test.each([
    ["version 1", v1()],
    ["version 2", v2(false)],
  ])(
    "a pod, and all pods together, leave the machine processes to start, in %s",
    (_, { files, choice, at }) => {
      open(files, choice).pod({ uid: "u" });
      const pids = ["", "kubepods/besteffort/podu/"].map((path) => files.read(`${at(path, "pids")}pids.max`));
      expect(pids).toEqual(["24576", "16384"]);
    },
  );

  test.each([
    ["version 1", v1(), ["cpu.shares", "cpu.cfs_quota_us"], ["262144", "-1"]],
    ["version 2", v2(false), ["cpu.weight", "cpu.max"], ["10000", "max 100000"]],
  ])(
    "while an exec joins in %s, and before a kill, nothing keeps it from the processor",
    (_, setup, names, expected) => {
      const { files, choice, at } = setup;
      const pod = open(files, choice).pod({ uid: "u", qosClass: "Burstable", resources: LIMITS });
      const container = pod.container("id", LIMITS);
      const values = () =>
        ["kubepods/burstable", "kubepods/burstable/podu", "kubepods/burstable/podu/id"].map((path) =>
          names.map((name) => files.read(`${at(path, "cpu")}/${name}`)),
        );
      const before = values();
      const [ofClass, ...ofPod] = container.whileJoining(values);
      expect([ofClass?.[0], ...ofPod]).toEqual([expected[0], expected, expected]);
      expect(values()).toEqual(before);
      container.hurry();
      expect(values().slice(1)).toEqual(ofPod);
      container.remove();
      expect(values()[1]).toEqual(before[1]);
    },
  );

  test("the class of Burstable pods weighs as much as its pods [G1]", () => {
    const { files, choice, at } = v1();
    const cgroups = open(files, choice);
    const weight = () => files.read(`${at("kubepods/burstable", "cpu")}/cpu.shares`);
    const pods = ["a", "b"].map((uid) =>
      cgroups.pod({ uid, qosClass: "Burstable", resources: { cpuShares: 300 } }),
    );
    expect(weight()).toBe("600");
    pods[0]?.remove();
    expect(weight()).toBe("300");
    expect(files.read(`${at("kubepods", "cpu")}/cpu.shares`)).toBe("4096");
    expect(files.read(`${at("kubepods/besteffort", "cpu")}/cpu.shares`)).toBe("2");
  });

  test.each([
    [2, 1],
    [102, 17],
    [256, 35],
    [1024, 100],
    [4096, 303],
    [262_144, 10_000],
    [0, 1],
    [1e9, 10_000],
  ])("%d shares of version 1 are the weight %d of version 2 [G2]", (shares, weight) => {
    expect(cpuWeight(shares)).toBe(weight);
  });
});

describe("what the kernel tells", () => {
  test("in version 1: OOM kills, CPU time, and memory without the pages of idle files [G4]", () => {
    const { files, choice, at } = v1();
    const container = open(files, choice).pod({ uid: "u" }).container("id");
    expect(container.hasOomKills()).toBe(false);
    const path = (controller: string, file: string) =>
      `${at("kubepods/besteffort/podu/id", controller)}/${file}`;
    files.set(path("memory", "memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    files.set(path("memory", "memory.usage_in_bytes"), "5000\n");
    files.set(path("memory", "memory.stat"), "inactive_file 1\ntotal_inactive_file 2000\n");
    files.set(path("cpuacct", "cpuacct.usage"), "123456789\n");
    expect(container.hasOomKills()).toBe(true);
    expect(container.usage()).toEqual({ cpuNanoseconds: 123_456_789, memoryBytes: 3000 });
  });

  test("in version 2: OOM kills, CPU time, and memory without the pages of idle files [G4]", () => {
    const { files, choice, at } = v2(false);
    const container = open(files, choice).pod({ uid: "u" }).container("id");
    expect(container.hasOomKills()).toBe(false);
    const folder = at("kubepods/besteffort/podu/id", "");
    files.set(`${folder}/memory.events`, "low 0\noom 3\noom_kill 2\noom_group_kill 1\n");
    files.set(`${folder}/memory.current`, "5000\n");
    files.set(`${folder}/memory.stat`, "anon 7\ninactive_file 6000\n");
    files.set(`${folder}/cpu.stat`, "usage_usec 1234\nuser_usec 1\n");
    expect(container.hasOomKills()).toBe(true);
    expect(container.usage()).toEqual({ cpuNanoseconds: 1_234_000, memoryBytes: 0 });
  });
});

describe("where it cannot be", () => {
  test("a refusal while the tree is made is a sentence, and pods run without groups", () => {
    const { files, choice } = v1();
    files.readOnly.add(`${ROOT}/pids`);
    const before = [...files.groups.keys()];
    const cgroups = open(files, choice);
    expect(cgroups).toMatchObject({
      kind: "none",
      limits: [
        expect.stringMatching(
          /^Memory and CPU limits of containers are not enforced: EACCES.* To have them, .*\.$/,
        ),
      ],
    });
    expect([...files.groups.keys()]).toEqual(before);
    const container = cgroups.pod({ uid: "u" }).container("id", LIMITS);
    expect([container.joins, container.usage(), container.hasOomKills()]).toEqual([[], undefined, false]);
  });

  test("processes that cannot leave a group of version 2 keep limits away", () => {
    const { files, choice } = v2(true);
    files.readOnly.add(`${ROOT}/${SUPERVISOR}`);
    const before = [...files.groups.keys()];
    expect(open(files, choice).kind).toBe("none");
    expect([...files.groups.keys()]).toEqual(before);
  });

  test("a controller that is missing is named", () => {
    const { files } = v1();
    const cgroups = open(files, { kind: "cgroup-v1", hierarchies: { memory: `${ROOT}/memory` } });
    expect(cgroups.kind).toBe("cgroup-v1");
    expect(cgroups.limits.map((sentence) => sentence.split(":")[0])).toEqual([
      "CPU limits of containers are not enforced",
      "Limits of the number of processes are not enforced",
    ]);
    expect(cgroups.pod({ uid: "u" }).container("id", LIMITS).usage()).toBeUndefined();
  });

  test("a limit that the kernel refuses is an error that names it", () => {
    const { files, choice } = v1();
    const pod = open(files, choice).pod({ uid: "u" });
    files.write = () => {
      throw Object.assign(new Error("EINVAL: invalid argument"), { code: "EINVAL" });
    };
    expect(() => pod.container("id", LIMITS)).toThrow('Cannot set "memory.limit_in_bytes" to 1000: EINVAL');
  });
});

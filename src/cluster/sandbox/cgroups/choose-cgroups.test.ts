import { describe, expect, test } from "bun:test";
import { cgroupMounts, folderOf, ownCgroups } from "./cgroup-mounts.ts";
import { type CgroupChoice, chooseCgroups, SUPERVISOR } from "./choose-cgroups.ts";
import { ModelCgroups, V1_FILES } from "./model-cgroups.test-support.ts";

const ROOT = "/sys/fs/cgroup";
const PID = 77;

function v1Line(controllers: string, { root = "/", options = "rw", folder = controllers } = {}): string {
  return `32 31 0:29 ${root} ${ROOT}/${folder} ${options},relatime shared:3 - cgroup cgroup rw,${controllers}`;
}

function v2Line({ root = "/", folder = ROOT, options = "rw" } = {}): string {
  return `41 31 0:38 ${root} ${folder} ${options},nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot`;
}

describe("cgroupMounts()", () => {
  test("finds the controllers of version 1, alone and together, and version 2", () => {
    const text = [v1Line("memory"), v1Line("cpu,cpuacct"), v2Line({ folder: `${ROOT}/unified` })].join("\n");
    expect(
      cgroupMounts(text).map(({ version, folder, controllers }) => ({ version, folder, controllers })),
    ).toEqual([
      { version: 1, folder: `${ROOT}/memory`, controllers: ["memory"] },
      { version: 1, folder: `${ROOT}/cpu,cpuacct`, controllers: ["cpu", "cpuacct"] },
      { version: 2, folder: `${ROOT}/unified`, controllers: [] },
    ]);
  });

  test("forgets what another mount hides, and reads spaces, options and names", () => {
    const hidden = `50 31 0:50 / ${ROOT}/memory rw - tmpfs tmpfs rw`;
    expect(cgroupMounts([v1Line("memory"), hidden].join("\n"))).toEqual([]);
    const [mount] = cgroupMounts("1 2 0:3 / /a\\040b ro - cgroup none rw,xattr,name=systemd");
    expect(mount).toEqual({ version: 1, folder: "/a b", root: "/", controllers: [], isReadOnly: true });
    expect(cgroupMounts("nonsense\n\n1 2 3")).toEqual([]);
  });
});

test("ownCgroups() names the group per controller, that of version 2 by the empty name", () => {
  const groups = ownCgroups("10:cpu,cpuacct:/a\n4:memory:/b:c\n1:name=systemd:/d\n0::/e\nnonsense\n");
  expect([...groups]).toEqual([
    ["cpu", "/a"],
    ["cpuacct", "/a"],
    ["memory", "/b:c"],
    ["name=systemd", "/d"],
    ["", "/e"],
  ]);
});

test.each([
  ["/", "/user.slice", "/cg/user.slice"],
  ["/", "/", "/cg"],
  ["/docker/1", "/docker/1", "/cg"],
  ["/docker/1", "/docker/1/a", "/cg/a"],
  ["/docker/1", "/elsewhere", "/cg"],
  ["/", "/../../outside", "/cg"],
])("folderOf(): a mount of %s shows the group %s at %s", (root, path, expected) => {
  const mount = { version: 1, folder: "/cg", root, controllers: [], isReadOnly: false } as const;
  expect(folderOf(mount, path)).toBe(expected);
});

const V1_CONTROLLERS = ["memory", "cpu", "cpuacct", "pids", "freezer"] as const;

function v1Model(): ModelCgroups {
  const model = new ModelCgroups();
  for (const name of V1_CONTROLLERS) model.add(`${ROOT}/${name}`, V1_FILES[name] ?? {});
  return model;
}

function choose(files: ModelCgroups, mountinfo: readonly string[], own = ""): CgroupChoice {
  return chooseCgroups({ mountinfo: mountinfo.join("\n"), own, pid: PID, files });
}

describe("version 1", () => {
  const mounts = V1_CONTROLLERS.map((name) => v1Line(name));
  const everywhere = Object.fromEntries(V1_CONTROLLERS.map((name) => [name, `${ROOT}/${name}`]));

  test("is used below the root of each hierarchy, also beside an empty version 2", () => {
    const mountinfo = [...mounts, v2Line({ folder: `${ROOT}/unified` })];
    expect(choose(v1Model(), mountinfo, "4:memory:/process/1")).toEqual({
      kind: "cgroup-v1",
      hierarchies: everywhere,
    });
  });

  test("is used below the group with a limit that the process is in: nothing we start escapes it", () => {
    const files = v1Model();
    files.add(`${ROOT}/memory/ci`, { "memory.limit_in_bytes": "1073741824" });
    files.add(`${ROOT}/memory/ci/job`, { "memory.limit_in_bytes": "9223372036854771712" });
    files.add(`${ROOT}/pids/ci`, { "pids.max": "100" });
    expect(choose(files, mounts, "4:memory:/ci/job\n5:pids:/ci\n6:cpu:/")).toEqual({
      kind: "cgroup-v1",
      hierarchies: { ...everywhere, memory: `${ROOT}/memory/ci`, pids: `${ROOT}/pids/ci` },
    });
  });

  test("goes without controllers that are not there, except memory", () => {
    expect(choose(v1Model(), [v1Line("memory")])).toEqual({
      kind: "cgroup-v1",
      hierarchies: { memory: `${ROOT}/memory` },
    });
    const others = mounts.filter((line) => !line.includes("memory"));
    expect(choose(v1Model(), others)).toMatchObject({
      kind: "none",
      because: expect.stringContaining("memory"),
    });
  });

  test("is nothing for ordinary users, nor when it is read-only", () => {
    const files = v1Model();
    files.readOnly.add(ROOT);
    expect(choose(files, mounts)).toMatchObject({
      kind: "none",
      because: expect.stringContaining("ordinary user"),
    });
    const readOnly = V1_CONTROLLERS.map((name) => v1Line(name, { options: "ro" }));
    expect(choose(v1Model(), readOnly)).toMatchObject({
      kind: "none",
      because: expect.stringContaining("read-only"),
    });
  });
});

const ALL = { "cgroup.controllers": "cpuset cpu io memory hugetlb pids", "cgroup.subtree_control": "" };
const SCOPE = "/user.slice/user-1000.slice/user@1000.service/app.slice/pillion.scope";

/** A machine of systemd with a user's scope. */
function v2Model(
  scope: Readonly<Record<string, string>> = {},
  processes: readonly number[] = [PID],
): ModelCgroups {
  const model = new ModelCgroups({ unified: ROOT });
  model.add(ROOT, ALL, [1, 2]);
  return model.add(
    `${ROOT}${SCOPE}`,
    {
      "cgroup.type": "domain",
      "cgroup.controllers": "memory pids",
      "cgroup.subtree_control": "",
      ...scope,
    },
    processes,
  );
}

/** As an ordinary user: only the scope is theirs. */
function asUser(model: ModelCgroups): ModelCgroups {
  model.isWritable = (path) => path === `${ROOT}${SCOPE}` || path.startsWith(`${ROOT}${SCOPE}/`);
  return model;
}

describe("version 2", () => {
  const own = `0::${SCOPE}`;

  test("as root: below the root of all groups, where processes may stay", () => {
    expect(choose(v2Model(), [v2Line()], own)).toEqual({
      kind: "cgroup-v2",
      parent: ROOT,
      controllers: ["memory", "cpu", "pids"],
      movesProcesses: false,
    });
  });

  test("without the memory controller: nothing, with the boot option that brings it", () => {
    const files = new ModelCgroups({ unified: ROOT }).add(ROOT, { "cgroup.controllers": "cpu pids" });
    expect(choose(files, [v2Line()])).toMatchObject({
      kind: "none",
      fix: expect.stringContaining("cgroup_enable=memory"),
    });
  });

  test("in a container with groups of its own: below its root, whose processes have to move", () => {
    const files = new ModelCgroups({ unified: ROOT, isMachineRoot: false });
    files.add(ROOT, { ...ALL, "cgroup.type": "domain", "cgroup.procs": "" }, [1, PID]);
    expect(choose(files, [v2Line()], "0::/")).toMatchObject({
      kind: "cgroup-v2",
      parent: ROOT,
      movesProcesses: true,
    });
    expect(choose(files, [v2Line({ options: "ro" })], "0::/")).toMatchObject({
      kind: "none",
      because: expect.stringContaining("read-only"),
    });
  });

  test("as an ordinary user: in a scope that is delegated, or that holds nothing else", () => {
    const chosen = {
      kind: "cgroup-v2",
      parent: `${ROOT}${SCOPE}`,
      controllers: ["memory", "pids"],
      movesProcesses: true,
    };
    expect(choose(asUser(v2Model()), [v2Line()], own)).toEqual(chosen as CgroupChoice);
    const shared = asUser(v2Model({}, [PID, 99]));
    shared.delegated.add(`${ROOT}${SCOPE}`);
    expect(choose(shared, [v2Line()], own)).toEqual(chosen as CgroupChoice);
  });

  test.each<[string, ModelCgroups, string]>([
    ["shares it with other programs", asUser(v2Model({}, [PID, 99])), "other programs"],
    ["is not theirs", Object.assign(v2Model(), { isWritable: () => false }), "not its own"],
    ["was not handed the controller", asUser(v2Model({ "cgroup.controllers": "pids" })), "not handed down"],
  ])(
    "as an ordinary user whose scope %s: nothing, with the command that would change it",
    (_, files, because) => {
      expect(choose(files, [v2Line()], own)).toMatchObject({
        kind: "none",
        because: expect.stringContaining(because),
        fix: expect.stringContaining("systemd-run --user --scope -p Delegate=yes"),
      });
    },
  );

  test("from a terminal in which a cluster was started: beside that one", () => {
    const files = asUser(v2Model({}, []));
    files.makeFolder(`${ROOT}${SCOPE}/${SUPERVISOR}`);
    expect(choose(files, [v2Line()], `${own}/${SUPERVISOR}`)).toMatchObject({ parent: `${ROOT}${SCOPE}` });
  });
});

test("no control groups at all: nothing, and what to mount", () => {
  expect(choose(new ModelCgroups(), ["1 2 0:3 / / rw - ext4 /dev/x rw"])).toEqual({
    kind: "none",
    because: "no control groups are mounted",
    fix: "mount them at /sys/fs/cgroup (systemd does)",
  });
});

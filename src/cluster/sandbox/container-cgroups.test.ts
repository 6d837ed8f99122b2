import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { kernelCgroupFiles } from "./cgroups/cgroup-files.ts";
import { cgroupName } from "./cgroups/cgroup-records.ts";
import { cgroupWays } from "./cgroups/cgroup-ways.test-support.ts";
import type { CgroupChoice } from "./cgroups/choose-cgroups.ts";
import { type Cgroups, openCgroupTree } from "./cgroups/open-cgroups.ts";
import { execIn, finished, inContainer } from "./container-exec.test-support.ts";
import { canRunContainers, openWorld, type TestWorld } from "./container.test-support.ts";
import { loadLauncher } from "./launcher.ts";
import type { RunningContainer } from "./sandbox.ts";

const MEMORY = 64 * 2 ** 20;
const LIMITS = { memory: MEMORY, cpuShares: 512, cpuQuota: 50_000 };
/** A group that its user has been given by root, as systemd would. */
const DELEGATED = process.env["PILLION_TEST_DELEGATED"];

const files = kernelCgroupFiles(loadLauncher());

describe.if(canRunContainers())("what a container sees of control groups", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  test("is an empty folder where there are none", async () => {
    const { stdout } = await world.sh("ls -A /sys/fs/cgroup; (mkdir /sys/fs/cgroup/x) 2>/dev/null; echo $?");
    expect(stdout).toEqual(["1"]);
  });

  describe.each(ways())("%s", (_, choice) => {
    let cgroups: Cgroups;
    let folders: readonly string[] = [];
    beforeEach(() => {
      const stateDir = world.newFolder();
      cgroups = open(choice, stateDir, (names) => {
        folders = names;
      });
    });
    afterEach(() => {
      cgroups.close();
      expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
    });

    const group = () => cgroups.pod({ uid: "u" }).container("id", LIMITS);
    const has = (controller: string) =>
      choice.kind === "cgroup-v2"
        ? choice.controllers.includes(controller)
        : choice.kind === "cgroup-v1" && controller in choice.hierarchies;
    const limitFile = choice.kind === "cgroup-v1" ? "memory/memory.limit_in_bytes" : "memory.max";
    const procs = choice.kind === "cgroup-v1" ? "memory/cgroup.procs" : "cgroup.procs";

    test.each(["image", "host"] as const)(
      "is its own group, at the root of all that it sees (%s)",
      async (kind) => {
        const script = `
        cd /sys/fs/cgroup; cat ${procs} | sort -n | head -1; cut -d: -f3 /proc/self/cgroup | sort -u
        find . -mindepth 2 -name cgroup.procs | grep -c / ; find /sys/fs/cgroup/ -type d | grep -e podu -e kubepods; echo done
        ${has("memory") ? `cat ${limitFile}` : ""}`;
        const { stdout } = await world.sh(script, { rootfs: world[kind], cgroup: group() });
        const controllers = choice.kind === "cgroup-v1" ? Object.keys(choice.hierarchies).length : 0;
        expect(stdout).toEqual([
          "1",
          "/",
          String(controllers),
          "done",
          ...(has("memory") ? [String(MEMORY)] : []),
        ]);
      },
    );

    test.if(has("cpu"))("tells of its share of the processors", async () => {
      const files = choice.kind === "cgroup-v1" ? "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us" : "cpu.max";
      const { stdout } = await world.sh(`cd /sys/fs/cgroup; cat ${files}`, { cgroup: group() });
      expect(stdout.join(" ")).toBe("50000 100000");
    });

    test.each([false, true])("cannot be changed (privileged: %p)", async (privileged) => {
      const script = `
        cd /sys/fs/cgroup
        for f in $(find . -type f); do (echo 1 > $f) 2>/dev/null && echo "WROTE $f"; done
        for d in $(find . -type d); do mkdir $d/x 2>/dev/null && echo "MADE $d/x"; done
        ${privileged ? "" : "umount /sys/fs/cgroup 2>/dev/null && echo UNCOVERED; mount -o remount,bind,rw . 2>/dev/null && echo REMOUNTED"}
        unshare -Urm sh -c 'umount /sys/fs/cgroup; mount -o remount,bind,rw .' 2>/dev/null && echo REMOUNTED
        grep -c ' /sys/fs/cgroup[^ ]* ro,nosuid,nodev,noexec' /proc/self/mountinfo; echo done`;
      const { stdout } = await world.sh(script, { cgroup: group(), privileged });
      expect(stdout).toEqual([expect.stringMatching(/^[1-9]/), "done"]);
    });

    test("is the same to a program that is started beside it", async () => {
      await inContainer(world, { cgroup: group() }, async (container) => {
        const file = has("memory") ? limitFile : procs;
        const script = `cut -d: -f3 /proc/self/cgroup | sort -u; head -1 /sys/fs/cgroup/${file}`;
        expect(await sh(container, script)).toEqual(["/", String(has("memory") ? MEMORY : 1)]);
        const write = `(echo 1 > /sys/fs/cgroup/${procs}) 2>&1 | grep -o 'Read-only file system'`;
        expect(await sh(container, write)).toEqual(["Read-only file system"]);
      });
    });

    test.if(has("memory"))("follows when its limit changes", async () => {
      const pod = cgroups.pod({ uid: "u" });
      await inContainer(world, { cgroup: pod.container("id", LIMITS) }, async (container) => {
        pod.container("id", { ...LIMITS, memory: MEMORY / 2 });
        expect(await sh(container, `cat /sys/fs/cgroup/${limitFile}`)).toEqual([String(MEMORY / 2)]);
      });
    });
  });
});

/** Where a cluster of this user could have groups. */
function ways(): readonly (readonly [string, CgroupChoice])[] {
  if (DELEGATED === undefined) return cgroupWays(files).ways;
  return [["delegated", { kind: "cgroup-v2", parent: DELEGATED, controllers: [], movesProcesses: false }]];
}

function open(
  choice: CgroupChoice,
  stateDir: string,
  onFolders: (names: readonly string[]) => void,
): Cgroups {
  return openCgroupTree({
    files,
    choice,
    name: cgroupName(stateDir),
    cpus: 1,
    maxPids: 64,
    killProcess: (pid) => void process.kill(pid, "SIGKILL"),
    onFolders,
  });
}

async function sh(container: RunningContainer, script: string): Promise<readonly string[]> {
  const { stdout } = await finished(await execIn(container, ["sh", "-c", script]));
  return stdout.split("\n").slice(0, -1);
}

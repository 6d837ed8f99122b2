/** Decides where on this machine limits can be set: which version of control groups, and below which group of theirs. */
import type { CgroupFiles } from "./cgroup-files.ts";
import { type CgroupMount, cgroupMounts, folderOf, ownCgroups } from "./cgroup-mounts.ts";
import { type Hierarchies, processesIn } from "./cgroup-driver.ts";

/** Group of version 2 in which processes wait that were where limits have to start: a group with limits below it holds none. */
export const SUPERVISOR = "pillion-supervisor";

export type CgroupChoice =
  | { readonly kind: "cgroup-v1"; readonly hierarchies: Hierarchies }
  | {
      readonly kind: "cgroup-v2";
      /** The cluster's group becomes a child of this one. */
      readonly parent: string;
      readonly controllers: readonly string[];
      /** The processes of `parent` have to go to its child `SUPERVISOR` first. */
      readonly movesProcesses: boolean;
    }
  /** `because` and `fix` complete a sentence. */
  | { readonly kind: "none"; readonly because: string; readonly fix: string };

export interface CgroupFacts {
  /** Text of /proc/self/mountinfo. */
  readonly mountinfo: string;
  /** Text of /proc/self/cgroup. */
  readonly own: string;
  readonly pid: number;
  readonly files: CgroupFiles;
}

const V1_CONTROLLERS = ["memory", "cpu", "cpuacct", "pids", "freezer"] as const;
const V2_CONTROLLERS = ["memory", "cpu", "pids"] as const;
/** A limit that somebody set on the group: what we start must not escape it. */
const V1_LIMITS: Readonly<Record<string, readonly [file: string, isLimit: (value: string) => boolean]>> = {
  memory: ["memory.limit_in_bytes", (value) => Number(value) < 2 ** 62],
  cpu: ["cpu.cfs_quota_us", (value) => Number(value) > 0],
  pids: ["pids.max", (value) => value !== "max"],
};
const AS_ROOT = "run as root (`sudo`)";
const DELEGATE =
  "start it as `systemd-run --user --scope -p Delegate=yes pillion up`, or run as root (`sudo`)";

/** The version that has the memory controller is the one; a machine can have both (hybrid). */
export function chooseCgroups(facts: CgroupFacts): CgroupChoice {
  const mounts = cgroupMounts(facts.mountinfo);
  const own = ownCgroups(facts.own);
  const memory = mounts.find(({ controllers }) => controllers.includes("memory"));
  if (memory !== undefined) return chooseV1(facts, { mounts, own, memory });
  const unified = mounts.find(({ version }) => version === 2);
  if (unified !== undefined) return chooseV2(facts, { mount: unified, path: own.get("") ?? "/" });
  if (mounts.length === 0)
    return none("no control groups are mounted", "mount them at /sys/fs/cgroup (systemd does)");
  return noMemoryController();
}

function none(because: string, fix: string): CgroupChoice {
  return { kind: "none", because, fix };
}

function noMemoryController(): CgroupChoice {
  return none(
    "this kernel runs without the memory controller",
    "boot it with `cgroup_enable=memory` (on a Raspberry Pi: in cmdline.txt)",
  );
}

interface V1Facts {
  readonly mounts: readonly CgroupMount[];
  readonly own: ReadonlyMap<string, string>;
  readonly memory: CgroupMount;
}

function chooseV1({ files }: CgroupFacts, { mounts, own, memory }: V1Facts): CgroupChoice {
  const hierarchies: Partial<Record<(typeof V1_CONTROLLERS)[number], string>> = {};
  for (const controller of V1_CONTROLLERS) {
    const mount = mounts.find(({ controllers }) => controllers.includes(controller));
    if (mount === undefined) continue;
    const folder = nearestLimit(files, { mount, controller, path: own.get(controller) ?? "/" });
    if (!mount.isReadOnly && files.isWritable(folder)) hierarchies[controller] = folder;
  }
  if (hierarchies.memory !== undefined) return { kind: "cgroup-v1", hierarchies };
  if (memory.isReadOnly) return readOnly(memory);
  return none("an ordinary user has no control groups of version 1", AS_ROOT);
}

function readOnly({ folder }: CgroupMount): CgroupChoice {
  return none(
    `"${folder}" is mounted read-only`,
    "run outside of the container that mounts it so, or start that with `--privileged`",
  );
}

/**
 * Below the mount's own folder, where nothing of another program is, unless the process is in a group with a limit: then
 * below that.
 */
function nearestLimit(
  files: CgroupFiles,
  { mount, controller, path }: { mount: CgroupMount; controller: string; path: string },
): string {
  const [file, isLimit] = V1_LIMITS[controller] ?? [];
  if (file === undefined || isLimit === undefined) return mount.folder;
  for (
    let at = folderOf(mount, path);
    at.length > mount.folder.length;
    at = at.slice(0, at.lastIndexOf("/"))
  ) {
    const value = files.read(`${at}/${file}`)?.trim();
    if (value !== undefined && isLimit(value)) return at;
  }
  return mount.folder;
}

function chooseV2(
  { files, pid }: CgroupFacts,
  { mount, path }: { readonly mount: CgroupMount; readonly path: string },
): CgroupChoice {
  if (mount.isReadOnly) return readOnly(mount);
  const controllers = wordsOf(files, `${mount.folder}/cgroup.controllers`);
  if (!controllers.includes("memory")) return noMemoryController();
  // The root of all groups is the one place that may hold processes and share out controllers; only root may write there.
  const isMachineRoot = files.read(`${mount.folder}/cgroup.type`) === undefined;
  if (isMachineRoot && files.isWritable(mount.folder)) return v2(files, mount.folder, false);
  return chooseOwnV2(files, { mount, path, pid });
}

function chooseOwnV2(
  files: CgroupFiles,
  { mount, path, pid }: { readonly mount: CgroupMount; readonly path: string; readonly pid: number },
): CgroupChoice {
  const present = folderOf(mount, path);
  // A cluster that was started from a cluster's own surroundings.
  const own = present.endsWith(`/${SUPERVISOR}`) ? present.slice(0, present.lastIndexOf("/")) : present;
  const isWritable = [own, `${own}/cgroup.procs`, `${own}/cgroup.subtree_control`].every((path) =>
    files.isWritable(path),
  );
  if (!isWritable) return none("the control group that this runs in is not its own", DELEGATE);
  if (!wordsOf(files, `${own}/cgroup.controllers`).includes("memory"))
    return none("the memory controller is not handed down to the control group that this runs in", DELEGATE);
  const isContainer = own === mount.folder;
  const others = processesIn(files, own).filter((one) => one !== pid);
  // Other people's processes stay where they are, unless the whole group has been handed to us.
  if (others.length > 0 && !isContainer && !files.isDelegated(own))
    return none("other programs run in the same control group", DELEGATE);
  return v2(files, own, true);
}

function v2(files: CgroupFiles, parent: string, movesProcesses: boolean): CgroupChoice {
  const there = wordsOf(files, `${parent}/cgroup.controllers`);
  const controllers = V2_CONTROLLERS.filter((controller) => there.includes(controller));
  return { kind: "cgroup-v2", parent, controllers, movesProcesses };
}

function wordsOf(files: CgroupFiles, path: string): readonly string[] {
  return (files.read(path) ?? "").split(/\s+/).filter(Boolean);
}

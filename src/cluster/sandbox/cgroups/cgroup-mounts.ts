/** Where the kernel's control groups are mounted and which of them this process is in: cgroups(7), proc(5), as pure functions. */

export interface CgroupMount {
  readonly version: 1 | 2;
  readonly folder: string;
  /** Group that the folder shows, as /proc/PID/cgroup names it; `/` unless a container engine bound a part of the tree. */
  readonly root: string;
  /** Version 1: what is mounted here, such as `cpu` and `cpuacct`. Empty for version 2. */
  readonly controllers: readonly string[];
  readonly isReadOnly: boolean;
}

/** Options of a mount that name no controller. */
const OPTIONS = new Set([
  "rw",
  "ro",
  "xattr",
  "clone_children",
  "noprefix",
  "favordynmods",
  "nofavordynmods",
]);

/** Parses /proc/self/mountinfo. Where one place is mounted over another, the last one counts. */
export function cgroupMounts(mountinfo: string): readonly CgroupMount[] {
  const byFolder = new Map<string, CgroupMount>();
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-");
    const [type, , superOptions = ""] = fields.slice(dash + 1);
    const [root, folder, options = ""] = [fields[3], fields[4], fields[5]];
    if (dash < 0 || root === undefined || folder === undefined) continue;
    const path = unescape(folder);
    byFolder.delete(path);
    if (type !== "cgroup" && type !== "cgroup2") continue;
    const all = superOptions.split(",");
    byFolder.set(path, {
      version: type === "cgroup" ? 1 : 2,
      folder: path,
      root: unescape(root),
      controllers:
        type === "cgroup2" ? [] : all.filter((option) => !OPTIONS.has(option) && !option.includes("=")),
      isReadOnly: options.split(",").includes("ro") || all.includes("ro"),
    });
  }
  return [...byFolder.values()];
}

/** Group of this process by controller, from /proc/self/cgroup; the key of version 2 is the empty string. */
export function ownCgroups(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) groups.set(controller, path);
  }
  return groups;
}

/** Folder of the group `path` below a mount; the mount's own folder when the group lies outside of what it shows. */
export function folderOf({ folder, root }: CgroupMount, path: string): string {
  const base = root === "/" ? "" : root;
  if (path !== root && !path.startsWith(`${base}/`)) return folder;
  const inside = path.slice(base.length).replace(/\/+$/, "");
  return inside.split("/").includes("..") ? folder : `${folder}${inside === root ? "" : inside}`;
}

/** Spaces and backslashes of mountinfo are `\040` and the like. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

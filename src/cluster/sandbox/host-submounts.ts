/** Which file systems this machine has mounted where: an overlay shows a folder without what is mounted inside of it. */
import { readFileSync } from "node:fs";

export interface Submount {
  readonly path: string;
  /** Files of this machine, as opposed to sockets, control files and what another machine serves. */
  readonly isDisk: boolean;
}

const DISKS = new Set(["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "reiserfs", "xfs", "zfs"]);

/** Of this process's mount namespace, parents before children. */
export function readSubmounts(): readonly Submount[] {
  return parseSubmounts(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** proc(5), /proc/PID/mountinfo: the fifth field is the path, the one after `-` the type. */
export function parseSubmounts(mountinfo: string): readonly Submount[] {
  const types = new Map<string, string>();
  for (const line of mountinfo.split("\n")) {
    const [front = "", back = ""] = line.split(" - ");
    const [, , , , path] = front.split(" ");
    // Of several mounts at one path the last is seen.
    if (path !== undefined) types.set(unescape(path), back.split(" ")[0] ?? "");
  }
  return [...types]
    .map(([path, type]) => ({ path, isDisk: DISKS.has(type) }))
    .toSorted((a, b) => a.path.length - b.path.length);
}

/** Space, tab, newline and backslash are written as three octal digits. */
function unescape(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

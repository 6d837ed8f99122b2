/** Which user and group ids exist in the engine's user namespace: others cannot own a file or run a process. */
import { readFileSync } from "node:fs";

export interface IdMap {
  isUid(id: number): boolean;
  isGid(id: number): boolean;
  /** False in a user namespace with a single id: the kernel then refuses `setgroups`. */
  readonly canSetGroups: boolean;
  /** False when the engine is root of the machine: overlays need `userxattr` and some mounts are refused otherwise. */
  readonly isUserNamespace: boolean;
}

interface Range {
  readonly first: number;
  readonly count: number;
}

/** uid_map of the initial user namespace. */
const WHOLE = 4_294_967_295;

/** The map of this process (user_namespaces(7)). */
export function readIdMap(): IdMap {
  return parseIdMap({
    uidMap: readFileSync("/proc/self/uid_map", "utf8"),
    gidMap: readFileSync("/proc/self/gid_map", "utf8"),
    setgroups: readFileSync("/proc/self/setgroups", "utf8"),
  });
}

export function parseIdMap(files: { uidMap: string; gidMap: string; setgroups: string }): IdMap {
  const [uids, gids] = [parseRanges(files.uidMap), parseRanges(files.gidMap)];
  return {
    isUid: (id) => isIn(uids, id),
    isGid: (id) => isIn(gids, id),
    canSetGroups: files.setgroups.trim() === "allow",
    isUserNamespace: uids.every(({ count }) => count < WHOLE),
  };
}

/** Lines of `first-inside first-outside count`. */
function parseRanges(text: string): readonly Range[] {
  return text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => ({ first, count }));
}

function isIn(ranges: readonly Range[], id: number): boolean {
  return ranges.some(({ first, count }) => id >= first && id < first + count);
}

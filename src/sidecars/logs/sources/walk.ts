/** Finds the files that patterns match, each folder once, whatever symlinks there are. */
import { readdirSync, realpathSync, statSync, type Dirent, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import type { Pattern, Segment } from "./glob.ts";

export interface Visitor {
  /** A regular file that matches. `isLinked`: it was reached through a symlink below the pattern's fixed part, or is one. */
  file(path: string, stats: Stats, isLinked: boolean): void;
  /** A folder in which matches may appear or vanish. */
  folder(path: string): void;
  /** Something that could not be looked at. */
  refused(path: string, error: unknown): void;
}

interface Step {
  readonly folder: string;
  readonly index: number;
  readonly isLinked: boolean;
}

/**
 * An application may plant symlinks among its logs, and they lead to files of this container. These hold no logs, but the
 * token of our service account and secrets of the kernel.
 */
const NO_LOGS = /^\/(?:proc|sys|dev|run\/secrets|var\/run\/secrets)(?:\/|$)/;

/** How many entries are looked at between two pauses. */
const PAUSE_ENTRIES = 200;

/** Walks; gives control back now and then. */
export function* walk(pattern: Pattern, visitor: Visitor): Generator<undefined> {
  const { segments } = pattern;
  const fixed = segments.findIndex(({ kind }) => kind !== "literal");
  const depth = fixed === -1 ? segments.length - 1 : fixed;
  const base = `/${segments.slice(0, depth).map(nameOf).join("/")}`;
  const steps: Step[] = [{ folder: base, index: depth, isLinked: false }];
  // Real folders come first, so that a file's plain path is the one that counts.
  const linked: Step[] = [];
  const visited = new Set<string>();
  for (let step = steps.pop() ?? linked.pop(); step !== undefined; step = steps.pop() ?? linked.pop()) {
    const inside = enter(step, visited, visitor);
    if (inside)
      yield* lookInto(step, segments, {
        visitor,
        push: (next) => (next.isLinked ? linked : steps).push(next),
      });
    yield;
  }
}

/** Whether this step is new, and its folder is one. A folder that is not there yet is awaited in the nearest one that is. */
function enter({ folder, index }: Step, visited: Set<string>, visitor: Visitor): boolean {
  try {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) {
      visitor.folder(nearestFolder(folder));
      return false;
    }
    const key = `${stats.dev}:${stats.ino}:${index}`;
    if (!stats.isDirectory() || visited.has(key)) return false;
    visited.add(key);
    refuseNoLogs(folder);
    return true;
  } catch (error) {
    if (!isGone(error)) visitor.refused(folder, error);
    return false;
  }
}

interface Ways {
  readonly visitor: Visitor;
  readonly push: (step: Step) => void;
}

function* lookInto(step: Step, segments: readonly Segment[], { visitor, push }: Ways): Generator<undefined> {
  const { folder, index, isLinked } = step;
  const segment = segments[index];
  if (segment === undefined) return;
  visitor.folder(folder);
  const isLeaf = index === segments.length - 1;
  if (segment.kind === "literal") {
    const path = join(folder, segment.name);
    if (isLeaf) lookAt(path, { visitor, isLinked, entry: undefined });
    else push({ folder: path, index: index + 1, isLinked });
    return;
  }
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (!isGone(error)) visitor.refused(folder, error);
    return;
  }
  // `**` also stands for no folder at all.
  if (segment.kind === "anyDepth") push({ folder, index: index + 1, isLinked });
  let seen = 0;
  for (const entry of entries) {
    if (++seen % PAUSE_ENTRIES === 0) yield;
    const path = join(folder, entry.name);
    const mayBeFolder = entry.isDirectory() || entry.isSymbolicLink();
    const viaLink = isLinked || entry.isSymbolicLink();
    if (segment.kind === "anyDepth") {
      if (mayBeFolder && !entry.name.startsWith(".")) push({ folder: path, index, isLinked: viaLink });
    } else if (segment.matches(entry.name)) {
      if (isLeaf) lookAt(path, { visitor, isLinked, entry });
      else if (mayBeFolder) push({ folder: path, index: index + 1, isLinked: viaLink });
    }
  }
}

function lookAt(
  path: string,
  found: { visitor: Visitor; isLinked: boolean; entry: Dirent | undefined },
): void {
  const { visitor, isLinked, entry } = found;
  if (entry !== undefined && !entry.isFile() && !entry.isSymbolicLink()) return;
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() === true) {
      if (entry?.isFile() !== true) refuseNoLogs(path);
      visitor.file(path, stats, isLinked || entry?.isSymbolicLink() === true);
    }
    // What stands for bytes that are no UTF-8 leads to no file.
    else if (stats === undefined && entry?.isFile() === true && entry.name.includes("\uFFFD"))
      visitor.refused(path, new Error("its name is not UTF-8, rename it"));
  } catch (error) {
    if (!isGone(error)) visitor.refused(path, error);
  }
}

/** Throws where links lead to such a place from outside; a pattern that names it is meant so. */
function refuseNoLogs(path: string): void {
  if (NO_LOGS.test(path)) return;
  const real = realpathSync(path);
  if (NO_LOGS.test(real)) throw new Error(`it is a link to "${real}", where no logs are`);
}

function nameOf(segment: Segment): string {
  return segment.kind === "literal" ? segment.name : "";
}

function nearestFolder(path: string): string {
  let folder = dirname(path);
  while (folder !== "/" && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    folder = dirname(folder);
  return folder;
}

/** Files come and go while they are looked at; a link that leads in a circle leads nowhere. */
export function isGone(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}

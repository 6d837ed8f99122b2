/** After a restart: finds every file again that checkpoints know, under whatever name, in whatever form it is now. */
import { fstatSync } from "node:fs";
import type { Host } from "../../../kernel/host.ts";
import type { CheckpointStore } from "../delivery/delivery.ts";
import type { Catalog } from "./catalog.ts";
import type { Finder, Found } from "./finder.ts";
import { holdsContent, inodeOf, isSameBirth, placeOf, type Identity } from "./identity.ts";
import { LogFile, whereaboutsOf } from "./log-file.ts";
import { isGzipName } from "./rotated-names.ts";
import { isHeldByGzip, type Sibling, siblingsOf, statIfThere, withFile } from "./siblings.ts";
import type { Tracker } from "./tracker.ts";

export interface ResumeParts {
  readonly catalog: Catalog;
  readonly tracker: Tracker;
  readonly checkpoints: CheckpointStore;
  readonly host: Host;
  readonly finder: Finder;
  readonly originOf: (path: string) => string;
}

/** Puts every known content into the catalog; those that are not found are looked for by the tracker. */
export async function resumeFiles(parts: ResumeParts, found: ReadonlyMap<string, Found>): Promise<void> {
  const { catalog, tracker, host, finder, originOf } = parts;
  const isOurs = (name: string): boolean => finder.matches(name);
  const stored = [...catalog.stored(isOurs)].toSorted((a, b) => a.identity.mtime - b.identity.mtime);
  const latest = new Map<string, LogFile>();
  for (const { key, offset, identity } of stored) {
    const { name, head, tail, mtime } = identity;
    const origin = { path: originOf(name), key };
    const log = new LogFile({
      origin,
      name,
      where: undefined,
      offset,
      head,
      tail,
      mtime,
      now: host.monotonic(),
    });
    log.begin = head.from;
    log.finishedAt = identity.finishedAt;
    const where = await findAgain(identity, offset, found);
    if (where !== undefined && catalog.holder(where.stats) === undefined) {
      log.where = whereaboutsOf(where.path, where.stats, identity.isGzip);
      log.look(where.stats, host.monotonic());
    } else {
      // Compared with copies by what is known of it: the end of what was read, which may lie behind the checkpoint.
      log.size = Math.max(offset, tail.from + tail.length);
    }
    if (where !== undefined && identity.wholeSize === where.stats.size && offset >= tail.from + tail.length) {
      log.wholeSize = identity.wholeSize;
      log.size = offset;
      log.hasSaidLast = true;
    }
    log.isCaughtUp = log.hasSaidLast;
    log.hasShrunk = false;
    log.after = latest.get(name);
    catalog.add(log);
    if (log.where !== undefined) {
      log.names = found.get(inodeOf(log.where.place))?.names ?? [];
      tracker.holdAndRecall(log);
    }
    latest.set(name, log);
    tracker.expect(log, mtime);
  }
}

/** The file itself: the same inode with what was read still in it. */
async function findAgain(
  identity: Identity,
  offset: number,
  found: ReadonlyMap<string, Found>,
): Promise<Sibling | undefined> {
  const candidates: Sibling[] = [];
  const sameInode = found.get(inodeOf(identity));
  if (sameInode !== undefined) candidates.push(sameInode);
  for (const path of new Set([identity.path, identity.name])) {
    const stats = statIfThere(path);
    // A volume that is mounted anew may have another device number.
    if (stats?.isFile() === true && stats.ino === identity.ino) candidates.push({ path, stats });
  }
  for (const sibling of siblingsOf(identity.name)) {
    if (inodeOf(sibling.stats) === inodeOf(identity)) candidates.push(sibling);
  }
  for (const candidate of candidates) {
    const isLongEnough = identity.isGzip || candidate.stats.size >= offset;
    if (isLongEnough && (await isItself(candidate, identity))) return candidate;
  }
  return undefined;
}

async function isItself({ path, stats }: Sibling, identity: Identity): Promise<boolean> {
  if (!isSameBirth(placeOf(stats), identity) || identity.isGzip !== isGzipName(path)) return false;
  if (identity.isGzip) {
    const { head, tail, name, wholeSize, mtime } = identity;
    if (head.length === 0 || (wholeSize === stats.size && mtime === stats.mtimeMs)) return true;
    const log = new LogFile({
      origin: { path: name, key: "" },
      name,
      where: undefined,
      offset: 0,
      head,
      tail,
      now: 0,
    });
    return isHeldByGzip({ path, stats }, log);
  }
  const { tail } = identity;
  const holds = (fd: number): boolean =>
    fstatSync(fd).size >= tail.from + tail.length && holdsContent(fd, identity);
  const isHeld = withFile({ path, stats }, holds);
  if (isHeld !== undefined) return isHeld;
  // What may not be read now is still the same inode, unless it has been moved meanwhile.
  const now = statIfThere(path);
  return now !== undefined && inodeOf(now) === inodeOf(stats);
}

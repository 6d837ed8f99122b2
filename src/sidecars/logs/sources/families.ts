/**
 * Finds files that no pattern matches, but that look like rotations of what we read, came after the last scan, and are newer than
 * what was known then: a log may be rotated several times while nobody looks, or copied and emptied.
 */
import type { Stats } from "node:fs";
import { dirname } from "node:path";
import type { Catalog } from "./catalog.ts";
import type { Found } from "./finder.ts";
import { inodeOf, isSameBirth, placeOf } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import type { Pause } from "./pause.ts";
import { familyOf } from "./rotated-names.ts";
import { filesIn, statIfThere } from "./siblings.ts";

export class Families {
  readonly #catalog: Catalog;
  /** Per family, when the newest of its contents had been changed at the last scan. */
  readonly #since = new Map<string, number>();
  /** Files beside logs that were there before us. */
  #ignored = new Set<string>();
  /** Files that have qualified once, but are not decided yet: compressed and not complete, or taken for another. */
  #awaited = new Set<string>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Says what was known before the first scan. */
  expect({ family }: LogFile, mtime: number): void {
    this.#since.set(family, Math.max(mtime, this.#since.get(family) ?? 0));
  }

  /** It qualifies, whatever its times say when it is complete. */
  awaits(stats: Stats): void {
    this.#awaited.add(keyOf(stats));
  }

  async unseen(found: ReadonlyMap<string, Found>, pause: Pause): Promise<Found[]> {
    const unseen: Found[] = [];
    const ignored = new Set<string>();
    const awaited = new Set<string>();
    for (const folder of foldersOf(this.#since.keys())) {
      for (const path of filesIn(folder)) {
        pause.add(1);
        await pause.take();
        const family = familyOf(path);
        const since = this.#since.get(family);
        if (since === undefined || path === family) continue;
        const stats = statIfThere(path);
        if (stats?.isFile() !== true || found.has(inodeOf(stats))) continue;
        const key = keyOf(stats);
        // Programs that keep times may know milliseconds only.
        const qualifies = stats.mtimeMs >= Math.floor(since) || this.#awaited.has(key);
        const isIgnored = this.#ignored.has(key) || !qualifies;
        if (!isIgnored) awaited.add(key);
        const held = this.#catalog.holder(stats)?.where?.place;
        // An inode that was used again belongs to nobody yet.
        if (held !== undefined && isSameBirth(held, placeOf(stats))) continue;
        if (isIgnored) ignored.add(key);
        else unseen.push({ path, stats, names: [], isLinked: false });
      }
    }
    this.#ignored = ignored;
    this.#awaited = awaited;
    return unseen;
  }

  /** After a scan. What stands beside a log when it is found was there before us, and is not ours to read. */
  async note(pause: Pause): Promise<void> {
    const { families } = this.#catalog;
    const fresh = new Set<string>();
    for (const [family, logs] of families) {
      if (!this.#since.has(family)) fresh.add(family);
      let newest = this.#since.get(family) ?? 0;
      for (const { mtime } of logs) newest = Math.max(newest, mtime);
      this.#since.set(family, newest);
    }
    for (const folder of foldersOf(fresh)) {
      for (const path of filesIn(folder)) {
        pause.add(1);
        await pause.take();
        const family = familyOf(path);
        const stats = path !== family && fresh.has(family) ? statIfThere(path) : undefined;
        if (stats !== undefined && this.#catalog.holder(stats) === undefined) this.#ignored.add(keyOf(stats));
      }
    }
    for (const family of this.#since.keys()) if (!families.has(family)) this.#since.delete(family);
  }
}

function foldersOf(families: Iterable<string>): Set<string> {
  return new Set([...families].map((family) => dirname(family)));
}

function keyOf(stats: Stats): string {
  return `${inodeOf(stats)}:${stats.birthtimeMs}`;
}

/** All contents that are known, by where they stand and by what the application calls them. */
import type { CheckpointStore } from "../delivery/delivery.ts";
import type { Descriptors } from "./descriptors.ts";
import { inodeOf, parseIdentity, type Place } from "./identity.ts";
import type { RecentBytes } from "./recent-bytes.ts";
import type { LogFile, Whereabouts } from "./log-file.ts";

/** A checkpoint's identity is written anew at most so often for the sake of what was read since; with many files less often. */
const REMEMBER_MS = 1_000;
const FILES_PER_REMEMBER = 500;

export class Catalog {
  readonly #logs = new Set<LogFile>();
  readonly #byInode = new Map<string, LogFile>();
  readonly #byName = new Map<string, Set<LogFile>>();
  readonly #checkpoints: CheckpointStore;
  readonly #descriptors: Descriptors;
  readonly #recent: RecentBytes;
  #generation: number | undefined;

  constructor(checkpoints: CheckpointStore, descriptors: Descriptors, recent: RecentBytes) {
    this.#recent = recent;
    this.#checkpoints = checkpoints;
    this.#descriptors = descriptors;
  }

  get logs(): ReadonlySet<LogFile> {
    return this.#logs;
  }

  /** All contents by family. */
  get families(): ReadonlyMap<string, ReadonlySet<LogFile>> {
    return this.#byName;
  }

  /** Whose content stands in this inode. */
  holder(inode: { readonly dev: number; readonly ino: number }): LogFile | undefined {
    return this.#byInode.get(inodeOf(inode));
  }

  /** Everything that was ever written under the names of this family and is still known, oldest first. */
  namesakes(family: string): ReadonlySet<LogFile> {
    return this.#byName.get(family) ?? new Set();
  }

  add(log: LogFile): void {
    this.#logs.add(log);
    const namesakes = this.#byName.get(log.family);
    if (namesakes === undefined) this.#byName.set(log.family, new Set([log]));
    else namesakes.add(log);
    this.place(log, log.where);
  }

  /** Says where its content stands from now on. */
  place(log: LogFile, where: Whereabouts | undefined): void {
    const former = log.where === undefined ? undefined : inodeOf(log.where.place);
    if (former !== undefined && this.#byInode.get(former) === log) this.#byInode.delete(former);
    log.where = where;
    if (where !== undefined) this.#byInode.set(inodeOf(where.place), log);
  }

  /** Its content is nowhere any more and delivered. */
  forget(log: LogFile): void {
    this.#descriptors.close(log);
    this.place(log, undefined);
    this.#logs.delete(log);
    this.#recent.forget(log);
    const namesakes = this.#byName.get(log.family);
    namesakes?.delete(log);
    if (namesakes?.size === 0) this.#byName.delete(log.family);
    this.#checkpoints.forget(log.origin.key);
  }

  /** Never used before, whatever becomes of inodes. */
  newKey({ dev, ino }: Place): string {
    if (this.#generation === undefined) {
      let latest = 0;
      for (const { key } of this.#checkpoints.all())
        latest = Math.max(latest, Number(/:(\d+)$/.exec(key)?.[1] ?? 0));
      this.#generation = latest;
    }
    this.#generation += 1;
    return `${dev}:${ino}:${this.#generation}`;
  }

  /** Offset up to which everybody has it. */
  delivered(log: LogFile): number {
    return this.#checkpoints.get(log.origin.key)?.offset ?? log.begin;
  }

  isDelivered(log: LogFile): boolean {
    return !log.hasHandedOut || this.delivered(log) >= log.readTo;
  }

  /** Where it is found again after a restart. What was read since is noted now and then; the rest at once. */
  remember(log: LogFile, now: number): void {
    const { where, head, readTo, remembered } = log;
    if (where === undefined) return;
    const isSame =
      remembered?.where === where &&
      remembered.head === head &&
      remembered.wholeSize === log.wholeSize &&
      remembered.finishedAt === log.finishedAt;
    const isDue = remembered === undefined || now - remembered.at >= this.#rememberMs();
    if (isSame && (remembered.readTo === readTo || !isDue)) return;
    const { wholeSize, finishedAt } = log;
    log.remembered = { where, head, readTo, wholeSize, finishedAt, at: now };
    this.#checkpoints.remember(log.origin.key, log.identity(), log.hasHandedOut ? log.begin : readTo);
  }

  #rememberMs(): number {
    return REMEMBER_MS * (1 + Math.floor(this.#logs.size / FILES_PER_REMEMBER));
  }

  /** Checkpoints of files that one of our patterns names. Others share the store. */
  *stored(isOurs: (name: string) => boolean) {
    for (const { key, offset, identity } of this.#checkpoints.all()) {
      const known = parseIdentity(identity);
      if (known !== undefined && isOurs(known.name)) yield { key, offset, identity: known };
    }
  }
}

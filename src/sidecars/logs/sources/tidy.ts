/** Lets go of files that are read and out of the way, and forgets those of which nothing is left. */
import { fstatSync } from "node:fs";
import { hasWriter } from "../../../lib/file-calls.ts";
import type { Catalog } from "./catalog.ts";
import type { Descriptors } from "./descriptors.ts";
import type { LogFile } from "./log-file.ts";

export interface TidyOptions {
  readonly catalog: Catalog;
  readonly descriptors: Descriptors;
  readonly monotonic: () => number;
  readonly quietMs: number;
}

/** Somebody may still write to a file that has no name any more; nobody knows where the kernel does not say. */
const QUIETS_UNLINKED = 12;

export class Tidy {
  readonly #options: TidyOptions;

  constructor(options: TidyOptions) {
    this.#options = options;
  }

  tend(log: LogFile): void {
    const { catalog, descriptors } = this.#options;
    if (log.leavingSince === undefined || log.isReplaced || !log.isCaughtUp) return;
    if (log.hasHandedOut && !log.hasSaidLast) return;
    if (log.fd !== undefined && this.#mayClose(log, log.fd)) descriptors.close(log);
    if ((log.isGone || (log.isRemoved && log.fd === undefined)) && catalog.isDelivered(log))
      catalog.forget(log);
  }

  #mayClose(log: LogFile, fd: number): boolean {
    const { catalog, monotonic, quietMs } = this.#options;
    const quietFor = monotonic() - Math.max(log.changedAt, log.leavingSince ?? 0);
    if (quietFor < quietMs) return false;
    if (fstatSync(fd).nlink > 0) return true;
    if (hasWriter(fd) !== false && quietFor < QUIETS_UNLINKED * quietMs) return false;
    catalog.place(log, undefined);
    return true;
  }
}

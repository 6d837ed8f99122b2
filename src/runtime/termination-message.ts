/**
 * Keeps the container's termination message true while the process ends, so that `kubectl describe pod` tells what was not
 * delivered also when Kubernetes kills us on the way.
 */
import { closeSync, constants, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Clock } from "../kernel/clock.ts";
import type { Undelivered } from "../kernel/sidecar.ts";
import type { SidecarStatus } from "./view.ts";

/** What the kubelet reads of a container's message at most. */
const MAX_BYTES = 4096;
/** First after this time, so that a quick end leaves nothing to read and nothing to do; KEP-753 gives 2 s. */
const FIRST_MS = 1_000;
const CHECK_MS = 250;
/** Of the words of one cause. */
const MAX_CAUSE = 200;

export class TerminationMessage {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #statuses: () => readonly SidecarStatus[];
  #file: number | undefined;
  #written = Buffer.alloc(0);
  #cancel: (() => void) | undefined;

  /** `path` is that of a file which the kubelet made; without it, or where it may not be written, nothing happens. */
  constructor(path: string, clock: Clock, statuses: () => readonly SidecarStatus[]) {
    this.#path = path;
    this.#clock = clock;
    this.#statuses = statuses;
  }

  /** From SIGTERM on. */
  begin(): void {
    this.#file = openExisting(this.#path);
    if (this.#file !== undefined) this.#cancel = this.#clock.schedule(FIRST_MS, () => this.#check());
  }

  /** The last word. */
  end(): void {
    this.#cancel?.();
    if (this.#file === undefined) return;
    this.#write(this.#file);
    closeSync(this.#file);
    this.#file = undefined;
  }

  #check(): void {
    if (this.#file === undefined) return;
    this.#write(this.#file);
    this.#cancel = this.#clock.schedule(CHECK_MS, () => this.#check());
  }

  /** The file is a mount of its own and cannot be replaced: one call overwrites all of it, so that no half of it is ever read. */
  #write(file: number): void {
    const text = Buffer.from(terminationText(this.#statuses()));
    if (text.equals(this.#written)) return;
    const padded = Buffer.alloc(Math.max(text.length, this.#written.length), " ");
    text.copy(padded);
    try {
      writeSync(file, padded, 0, padded.length, 0);
      ftruncateSync(file, text.length);
      this.#written = text;
    } catch {
      // A full or broken disk of the node: the log says the same.
    }
  }
}

/**
 * One line of JSON: `undelivered` (records, bytes, keptBytes) per sidecar that has some, and the cause per sidecar that is
 * failing. Empty when there is neither. What would be too long is left out from the end and counted in `more`.
 */
export function terminationText(statuses: readonly SidecarStatus[]): string {
  const undelivered = statuses.flatMap(({ name, undelivered }) =>
    undelivered === undefined || isNothing(undelivered) ? [] : [[name, undelivered] as const],
  );
  const failing = statuses.flatMap(({ name, health, cause }) =>
    health === "failing" && cause !== undefined
      ? [[name, `${cause.code}: ${cause.message.slice(0, MAX_CAUSE)}`] as const]
      : [],
  );
  const all = undelivered.length + failing.length;
  for (let kept = all; kept > 0; kept -= 1) {
    const told = {
      ...asObject("undelivered", undelivered.slice(0, kept)),
      ...asObject("failing", failing.slice(0, Math.max(0, kept - undelivered.length))),
      ...(kept < all ? { more: all - kept } : {}),
    };
    const text = JSON.stringify(told);
    if (Buffer.byteLength(text) <= MAX_BYTES) return text;
  }
  return "";
}

function asObject(key: string, entries: ReadonlyArray<readonly [string, unknown]>): object {
  return entries.length === 0 ? {} : { [key]: Object.fromEntries(entries) };
}

function isNothing({ records, bytes }: Undelivered): boolean {
  return records === 0 && bytes === 0;
}

function openExisting(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

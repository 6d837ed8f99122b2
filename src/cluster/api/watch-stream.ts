/** Carries a watch from the store to one client at the client's pace, and gives up on clients that stop reading. */
import type { Clock } from "../../kernel/clock.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Store, WatchEvent, WatchQuery } from "../store/store.ts";
import type { Answer, Sink } from "./exchange.ts";

/** What may wait, encoded, for a client that has stopped reading; beyond it the watch ends and the client lists again. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** Events are written together up to this size. */
const CHUNK_BYTES = 64 * 1024;
/** A client is told at once, and then not again for this long. */
const GATHER_MS = 5;
/** Objects whose text is kept for the next client that is told of them, and of how much text that may be. */
const MAX_TEXTS = 32;
const MAX_TEXTS_LENGTH = 4 * 1024 * 1024;
/** `bookmarkFrequency` of the real watch cache. */
const BOOKMARK_MS = 60_000;
/** `minRequestTimeout`: watches without a timeout end after 30 to 60 minutes. */
const MIN_TIMEOUT_SECONDS = 1_800;
/** Timers of more than 24 days would go off at once. */
const MAX_TIMEOUT_SECONDS = 86_400;

export interface WatchParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly resource: GroupResource;
  readonly query: WatchQuery;
  readonly allowBookmarks: boolean;
  readonly timeoutSeconds: number | undefined;
  /** The event's object as this client asked to see it. */
  readonly present: (event: WatchEvent) => object;
  /** The object of a bookmark that says nothing but the version. */
  readonly bookmark: (resourceVersion: string) => KubeObject;
  readonly signal: AbortSignal;
}

/**
 * Subscribes now, so that a malformed version is still an HTTP error; a version that is too old is an `ERROR` event, as on
 * the real server.
 */
export function openWatch(parts: WatchParts): Answer {
  const stream = new WatchStream(parts);
  stream.subscribe();
  return { kind: "stream", contentType: "application/json", run: (sink) => stream.run(sink) };
}

class WatchStream {
  readonly #parts: WatchParts;
  /** Events not yet encoded, and lines that are. */
  #queue: (WatchEvent | string)[] = [];
  #pendingBytes = 0;
  /** True while the client is behind; only then does memory grow with every event. */
  #blocked = false;
  #ended = false;
  #lastWriteAt = Number.NEGATIVE_INFINITY;
  #overflowed = false;
  #wake: () => void = () => {};
  readonly #cleanups: (() => void)[] = [];

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  subscribe(): void {
    const { store, resource, query, signal } = this.#parts;
    const end = () => this.#end();
    signal.addEventListener("abort", end);
    this.#cleanups.push(() => signal.removeEventListener("abort", end));
    try {
      this.#cleanups.push(store.watch(resource, query, (event) => this.#receive(event)));
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "Expired") throw error;
      this.#queue.push(line("ERROR", error.toStatus()));
      this.#ended = true;
    }
    this.#schedule();
    if (signal.aborted) this.#end();
  }

  async run(sink: Sink): Promise<void> {
    try {
      for (;;) {
        const chunk = this.#nextChunk();
        if (chunk !== "") {
          this.#lastWriteAt = performance.now();
          if (!sink.write(chunk)) await this.#catchUp(sink);
        } else if (this.#ended || sink.signal.aborted) {
          break;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          await this.#gather();
        }
        if (this.#overflowed) throw new StatusError("TooManyRequests", "the client does not read its watch");
      }
    } finally {
      this.#end();
    }
  }

  /**
   * Who wrote is answered first, and of many writes in a row several are told in one go: for many clients most of the work is
   * done once per go. Not a matter of the cluster's clock, since nothing is decided by it.
   */
  async #gather(): Promise<void> {
    const early = this.#lastWriteAt + GATHER_MS - performance.now();
    await new Promise<void>((resolve) => {
      if (early > 0 && !this.#ended) setTimeout(resolve, early);
      else setImmediate(resolve);
    });
  }

  async #catchUp(sink: Sink): Promise<void> {
    this.#blocked = true;
    await Promise.race([sink.drained(), new Promise<void>((resolve) => (this.#wake = resolve))]);
    // Woken by the end or by an overflow the loop goes on; everything else waits for the reader.
    if (!this.#ended && !sink.signal.aborted) await sink.drained();
    this.#blocked = false;
  }

  #receive(event: WatchEvent): void {
    if (this.#ended) return;
    if (!this.#blocked) {
      this.#queue.push(event);
      this.#wake();
      return;
    }
    const text = this.#encode(event);
    this.#pendingBytes += text.length;
    this.#queue.push(text);
    if (this.#pendingBytes > MAX_PENDING_BYTES) {
      this.#overflowed = true;
      this.#queue = [];
      this.#end();
    }
  }

  #nextChunk(): string {
    let chunk = "";
    let taken = 0;
    for (const item of this.#queue) {
      if (chunk.length >= CHUNK_BYTES) break;
      taken += 1;
      if (typeof item === "string") this.#pendingBytes -= item.length;
      chunk += typeof item === "string" ? item : this.#encode(item);
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken);
    return chunk;
  }

  #encode(event: WatchEvent): string {
    return line(event.type, this.#parts.present(event));
  }

  #schedule(): void {
    const { clock, store, timeoutSeconds = 0, allowBookmarks, bookmark } = this.#parts;
    const seconds =
      timeoutSeconds > 0
        ? Math.min(timeoutSeconds, MAX_TIMEOUT_SECONDS)
        : MIN_TIMEOUT_SECONDS * (1 + Math.random());
    this.#cleanups.push(clock.schedule(seconds * 1_000, () => this.#end()));
    if (!allowBookmarks) return;
    let cancel = () => {};
    const again = () => {
      cancel = clock.schedule(BOOKMARK_MS, () => {
        // A timer runs outside the store's calls: every event up to this version has been queued before.
        this.#receive({ type: "BOOKMARK", object: bookmark(store.resourceVersion()) });
        again();
      });
    };
    again();
    this.#cleanups.push(() => cancel());
  }

  /** No more events are taken; those that wait are still written. */
  #end(): void {
    this.#ended = true;
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    this.#wake();
  }
}

function line(type: string, object: object): string {
  return `{"type":"${type}","object":${textOf(object)}}\n`;
}

/** Of objects told last, which never change: all that watch the same thing are told the same text. */
const texts = new Map<object, string>();
let textsLength = 0;

function textOf(object: object): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = JSON.stringify(object);
  texts.set(object, text);
  textsLength += text.length;
  for (const [oldest, { length }] of texts) {
    if (texts.size <= MAX_TEXTS && textsLength <= MAX_TEXTS_LENGTH) break;
    texts.delete(oldest);
    textsLength -= length;
  }
  return text;
}

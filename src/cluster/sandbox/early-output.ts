/**
 * What a container with standard input writes before anybody is attached. On a real node seconds pass until `kubectl run -i`
 * attaches, and a short program has ended by then: kubectl reads its log instead. Here the program is fast enough to have
 * written, but not to have ended; what it wrote would be shown by neither.
 */
import type { Clock } from "../../kernel/clock.ts";
import type { LogStream } from "./cri-lines.ts";

/** Bytes. A program that writes more is not waiting for somebody to attach. */
const LIMIT = 64 * 1024;
/** After the start; who attaches later gets the output from then on, as on a real node. */
const EARLY_MS = 5_000;

export class EarlyOutput {
  #kept: (readonly [stream: LogStream, chunk: Uint8Array])[] | undefined = [];
  #bytes = 0;
  readonly #cancel: () => void;

  constructor(clock: Clock) {
    this.#cancel = clock.schedule(EARLY_MS, () => this.forget());
  }

  /** Keeps a copy, as long as there is anything to keep it for. */
  keep(stream: LogStream, chunk: Uint8Array): void {
    if (this.#kept === undefined) return;
    this.#bytes += chunk.length;
    if (this.#bytes > LIMIT) this.forget();
    else this.#kept.push([stream, chunk.slice()]);
  }

  /** For the first client: all that was written, in its order; and nothing for anybody else. */
  take(): readonly (readonly [stream: LogStream, chunk: Uint8Array])[] {
    const kept = this.#kept ?? [];
    this.forget();
    return kept;
  }

  forget(): void {
    this.#kept = undefined;
    this.#cancel();
  }
}

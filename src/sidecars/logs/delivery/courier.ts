/** Carries one batch at a time to a sink and tells the lane when the answer is there, whatever the sink does. */
import type { Bell } from "../../../lib/bell.ts";
import type { Outcome, Piece, Sink } from "../sinks/sink.ts";

export class Courier {
  readonly #sink: Sink;
  readonly #bell: Bell;
  #abort = new AbortController();
  #isOut = false;
  #outcome: Outcome | undefined;

  constructor(sink: Sink, bell: Bell) {
    this.#sink = sink;
    this.#bell = bell;
  }

  /** True until the sink's last call has ended: a sink gets one call at a time, and some do not end when they are told to. */
  get isOut(): boolean {
    return this.#isOut;
  }

  /** What became of the batch that was sent last; undefined while nobody knows. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  send(pieces: readonly Piece[]): void {
    this.#outcome = undefined;
    this.#isOut = true;
    void this.#carry(pieces);
  }

  abort(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  async #carry(pieces: readonly Piece[]): Promise<void> {
    try {
      this.#outcome = await this.#sink.send(pieces, this.#abort.signal);
    } catch (because) {
      this.#outcome = { kind: "unavailable", because }; // A bug of the sink holds up its own lane only.
    }
    this.#isOut = false;
    this.#bell.ring();
  }
}

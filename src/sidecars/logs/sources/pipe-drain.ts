/** Takes bytes out of pipes and into a spool, so that a kill at any moment loses none and writers wait when the spool is full. */
import { readSync } from "node:fs";
import { moveFromPipe, PipePeek, type PipeState, pipeState } from "../../../lib/pipes.ts";
import type { Spool } from "./spool.ts";

/** What one call takes at most: about a millisecond. */
export const TURN_BYTES = 2 ** 20;
/** How far one looks ahead for the end of a line. */
const PEEK_BYTES = 2 ** 16;
const NEWLINE = 0x0a;

/** "more": it stopped to let others have their turn. "full": the spool has no room. */
export type DrainState = PipeState | "more" | "full";

export class PipeDrain {
  readonly #spool: Spool;
  #peek: PipePeek | undefined;
  /** Whose line may be unfinished in the spool; undefined for what an earlier process left. */
  #last: number | undefined;
  #taken = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Bytes that were taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * `isLast`: whatever is in the pipe is lost afterwards, so the spool's bound does not count. Throws what the file system
   * says of the spool; the pipe's bytes stay in the pipe then.
   */
  drain(pipe: number, isLast = false): DrainState {
    let state = pipeState(pipe);
    if (state === "data" && this.#last !== undefined && this.#last !== pipe) this.#spool.endLine();
    const end = this.#taken + TURN_BYTES;
    while (state === "data" && this.#taken < end) {
      const room = isLast ? TURN_BYTES : this.#spool.room();
      if (room === 0) return "full";
      this.#last = pipe;
      const took = this.#take(pipe, Math.min(room, end - this.#taken));
      if (took === 0) return "full";
      this.#taken += took;
      state = pipeState(pipe);
    }
    if (state === "idle" && !this.#spool.endsLine) state = this.#askForWriters(pipe);
    // Whoever has left will not finish the line.
    if (state === "unwritten" && (this.#last ?? pipe) === pipe) this.#spool.endLine();
    return state === "data" ? "more" : state;
  }

  /** The pipe is closed: its number may come again for another. */
  forget(pipe: number): void {
    if (this.#last !== pipe) return;
    this.#last = -1;
  }

  close(): void {
    this.#peek?.close();
    this.#peek = undefined;
  }

  /** `poll` does not tell of writers that left before the pipe was opened; reading does. */
  #askForWriters(pipe: number): PipeState {
    const { fd: file, size: at } = this.#spool;
    const moved = moveFromPipe(pipe, { file, at, length: 1 });
    if (moved > 0) {
      this.#spool.advance(moved);
      this.#taken += moved;
    }
    return moved === 0 ? "unwritten" : pipeState(pipe);
  }

  #take(pipe: number, most: number): number {
    const { isDue, endsLine, untilDue, fd: file, size: at } = this.#spool;
    // A segment ends behind a line: no more than the rest of that line is taken.
    const length = Math.min(most, isDue && !endsLine ? this.#restOfLine(pipe) : untilDue);
    const moved = moveFromPipe(pipe, { file, at, length });
    if (moved <= 0) return this.#copy(pipe, length);
    this.#spool.advance(moved);
    return moved;
  }

  #restOfLine(pipe: number): number {
    const ahead = this.#look(pipe);
    const end = ahead.indexOf(NEWLINE);
    return end < 0 ? Math.max(1, ahead.length) : end + 1;
  }

  /** Where the file system cannot splice, and where only it knows what is wrong: into the file first, then out of the pipe. */
  #copy(pipe: number, most: number): number {
    const bytes = this.#look(pipe).subarray(0, most);
    if (bytes.length === 0) return 0;
    this.#spool.append(bytes);
    // What is read is known already, and nobody else reads this pipe.
    return readSync(pipe, bytes, 0, bytes.length, null);
  }

  #look(pipe: number): Uint8Array {
    this.#peek ??= new PipePeek(PEEK_BYTES);
    return this.#peek.look(pipe);
  }
}

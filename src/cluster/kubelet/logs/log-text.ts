/** Turns the bytes of CRI log files into the text that `kubectl logs` prints. */
import { parseCriLine } from "./cri-line.ts";

const NEWLINE = 0x0a;

export interface LogTextOptions {
  readonly timestamps: boolean;
  /** RFC 3339 with nine digits, UTC: lines before it are left out. */
  readonly since?: string;
  /** Bytes after which the text is cut. */
  readonly limitBytes?: number;
}

/** Holds at most one unfinished line of the file. */
export class LogText {
  readonly #options: LogTextOptions;
  #carry: Buffer = Buffer.alloc(0);
  #isAtLineStart = true;
  #left: number;

  constructor(options: LogTextOptions) {
    this.#options = options;
    this.#left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The limit has been reached: nothing comes after this. */
  get isDone(): boolean {
    return this.#left <= 0;
  }

  /** The text of the whole lines that are complete with this piece of the file. */
  push(piece: Buffer): Buffer {
    const bytes = this.#carry.length === 0 ? piece : Buffer.concat([this.#carry, piece]);
    const parts: Buffer[] = [];
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#add(parts, bytes, { start, end });
      start = end + 1;
    }
    // A copy: the piece may be a view of a buffer that is used again.
    this.#carry = Buffer.from(bytes.subarray(start));
    return this.#cut(Buffer.concat(parts));
  }

  #add(
    parts: Buffer[],
    bytes: Buffer,
    { start, end }: { readonly start: number; readonly end: number },
  ): void {
    const line = parseCriLine(bytes, start, end);
    if (line === undefined || (this.#options.since !== undefined && line.time < this.#options.since)) return;
    if (this.#options.timestamps && this.#isAtLineStart) parts.push(Buffer.from(`${line.time} `, "latin1"));
    // A full line's newline is the file's own.
    parts.push(bytes.subarray(line.textStart, line.isFull ? end + 1 : end));
    this.#isAtLineStart = line.isFull;
  }

  #cut(text: Buffer): Buffer {
    const cut = text.length > this.#left ? text.subarray(0, this.#left) : text;
    this.#left -= cut.length;
    return cut;
  }
}

/** The form in which log times are compared; `undefined` for a text that is no time. */
export function logTime(unixMs: number): string | undefined {
  if (!Number.isFinite(unixMs)) return undefined;
  return new Date(unixMs).toISOString().replace("Z", "000000Z");
}

/** Cuts chunks of bytes into lines of text without losing a byte: fast where the bytes are UTF-8, exact where they are not. */
import type { Chunk } from "../sources/chunk.ts";
import { decodeMarked, unfinishedTail } from "./marked-text.ts";

/** The lines of one chunk. */
export interface Lines {
  /** Without their line ends, `\n` or `\r\n`. */
  readonly texts: readonly string[];
  /** Offset behind each line's last byte, line end included. */
  readonly ends: readonly number[];
  /** Offset of the first byte. */
  readonly start: number;
  /** Which of them are only a part of a line beyond the limit. */
  readonly cuts: ReadonlySet<number> | undefined;
}

const NOTHING = new Uint8Array();
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const NEWLINE = 10;
const RETURN = 13;

export class LineSplitter {
  readonly #keepsEmpty: boolean;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The end of a cut line that only the next bytes make whole: a part of a character, or a carriage return. */
  #carry: Uint8Array = NOTHING;
  #position = 0;
  #isWithinLine = false;
  #isFresh = true;
  /** Nothing but NULs since offset 0: the hole that a truncation under an open writer leaves. */
  #isInHole = false;
  #hasMarks = false;

  /** `keepsEmpty`: hand out empty lines too, because they can stand inside an event. */
  constructor({ keepsEmpty }: { readonly keepsEmpty: boolean }) {
    this.#keepsEmpty = keepsEmpty;
  }

  /** Whether any text so far may hold marks for bytes that are not UTF-8. */
  get hasMarks(): boolean {
    return this.#hasMarks;
  }

  /** Offset of the first byte that is read and in no line yet. */
  get pendingFrom(): number | undefined {
    if (this.#isInHole && this.#position > 0) return 0;
    return this.#carry.length === 0 ? undefined : this.#position - this.#carry.length;
  }

  /** Whether the chunk goes on where the last one ended. */
  follows({ start }: Chunk): boolean {
    return this.#isFresh || start === this.#position;
  }

  /** Forgets where it is: the next chunk is the begin of something else. */
  restart(): void {
    this.#carry = NOTHING;
    this.#isWithinLine = false;
    this.#isFresh = true;
    this.#isInHole = false;
  }

  split({ start, bytes, isCut }: Chunk): Lines {
    const hasCarry = this.#carry.length > 0;
    const all = hasCarry ? Buffer.concat([this.#carry, bytes]) : bytes;
    this.#position = start + bytes.length;
    const kept = isCut ? unfinishedTail(all) : 0;
    this.#carry = kept === 0 ? NOTHING : all.slice(all.length - kept);
    const from = this.#position - all.length;
    this.#isFresh = false;
    const isAtBegin = from === 0 || this.#isInHole;
    const skipped = isAtBegin ? noTextAt(all, from) : 0;
    this.#isInHole = isAtBegin && skipped === all.length;
    return this.#cut(all.subarray(skipped, all.length - kept), from + skipped, isCut);
  }

  /** What is pending, as the part of a line that it is. */
  takeCarry(): Lines {
    this.#isInHole = false;
    const bytes = this.#carry;
    this.#carry = NOTHING;
    return this.#cut(bytes, this.#position - bytes.length, true);
  }

  #cut(bytes: Uint8Array, from: number, isCut: boolean): Lines {
    const texts: string[] = [];
    const ends: number[] = [];
    const text = this.#decode(bytes);
    // Every sequence of more than one byte has fewer UTF-16 units than bytes: at equal length positions are offsets.
    const isFlat = text.length === bytes.length;
    let end = 0;
    for (let at = 0, found = 0; at < text.length; at = found + 1) {
      found = text.indexOf("\n", at);
      if (found < 0) break;
      const stop = found > at && text.charCodeAt(found - 1) === RETURN ? found - 1 : found;
      end = (isFlat ? found : bytes.indexOf(NEWLINE, end)) + 1;
      if (stop === at && !this.#keepsEmpty) continue;
      texts.push(text.slice(at, stop));
      ends.push(from + end);
    }
    const rest = end === bytes.length ? "" : text.slice(text.lastIndexOf("\n") + 1);
    if (rest !== "") {
      texts.push(rest);
      ends.push(from + bytes.length);
    }
    const cuts = this.#cutsOf({ text, hasRest: rest !== "" && isCut, count: texts.length });
    this.#isWithinLine = isCut && (rest !== "" || (this.#isWithinLine && text === ""));
    return { texts, ends, start: from, cuts };
  }

  #cutsOf(lines: { text: string; hasRest: boolean; count: number }): Set<number> | undefined {
    const { text, hasRest, count } = lines;
    const isFirst = this.#isWithinLine && !/^\r?(\n|$)/.test(text);
    if (!isFirst && !hasRest) return undefined;
    return new Set([...(isFirst ? [0] : []), ...(hasRest ? [count - 1] : [])]);
  }

  #decode(bytes: Uint8Array): string {
    try {
      return this.#decoder.decode(bytes);
    } catch {
      this.#hasMarks = true;
      return decodeMarked(bytes);
    }
  }
}

/** How many bytes at the begin of a file are no text: a byte order mark, or the NULs of a hole. */
function noTextAt(bytes: Uint8Array, from: number): number {
  if (from === 0 && BYTE_ORDER_MARK.every((byte, index) => bytes[index] === byte))
    return BYTE_ORDER_MARK.length;
  let count = 0;
  while (bytes[count] === 0) count++;
  return count;
}

/** Finds the last lines of a log from its end, without reading what is before them. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { parseCriLine } from "./cri-line.ts";

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A place in a log that consists of several files, oldest first. */
export interface LogPlace {
  readonly file: number;
  readonly offset: number;
}

/** Where the last `lines` whole lines begin. A line that was written in pieces counts once. */
export function tailPlace(files: readonly string[], lines: number): LogPlace {
  let wanted = lines;
  for (let file = files.length - 1; file >= 0; file--) {
    const scan = scanBack(files[file] ?? "", wanted);
    if (scan.offset !== undefined) return { file, offset: scan.offset };
    wanted = scan.wanted;
  }
  return { file: 0, offset: 0 };
}

/** `offset` is absent when the file has fewer lines; `wanted` is then what is still to be found before it. */
function scanBack(path: string, lines: number): { readonly offset?: number; readonly wanted: number } {
  const file = openIfThere(path);
  if (file === undefined) return { wanted: lines };
  try {
    return scanOpenFile(file, lines);
  } finally {
    closeSync(file);
  }
}

function scanOpenFile(file: number, lines: number): { readonly offset?: number; readonly wanted: number } {
  const size = fstatSync(file).size;
  let wanted = lines;
  for (const { start, isFull } of linesFromEnd(file, size)) {
    // A full line ends a logical line: the one before the first wanted one ends just before what was read last.
    if (isFull && wanted === 0) return { offset: start.end, wanted: 0 };
    if (isFull) wanted--;
  }
  return wanted === 0 ? { offset: 0, wanted: 0 } : { wanted };
}

interface LineFromEnd {
  readonly start: { readonly end: number };
  readonly isFull: boolean;
}

/** The lines of a file from the last to the first; `end` is the offset behind the line's newline. */
function* linesFromEnd(file: number, size: number): Generator<LineFromEnd> {
  let carry = Buffer.alloc(0);
  let position = size;
  while (position > 0) {
    const length = Math.min(BLOCK_BYTES, position);
    position -= length;
    const block = Buffer.concat([readAt(file, position, length), carry]);
    let end = block.length;
    for (;;) {
      const searchFrom = end >= 2 ? end - 2 : -1;
      const newline = searchFrom < 0 ? -1 : block.lastIndexOf(NEWLINE, searchFrom);
      if (newline < 0) break;
      yield lineFromEnd(block, { from: newline + 1, end, base: position });
      end = newline + 1;
    }
    carry = Buffer.from(block.subarray(0, end));
  }
  if (carry.length > 0) yield lineFromEnd(carry, { from: 0, end: carry.length, base: 0 });
}

function lineFromEnd(
  block: Buffer,
  { from, end, base }: { readonly from: number; readonly end: number; readonly base: number },
): LineFromEnd {
  const isWhole = block[end - 1] === NEWLINE;
  const line = parseCriLine(block, from, isWhole ? end - 1 : end);
  return { start: { end: base + end }, isFull: isWhole && line?.isFull !== false };
}

function readAt(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  let read = 0;
  while (read < length) {
    const got = readSync(file, buffer, read, length - read, position + read);
    if (got === 0) break;
    read += got;
  }
  return buffer.subarray(0, read);
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The text of the last lines, cut to the last `bytes`; for termination messages. Never throws. */
export function lastLogLines(
  path: string,
  { lines, bytes }: { readonly lines: number; readonly bytes: number },
): string {
  try {
    const { offset } = tailPlace([path], lines);
    const file = openIfThere(path);
    if (file === undefined) return "";
    try {
      // Twice the bytes are enough for the text and what the log format adds to reasonable lines.
      const { size } = fstatSync(file);
      const from = Math.max(offset, size - 64 * bytes);
      const text = textOf(readAt(file, from, size - from), from === offset);
      return Buffer.from(text, "utf8").subarray(-bytes).toString("utf8");
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return `Error on reading termination message from logs: ${String(error)}`;
  }
}

function textOf(buffer: Buffer, isAtLineStart: boolean): string {
  let text = "";
  let start = isAtLineStart ? 0 : buffer.indexOf(NEWLINE) + 1;
  while (start < buffer.length) {
    const newline = buffer.indexOf(NEWLINE, start);
    const end = newline < 0 ? buffer.length : newline;
    const line = parseCriLine(buffer, start, end);
    if (line !== undefined) text += buffer.toString("utf8", line.textStart, end) + (line.isFull ? "\n" : "");
    start = end + 1;
  }
  return text;
}

/** The 512-byte header blocks of tar archives (POSIX.1-2024 pax, ustar, GNU) as values. */
import { ArchiveError } from "./archive-error.ts";

export const BLOCK_BYTES = 512;

/** One header block. Names are byte strings: one character per byte, because tar knows no encoding. */
export interface TarHeader {
  readonly name: string;
  readonly linkName: string;
  /** The type flag; `0` also for the old NUL. */
  readonly type: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the Unix epoch. */
  readonly mtime: number;
}

/** Keys and byte-string values of a pax extended header. */
export type PaxRecords = ReadonlyMap<string, string>;

/** Undefined for a block of zeros, the end mark. Throws `ArchiveError` for a wrong checksum or a number that is none. */
export function parseHeader(block: Uint8Array): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  checkSum(block);
  const magic = text(block, 257, 6);
  const prefix = magic === "ustar" ? text(block, 345, 155) : "";
  const name = text(block, 0, 100);
  const type = String.fromCodePoint(block[156] ?? 0);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkName: text(block, 157, 100),
    type: type === "\0" ? "0" : type,
    size: size(block),
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    mtime: number(block, 136, 12),
  };
}

/** Parses `LENGTH KEY=VALUE\n` records. Throws `ArchiveError`. */
export function parsePax(data: Uint8Array): PaxRecords {
  const records = new Map<string, string>();
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const digits = space === -1 || space - at > 10 ? "" : byteString(data.subarray(at, space));
    const end = at + Number(digits);
    if (!/^[1-9]\d*$/.test(digits) || end > data.length || data[end - 1] !== 0x0a) {
      throw new ArchiveError("a pax header has a record of wrong length");
    }
    const record = byteString(data.subarray(space + 1, end - 1));
    const equals = record.indexOf("=");
    if (equals <= 0) throw new ArchiveError("a pax header has a record without a key");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}

/** One character per byte. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** A byte string for people: UTF-8 where it is, control characters made harmless. */
export function readable(name: string): string {
  return Buffer.from(name, "latin1")
    .toString("utf8")
    .replaceAll(/\p{Cc}/gu, "\u{FFFD}")
    .slice(0, 200);
}

function text(block: Uint8Array, start: number, length: number): string {
  const field = byteString(block.subarray(start, start + length));
  const end = field.indexOf("\0");
  return end === -1 ? field : field.slice(0, end);
}

function size(block: Uint8Array): number {
  const value = number(block, 124, 12);
  if (value < 0) throw new ArchiveError("a member has a negative size");
  return value;
}

/** Octal, or GNU base-256 when the first bit is set. */
function number(block: Uint8Array, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) return base256(block.subarray(start, start + length));
  const digits = text(block, start, length).trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw new ArchiveError("a header has a number that is not octal");
  return Number.parseInt(digits, 8);
}

function base256(field: Uint8Array): number {
  const isNegative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (isNegative) value -= 1n << BigInt(field.length * 8 - 1);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw new ArchiveError("a header has a number that is too large");
  return result;
}

/** The sum of all bytes with the sum's own field as spaces; old writers summed signed bytes. */
function checkSum(block: Uint8Array): void {
  const wanted = number(block, 148, 8);
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  if (wanted !== unsigned && wanted !== signed) throw new ArchiveError("a header has a wrong checksum");
}

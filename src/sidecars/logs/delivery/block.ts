/** One block of a disk buffer: pieces that were written together, behind a header that tells whether they are as they were. */
import { crc32 } from "node:zlib";
import type { Piece } from "../sinks/sink.ts";

/** "PlnB" */
const MAGIC = 0x506c6e42;
/** Magic, length of the content, its checksum, records, bytes of their texts, checksum of the header itself. */
export const HEADER_BYTES = 24;
const HEADER_SUMMED = 20;

export interface BlockHeader {
  /** Bytes of content behind the header. */
  readonly length: number;
  readonly checksum: number;
  readonly records: number;
  /** Of texts. */
  readonly bytes: number;
}

/** What is written and read: pieces, and where each came from. */
export interface Kept {
  readonly piece: Piece;
  /** Bytes of its text. */
  readonly size: number;
  /** The file that it came from, as people know it. */
  readonly path: string;
}

/** Flat, so that there is one object to parse however many pieces; 0 stands for a group or path equal to the one before. */
type Content = (string | 0)[];
const FIELDS = 5;

/** The block stands in `scratch` where it has room: an outage must not fill the memory with buffers that wait to be collected. */
export function encodeBlock(kept: readonly Kept[], scratch: Buffer): Buffer {
  const content: Content = [];
  let bytes = 0;
  let group: string | undefined;
  let lastPath: string | undefined;
  for (const { piece, size, path } of kept) {
    content.push(piece.text, piece.group === group ? 0 : piece.group, piece.nanos, piece.id);
    content.push(path === lastPath ? 0 : path);
    ({ group } = piece);
    lastPath = path;
    bytes += size;
  }
  const json = JSON.stringify(content);
  const length = Buffer.byteLength(json);
  const size = HEADER_BYTES + length;
  const block = size <= scratch.length ? scratch.subarray(0, size) : Buffer.allocUnsafe(size);
  block.write(json, HEADER_BYTES);
  block.writeUInt32BE(MAGIC, 0);
  block.writeUInt32BE(length, 4);
  block.writeUInt32BE(crc32(block.subarray(HEADER_BYTES)), 8);
  block.writeUInt32BE(kept.length, 12);
  block.writeUInt32BE(bytes, 16);
  block.writeUInt32BE(crc32(block.subarray(0, HEADER_SUMMED)), HEADER_SUMMED);
  return block;
}

/** Undefined when these bytes are no header of ours. */
export function decodeHeader(bytes: Buffer): BlockHeader | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return undefined;
  if (bytes.readUInt32BE(HEADER_SUMMED) !== crc32(bytes.subarray(0, HEADER_SUMMED))) return undefined;
  return {
    length: bytes.readUInt32BE(4),
    checksum: bytes.readUInt32BE(8),
    records: bytes.readUInt32BE(12),
    bytes: bytes.readUInt32BE(16),
  };
}

/** Undefined when the content is not what was written. */
export function decodeContent({ checksum, length }: BlockHeader, content: Buffer): Kept[] | undefined {
  if (content.length !== length || crc32(content) !== checksum) return undefined;
  // The checksum is right: this is what `encodeBlock` wrote.
  const flat = JSON.parse(content.toString("utf8")) as Content;
  const kept: Kept[] = [];
  let group = "";
  let lastPath = "";
  for (let at = 0; at < flat.length; at += FIELDS) {
    const [text, named, nanos, id, path] = flat.slice(at, at + FIELDS);
    group = typeof named === "string" ? named : group;
    lastPath = typeof path === "string" ? path : lastPath;
    const piece: Piece = { text: String(text), group, nanos: String(nanos), id: String(id) };
    kept.push({ piece, size: Buffer.byteLength(piece.text), path: lastPath });
  }
  return kept;
}

/** One file of a disk buffer: whole blocks one behind the other. */
import { closeSync, fstatSync, openSync, readSync, truncateSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type BlockHeader, decodeContent, decodeHeader, HEADER_BYTES, type Kept } from "./block.ts";

const NAME = /^(\d{10})\.segment$/;

export interface Segment {
  readonly number: number;
  readonly path: string;
  /** Bytes that hold whole blocks. */
  size: number;
  /** Records and bytes of texts from its first block to its last. */
  records: number;
  bytes: number;
  /** Something in it could not be read: it is set aside instead of being removed. */
  isDamaged: boolean;
}

export function newSegment(folder: string, number: number): Segment {
  const path = join(folder, `${String(number).padStart(10, "0")}.segment`);
  return { number, path, size: 0, records: 0, bytes: 0, isDamaged: false };
}

/** The number in a file's name; undefined when it is no segment. */
export function segmentNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export interface Scanned {
  readonly segment: Segment;
  /** Bytes at the end that hold no whole block. */
  readonly brokenBytes: number;
}

/** Adds up a file's blocks by their headers, up to `end` at most. Contents are checked when they are read. */
export function scanSegment(folder: string, number: number, end = Number.MAX_SAFE_INTEGER): Scanned {
  const segment = newSegment(folder, number);
  const file = openSync(segment.path, "r");
  try {
    const limit = Math.min(end, fstatSync(file).size);
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    while (segment.size + HEADER_BYTES <= limit) {
      readSync(file, header, 0, HEADER_BYTES, segment.size);
      const found = decodeHeader(header);
      const next = segment.size + HEADER_BYTES + (found?.length ?? 0);
      if (found === undefined || next > limit) break;
      segment.size = next;
      segment.records += found.records;
      segment.bytes += found.bytes;
    }
    const wanted = end === Number.MAX_SAFE_INTEGER ? limit : end;
    return { segment, brokenBytes: wanted - segment.size };
  } finally {
    closeSync(file);
  }
}

export function truncateSegment({ path }: Segment, size: number): void {
  truncateSync(path, size);
}

export type ReadBlock =
  | { readonly is: "whole"; readonly header: BlockHeader; readonly kept: Kept[] }
  /** The header is right and the content is not. */
  | { readonly is: "damaged"; readonly header: BlockHeader }
  /** Nothing behind this place can be found either. */
  | { readonly is: "lost" };

/** Reads the block at an offset. Rejects with the file system's errors. */
export async function readBlock(path: string, offset: number): Promise<ReadBlock> {
  const file = await open(path, "r");
  try {
    const header = decodeHeader(await readExactly(file, offset, HEADER_BYTES));
    if (header === undefined) return { is: "lost" };
    const { size } = await file.stat();
    // A length that was damaged together with its checksum must not cost memory.
    if (offset + HEADER_BYTES + header.length > size) return { is: "lost" };
    const content = await readExactly(file, offset + HEADER_BYTES, header.length);
    const kept = decodeContent(header, content);
    return kept === undefined ? { is: "damaged", header } : { is: "whole", header, kept };
  } finally {
    await file.close();
  }
}

/** Less only where the file ends. */
async function readExactly(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** What makes a file the same file after renames, restarts and copies: where it stands, and what stands in it. */
import { readSync, type Stats } from "node:fs";
import { z } from "zod";

/** Content is compared by its beginning, up to so many bytes; less while the file is shorter. */
export const HEAD_BYTES = 1024;
/** And by so many bytes before the place up to which it was read. */
export const TAIL_BYTES = 256;

/** Where content stands. Device numbers may change when a volume is mounted anew, inodes are used again. */
export interface Place {
  readonly dev: number;
  readonly ino: number;
  /** When the inode was made, milliseconds; 0 where the file system does not say. */
  readonly birth: number;
}

/** A part of a file, as its hash. */
export interface Part {
  readonly from: number;
  readonly length: number;
  readonly hash: string;
}

/** What checkpoints keep of a file. */
export interface Identity extends Place {
  /** The file as people know it; `path` is where its content was seen last, for example under the name that rotation gave it. */
  readonly name: string;
  readonly path: string;
  /** Compressed: parts and offsets count the text. */
  readonly isGzip: boolean;
  readonly head: Part;
  readonly tail: Part;
  /** When it was last written to as far as we saw, milliseconds of the file system. */
  readonly mtime: number;
  /** Of a compressed file whose text was read to its end: its size then. */
  readonly wholeSize?: number | undefined;
  /** Of a content that is complete: where it ends. */
  readonly finishedAt?: number | undefined;
}

const PartSchema = z.object({ from: z.number(), length: z.number(), hash: z.string() });
const IdentitySchema = z.object({
  dev: z.number(),
  ino: z.number(),
  birth: z.number(),
  name: z.string(),
  path: z.string(),
  isGzip: z.boolean(),
  head: PartSchema,
  tail: PartSchema,
  mtime: z.number(),
  wholeSize: z.number().optional(),
  finishedAt: z.number().optional(),
});

/** What a checkpoint kept; undefined when it is damaged or not of a file. */
export function parseIdentity(kept: unknown): Identity | undefined {
  return IdentitySchema.safeParse(kept).data;
}

export function placeOf({ dev, ino, birthtimeMs }: Stats): Place {
  return { dev, ino, birth: birthtimeMs };
}

/** For maps. */
export function inodeOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

/** False only when it is sure that the inode has been used again. */
export function isSameBirth(one: Place, other: Place): boolean {
  return one.birth === other.birth || one.birth === 0 || other.birth === 0;
}

export const NOTHING: Part = { from: 0, length: 0, hash: "" };

export function partOf(bytes: Uint8Array, from: number): Part {
  return bytes.length === 0
    ? { from, length: 0, hash: "" }
    : { from, length: bytes.length, hash: Bun.hash.xxHash64(bytes).toString(36) };
}

/** The bytes of an open file; fewer at its end. */
export function readPart(fd: number, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let got = 0;
  while (got < length) {
    const count = readSync(fd, bytes, got, length - got, from + got);
    if (count === 0) break;
    got += count;
  }
  return bytes.subarray(0, got);
}

/** Whether an open file holds this part. */
export function holdsPart(fd: number, { from, length, hash }: Part): boolean {
  return length === 0 || partOf(readPart(fd, from, length), from).hash === hash;
}

/**
 * Whether an open file is the one that was read. Its end, next to where reading stopped, says most; its beginning may be gone:
 * blocks that were delivered are given back to the file system and read as NULs then.
 */
export function holdsContent(
  fd: number,
  { head, tail }: { readonly head: Part; readonly tail: Part },
): boolean {
  if (!holdsPart(fd, tail)) return false;
  if (holdsPart(fd, head)) return true;
  return (
    tail.length > 0 && head.length > 0 && readPart(fd, head.from, head.length).every((byte) => byte === 0)
  );
}

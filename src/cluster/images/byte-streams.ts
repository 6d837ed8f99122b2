/** What happens to bytes between a blob and its unpacked tree: read, measured, hashed, decompressed; a chunk at a time. */
import { createReadStream } from "node:fs";
import { Readable, pipeline } from "node:stream";
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { ArchiveError } from "./archive-error.ts";

/** Bytes in order; reading may be given up at any time. */
export type ByteStream = AsyncIterable<Uint8Array>;

const CHUNK_BYTES = 256 * 1024;

/** Part of a file: a blob on its own, or inside an archive. */
export interface FileRange {
  readonly path: string;
  readonly start: number;
  /** To the end of the file when left out. */
  readonly length?: number;
}

export function readFileRange({ path, start, length }: FileRange): ByteStream {
  if (length === 0) return emptyStream();
  const end = length === undefined ? {} : { end: start + length - 1 };
  return createReadStream(path, { start, ...end, highWaterMark: CHUNK_BYTES });
}

export function readFile(path: string): ByteStream {
  return readFileRange({ path, start: 0 });
}

/** Throws `ArchiveError` with `message` once more than `most` bytes have come. */
export async function* limited(
  source: ByteStream,
  most: number,
  message: string,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > most) throw new ArchiveError(message);
    yield chunk;
  }
}

/** Passes the bytes on and calls `seen` with each chunk before. */
export async function* observed(
  source: ByteStream,
  seen: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    seen(chunk);
    yield chunk;
  }
}

/** Undoes gzip or zstd, told by the first bytes; anything else passes unchanged. Throws `ArchiveError`. */
export async function* decompressed(source: ByteStream): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const head = await firstBytes(iterator);
    const rest = rejoin(head, iterator);
    const decoder = decoderFor(head);
    if (decoder === undefined) yield* rest;
    else yield* decode(decoder, rest);
  } finally {
    await iterator.return?.();
  }
}

/** The whole stream, which must not be longer than `most` bytes. Throws `ArchiveError`. */
export async function collect(source: ByteStream, most: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of limited(source, most, `${what} is larger than ${most} bytes`)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* decode({ name, stream }: Decoder, rest: ByteStream): AsyncGenerator<Uint8Array> {
  // The callback is what `pipeline` needs to hand an error of the source to the reader of `stream`.
  pipeline(Readable.from(rest, { objectMode: false }), stream, () => undefined);
  try {
    for await (const chunk of stream) yield chunk;
  } catch (because) {
    if (because instanceof Error && "code" in because && /^Z(?:STD)?_/.test(String(because.code))) {
      throw new ArchiveError(`the ${name} data is damaged: ${because.message}`, { cause: because });
    }
    throw because;
  } finally {
    stream.destroy();
  }
}

interface Decoder {
  readonly name: string;
  readonly stream: Transform;
}

function decoderFor(head: Uint8Array): Decoder | undefined {
  const magic = Buffer.from(head.subarray(0, 6)).toString("hex");
  if (magic.startsWith("1f8b")) return { name: "gzip", stream: createGunzip({ chunkSize: CHUNK_BYTES }) };
  // A zstd stream may begin with a skippable frame, 184D2A50 to 184D2A5F.
  if (magic.startsWith("28b52ffd") || /^5.2a4d18/.test(magic)) {
    return { name: "zstd", stream: createZstdDecompress({ chunkSize: CHUNK_BYTES }) };
  }
  if (magic.startsWith("fd377a585a00"))
    throw new ArchiveError("xz compression is not supported; use gzip or zstd");
  if (magic.startsWith("425a68"))
    throw new ArchiveError("bzip2 compression is not supported; use gzip or zstd");
  return undefined;
}

async function firstBytes(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

async function* rejoin(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return;
    yield next.value;
  }
}

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

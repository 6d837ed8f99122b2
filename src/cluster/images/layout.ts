/** Blobs of an image layout by their path, from a folder or from inside a tar archive, without unpacking the archive. */
import { createWriteStream, statSync } from "node:fs";
import { join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { ArchiveError } from "./archive-error.ts";
import { collect, decompressed, limited, readFile, readFileRange } from "./byte-streams.ts";
import type { FileRange } from "./byte-streams.ts";
import { MAX_DOCUMENT_BYTES } from "./oci.ts";
import { cleanPath, parentOf } from "./safe-tree.ts";
import { readTar } from "./tar-reader.ts";

export interface Layout {
  has(path: string): boolean;
  /** Throws `ArchiveError` when there is no such file. */
  locate(path: string): FileRange;
}

const MAX_MEMBERS = 200_000;
const MAX_LINKS = 8;

/** The whole of a small file of the layout. Throws `ArchiveError`. */
export function readDocument(layout: Layout, path: string): Promise<Uint8Array> {
  return collect(readFileRange(layout.locate(path)), MAX_DOCUMENT_BYTES, `"${path}"`);
}

/** An image layout as a folder. */
export function folderLayout(folder: string): Layout {
  const full = (path: string): string => join(folder, cleanPath(path));
  const has = (path: string): boolean => statSync(full(path), { throwIfNoEntry: false })?.isFile() === true;
  return {
    has,
    locate(path) {
      if (!has(path)) throw new ArchiveError(`it has no file "${path}"`);
      return { path: full(path), start: 0 };
    },
  };
}

export interface ArchiveOptions {
  /** An empty folder for the uncompressed form of a compressed archive. */
  readonly scratch: string;
  /** Bytes that the uncompressed archive may have. */
  readonly maxBytes: number;
}

/** An image layout as a tar archive: plain, gzip or zstd. */
export async function archiveLayout(file: string, { scratch, maxBytes }: ArchiveOptions): Promise<Layout> {
  const plain = (await isCompressed(file)) ? join(scratch, "archive.tar") : file;
  if (plain !== file) {
    const source = limited(
      decompressed(readFile(file)),
      maxBytes,
      `the archive unpacks to more than ${maxBytes} bytes`,
    );
    await pipeline(source, createWriteStream(plain, { mode: 0o600 }));
  }
  const members = await indexOf(plain);
  const found = (path: string): Extract<Entry, { kind: "file" }> | undefined =>
    follow(members, cleanPath(path));
  return {
    has: (path) => found(path) !== undefined,
    locate(path) {
      const entry = found(path);
      if (entry === undefined) throw new ArchiveError(`it has no file "${path}"`);
      return { path: plain, start: entry.offset, length: entry.size };
    },
  };
}

type Entry =
  | { readonly kind: "file"; readonly offset: number; readonly size: number }
  | { readonly kind: "link"; readonly target: string };

async function indexOf(file: string): Promise<ReadonlyMap<string, Entry>> {
  const members = new Map<string, Entry>();
  for await (const { path, type, offset, size, linkPath } of readTar(readFile(file))) {
    const clean = cleanPath(path);
    if (type === "file") members.set(clean, { kind: "file", offset, size });
    // `docker save` writes a layer that two images share once, and links to it.
    if (type === "hardlink") members.set(clean, { kind: "link", target: linkPath });
    if (type === "symlink") members.set(clean, { kind: "link", target: `${parentOf(clean)}/${linkPath}` });
    if (members.size > MAX_MEMBERS) throw new ArchiveError(`it has more than ${MAX_MEMBERS} files`);
  }
  return members;
}

/** Links lead to other members only: names, never the file system. */
function follow(
  members: ReadonlyMap<string, Entry>,
  path: string,
): Extract<Entry, { kind: "file" }> | undefined {
  let at = path;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const entry = members.get(at);
    if (entry === undefined || entry.kind === "file") return entry;
    at = posix.normalize(entry.target).replace(/^\/+/, "");
  }
  return undefined;
}

async function isCompressed(file: string): Promise<boolean> {
  const head = await collect(readFileRange({ path: file, start: 0, length: 4 }), 4, "the beginning");
  const magic = Buffer.from(head).toString("hex");
  return magic.startsWith("1f8b") || magic === "28b52ffd";
}

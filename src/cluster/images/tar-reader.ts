/** Reads a tar archive as a stream of members: ustar, pax and GNU long names; what an image cannot mean is refused. */
import { ArchiveError } from "./archive-error.ts";
import { ByteReader } from "./byte-reader.ts";
import { BLOCK_BYTES, byteString, parseHeader, parsePax, readable } from "./tar-header.ts";
import type { PaxRecords, TarHeader } from "./tar-header.ts";

export type MemberType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character device"
  | "block device"
  | "fifo"
  | "other";

export interface TarMember {
  /** As the archive has it, one character per byte; unchecked. */
  readonly path: string;
  readonly linkPath: string;
  readonly type: MemberType;
  readonly size: number;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds, maybe with a fraction. */
  readonly mtime: number;
  /** Names of extended attributes that the archive gives the member. */
  readonly attributes: readonly string[];
  /** Offset of the content in the (unpacked) archive. */
  readonly offset: number;
  /** The content; may be read once, before the next member is asked for. Left unread it is skipped. */
  body(): AsyncIterable<Uint8Array>;
}

const TYPES: Readonly<Record<string, MemberType>> = {
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character device",
  "4": "block device",
  "5": "directory",
  "6": "fifo",
  // GNU incremental: a directory with a list of names as content.
  D: "directory",
};
/** Links, devices, directories and FIFOs have no content, whatever their size says. */
const NO_CONTENT: ReadonlySet<string> = new Set(["1", "2", "3", "4", "5", "6"]);
/** Extended headers hold names and attributes; a larger one is an attack or damage. */
const MAX_EXTENDED_BYTES = 1 << 20;

/** Ends at the end mark or the end of the stream, which it reads to the last byte. Throws `ArchiveError`. */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<TarMember, void, undefined> {
  const reader = new ByteReader(source);
  try {
    const globals = new Map<string, string>();
    for (;;) {
      const next = await nextHeader(reader, globals);
      if (next === undefined) break;
      const member = toMember(next, reader);
      let isRead = false;
      const dataBytes = NO_CONTENT.has(next.header.type) ? 0 : member.size;
      yield {
        ...member,
        body: () => {
          isRead = true;
          return reader.pieces(dataBytes);
        },
      };
      const end = member.offset + Math.ceil(dataBytes / BLOCK_BYTES) * BLOCK_BYTES;
      if (isRead && reader.position < member.offset + dataBytes) {
        throw new Error("the content of a tar member was read in part");
      }
      await reader.skip(end - reader.position);
    }
    await reader.drain();
  } finally {
    await reader.close();
  }
}

interface Described {
  readonly header: TarHeader;
  readonly pax: PaxRecords;
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
}

/** The next member's header with the extended headers before it. */
async function nextHeader(reader: ByteReader, globals: Map<string, string>): Promise<Described | undefined> {
  let pax: PaxRecords = new Map();
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const block = await reader.take(BLOCK_BYTES);
    const header = block === undefined ? undefined : readHeader(block, reader.position === BLOCK_BYTES);
    if (header === undefined) {
      if (pax.size > 0 || longName !== undefined || longLink !== undefined) {
        throw new ArchiveError("the archive ends after an extended header");
      }
      return undefined;
    }
    switch (header.type) {
      case "x":
      case "X":
        pax = parsePax(await extended(reader, header));
        break;
      case "g":
        for (const [key, value] of parsePax(await extended(reader, header))) globals.set(key, value);
        break;
      case "L":
        longName = untilNul(await extended(reader, header));
        break;
      case "K":
        longLink = untilNul(await extended(reader, header));
        break;
      default:
        return { header, pax: new Map([...globals, ...pax]), longName, longLink };
    }
  }
}

function readHeader(block: Uint8Array, isFirst: boolean): TarHeader | undefined {
  try {
    return parseHeader(block);
  } catch (because) {
    if (!isFirst || !(because instanceof ArchiveError)) throw because;
    throw new ArchiveError(`it is not a tar archive: ${because.message}`, { cause: because });
  }
}

async function extended(reader: ByteReader, { size }: TarHeader): Promise<Uint8Array> {
  if (size > MAX_EXTENDED_BYTES) throw new ArchiveError(`an extended header has ${size} bytes`);
  const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  const data = padded === 0 ? new Uint8Array(0) : await reader.take(padded);
  if (data === undefined) throw new ArchiveError("the archive is cut off in an extended header");
  return data.subarray(0, size);
}

function toMember(
  { header, pax, longName, longLink }: Described,
  reader: ByteReader,
): Omit<TarMember, "body"> {
  const path = pax.get("path") ?? longName ?? header.name;
  refuseSparse(header, pax, path);
  // The oldest archives mark a directory only by the slash at the end of its name.
  const type = header.type === "0" && path.endsWith("/") ? "directory" : (TYPES[header.type] ?? "other");
  return {
    path,
    linkPath: pax.get("linkpath") ?? longLink ?? header.linkName,
    type,
    size: paxNumber(pax, "size") ?? header.size,
    mode: header.mode,
    uid: paxNumber(pax, "uid") ?? header.uid,
    gid: paxNumber(pax, "gid") ?? header.gid,
    mtime: paxTime(pax) ?? header.mtime,
    attributes: [...pax.keys()]
      .filter((key) => key.startsWith("SCHILY.xattr."))
      .map((key) => key.slice("SCHILY.xattr.".length)),
    offset: reader.position,
  };
}

function refuseSparse(header: TarHeader, pax: PaxRecords, path: string): void {
  const isSparse = header.type === "S" || [...pax.keys()].some((key) => key.startsWith("GNU.sparse."));
  if (isSparse) throw new ArchiveError(`"${readable(path)}" is a sparse member, which images do not have`);
  if (header.type === "M") throw new ArchiveError("the archive is one volume of several");
}

function paxNumber(pax: PaxRecords, key: string): number | undefined {
  const value = pax.get(key);
  if (value === undefined) return undefined;
  const result = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(result)) {
    throw new ArchiveError(`a pax header has the ${key} "${readable(value)}"`);
  }
  return result;
}

function paxTime(pax: PaxRecords): number | undefined {
  const value = pax.get("mtime");
  if (value === undefined) return undefined;
  if (!/^-?\d{1,15}(?:\.\d*)?$/.test(value))
    throw new ArchiveError(`a pax header has the mtime "${readable(value)}"`);
  return Number(value);
}

function untilNul(data: Uint8Array): string {
  const name = byteString(data);
  const end = name.indexOf("\0");
  return end === -1 ? name : name.slice(0, end);
}

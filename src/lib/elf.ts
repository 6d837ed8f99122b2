/** Reads from a program or a shared library what the dynamic loader would have to find for it. */
import { closeSync, openSync, readSync } from "node:fs";

export interface ElfNeeds {
  /** `e_machine`: 62 = x64, 183 = arm64. */
  readonly machine: number;
  /** The dynamic loader; undefined for libraries and static programs. */
  readonly interpreter: string | undefined;
  /** Names of libraries (DT_NEEDED), in order. */
  readonly needed: readonly string[];
  /** Folders to look in first (DT_RPATH, DT_RUNPATH); `$ORIGIN` as it stands. */
  readonly searchPaths: readonly string[];
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

const MAGIC = "\x7fELF";
const HEADER_BYTES = 64;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
/** More than any linker writes; a damaged file must not make us read all of it. */
const MAX_SEGMENTS = 256;
const MAX_PART_BYTES = 4 * 1024 * 1024;

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

/**
 * Undefined for what is not an ELF file of 64 bits, little-endian (System V ABI, chapters 4 and 5), or is damaged. Throws
 * what opening or reading the file throws.
 */
export function readElfNeeds(path: string): ElfNeeds | undefined {
  const file = openSync(path, "r");
  try {
    return parse(file);
  } finally {
    closeSync(file);
  }
}

function parse(file: number): ElfNeeds | undefined {
  const header = readPart(file, 0, HEADER_BYTES);
  const isElf = header?.toString("latin1", 0, 4) === MAGIC;
  if (!isElf || header[4] !== CLASS_64 || header[5] !== LITTLE_ENDIAN) return undefined;
  const segments = readSegments(file, header);
  if (segments === undefined) return undefined;
  const machine = header.readUInt16LE(18);
  const interp = segments.find(({ type }) => type === PT_INTERP);
  const interpreter =
    interp === undefined ? undefined : textAt(readPart(file, interp.offset, interp.size) ?? Buffer.of(), 0);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) return { machine, interpreter, needed: [], searchPaths: [] };
  const names = readNames(file, dynamic, segments);
  return names === undefined ? undefined : { machine, interpreter, ...names };
}

function readSegments(file: number, header: Buffer): readonly Segment[] | undefined {
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  if (size < 56 || count > MAX_SEGMENTS) return undefined;
  const table = readPart(file, Number(header.readBigUInt64LE(32)), size * count);
  if (table === undefined) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const at = index * size;
    return {
      type: table.readUInt32LE(at),
      offset: Number(table.readBigUInt64LE(at + 8)),
      address: Number(table.readBigUInt64LE(at + 16)),
      size: Number(table.readBigUInt64LE(at + 32)),
    };
  });
}

/** The dynamic section: pairs of tag and value; names are offsets into the string table. */
function readNames(
  file: number,
  dynamic: Segment,
  segments: readonly Segment[],
): Pick<ElfNeeds, "needed" | "searchPaths"> | undefined {
  const bytes = readPart(file, dynamic.offset, dynamic.size);
  if (bytes === undefined) return undefined;
  const entries: (readonly [bigint, number])[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16)
    entries.push([bytes.readBigUInt64LE(at), Number(bytes.readBigUInt64LE(at + 8))]);
  const valueOf = (wanted: bigint) => entries.find(([tag]) => tag === wanted)?.[1];
  const offset = offsetOf(valueOf(DT_STRTAB), segments);
  const strings = offset === undefined ? undefined : readPart(file, offset, valueOf(DT_STRSZ) ?? 0);
  if (strings === undefined) return undefined;
  const textsOf = (...tags: bigint[]) =>
    entries.filter(([tag]) => tags.includes(tag)).map(([, at]) => textAt(strings, at));
  return {
    needed: textsOf(DT_NEEDED),
    searchPaths: textsOf(DT_RPATH, DT_RUNPATH)
      .flatMap((paths) => paths.split(":"))
      .filter((path) => path !== ""),
  };
}

/** In the file, of an address in memory. */
function offsetOf(address: number | undefined, segments: readonly Segment[]): number | undefined {
  if (address === undefined) return undefined;
  const holder = segments.find(
    (segment) =>
      segment.type === PT_LOAD && address >= segment.address && address < segment.address + segment.size,
  );
  return holder && address - holder.address + holder.offset;
}

/** Up to the NUL; empty beyond the end. */
function textAt(bytes: Buffer, at: number): string {
  if (at >= bytes.length) return "";
  const end = bytes.indexOf(0, at);
  return bytes.toString("utf8", at, end === -1 ? bytes.length : end);
}

/** Undefined when the file is shorter, or the part absurdly long. */
function readPart(file: number, offset: number, length: number): Buffer | undefined {
  if (!Number.isSafeInteger(offset) || length > MAX_PART_BYTES) return undefined;
  const bytes = Buffer.alloc(length);
  return readSync(file, bytes, 0, length, offset) === length ? bytes : undefined;
}

/** Builds programs and libraries that can be read but not run, for tests of what the loader would look for. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface ElfParts {
  /** 62 = x64 (default), 183 = arm64. */
  readonly machine?: number;
  readonly interpreter?: string;
  readonly needed?: readonly string[];
  readonly runPath?: string;
}

const BASE = 0x10_000;
const HEADER = 64;
const SEGMENT = 56;

/** One file of 64 bits: a loadable segment over all of it, the loader's name, the dynamic section with its strings. */
export function elfFile({ machine = 62, interpreter, needed = [], runPath }: ElfParts): Buffer {
  const strings = ["", ...needed, ...(runPath === undefined ? [] : [runPath])];
  const table = Buffer.from(strings.map((text) => `${text}\0`).join(""));
  const at = (text: string) => table.indexOf(`\0${text}\0`) + 1;
  const loader = Buffer.from(interpreter === undefined ? "" : `${interpreter}\0`);
  const loaderAt = HEADER + 3 * SEGMENT;
  const tableAt = loaderAt + loader.length;
  const dynamicAt = tableAt + table.length;
  const entries: readonly (readonly [number, number])[] = [
    ...needed.map((name) => [1, at(name)] as const),
    [5, BASE + tableAt],
    [10, table.length],
    ...(runPath === undefined ? [] : [[29, at(runPath)] as const]),
    [0, 0],
  ];
  const dynamic = Buffer.from(BigUint64Array.from(entries.flat().map(BigInt)).buffer);
  const total = dynamicAt + dynamic.length;
  const header = Buffer.alloc(HEADER);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeUInt16LE(3, 16);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(BigInt(HEADER), 32);
  header.writeUInt16LE(SEGMENT, 54);
  header.writeUInt16LE(3, 56);
  const segments = [
    segment(1, 0, total),
    segment(interpreter === undefined ? 0 : 3, loaderAt, loader.length),
    segment(2, dynamicAt, dynamic.length),
  ];
  return Buffer.concat([header, ...segments, loader, table, dynamic]);
}

export function writeElf(path: string, parts: ElfParts): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, elfFile(parts));
}

function segment(type: number, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(SEGMENT);
  bytes.writeUInt32LE(type, 0);
  bytes.writeBigUInt64LE(BigInt(offset), 8);
  bytes.writeBigUInt64LE(BigInt(BASE + offset), 16);
  bytes.writeBigUInt64LE(BigInt(size), 32);
  return bytes;
}

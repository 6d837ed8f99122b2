import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Kept } from "./block.ts";
import { testFolder } from "./delivery.test-support.ts";
import { DiskBuffer, type DiskBufferOptions } from "./disk-buffer.ts";
import type { Span } from "./position.ts";

const MANY = { maxBytes: Number.POSITIVE_INFINITY, maxRecords: Number.POSITIVE_INFINITY };

function kept(from: number, to: number, length = 10): Kept[] {
  return Array.from({ length: to - from + 1 }, (_, index) => {
    const text = `${from + index} ü`.padEnd(length, "x");
    const piece = { text, group: `g${(from + index) % 2}`, nanos: "1", id: `k@${from + index}` };
    return { piece, size: Buffer.byteLength(text), path: `/var/log/${(from + index) % 3}` };
  });
}

interface Opened {
  readonly buffer: DiskBuffer;
  /** Records and bytes that were reported as damaged. */
  readonly lost: { records: number; bytes: number };
}

function open(folder: string, options: Partial<DiskBufferOptions> = {}): Opened {
  const lost = { records: 0, bytes: 0 };
  const damaged = (records: number, bytes: number): void => {
    lost.records += records;
    lost.bytes += bytes;
  };
  const buffer = new DiskBuffer({
    folder,
    name: "buffer",
    limitBytes: 2 ** 22,
    span: undefined,
    isExact: false,
    damaged,
    ...options,
  });
  return { buffer, lost };
}

async function fill(buffer: DiskBuffer, records: readonly Kept[]): Promise<number> {
  const appended = await buffer.append(records);
  buffer.accept();
  return appended.records;
}

/** Numbers of everything that can be read, settled as it goes. */
async function drain(buffer: DiskBuffer, limits = MANY): Promise<number[]> {
  const numbers: number[] = [];
  for (let batch = await buffer.read(limits); batch !== undefined; batch = await buffer.read(limits)) {
    numbers.push(...batch.pieces.map(({ text }) => Number.parseInt(text, 10)));
    batch.settle(batch.pieces.length);
  }
  return numbers;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test("pieces come back as they were, in order, over files and restarts, and the files go", async () => {
  using folder = testFolder();
  const first = open(folder.path);
  const written = kept(1, 300, 2_000);
  expect(await fill(first.buffer, written)).toBe(300);
  expect(readdirSync(folder.path).length).toBeGreaterThan(1);
  const second = open(folder.path, { span: first.buffer.span, isExact: true });
  expect([second.buffer.records, second.buffer.bytes, second.buffer.diskBytes]).toEqual([
    300,
    first.buffer.bytes,
    first.buffer.diskBytes,
  ]);
  const batch = await second.buffer.read(MANY);
  expect(batch?.pieces).toEqual(written.map(({ piece }) => piece));
  expect(batch?.sizes).toEqual(written.map(({ size }) => size));
  expect(batch?.paths).toEqual(written.map(({ path }) => path));
  batch?.settle(300);
  expect([second.buffer.records, readdirSync(folder.path), second.lost.bytes]).toEqual([0, [], 0]);
});

test("batches keep to their limits, and what is settled in the middle of a block is not read again", async () => {
  using folder = testFolder();
  const { buffer } = open(folder.path);
  await fill(buffer, kept(1, 10));
  await fill(buffer, kept(11, 14));
  const batch = await buffer.read({ maxRecords: 12, maxBytes: 1_000 });
  expect(batch?.pieces.length).toBe(12);
  expect(batch?.settle(3)).toEqual({ buffer: buffer.span });
  expect([buffer.records, buffer.span.head.index]).toEqual([11, 3]);
  const again = open(folder.path, { span: buffer.span, isExact: true });
  expect(again.buffer.records).toBe(11);
  expect((await again.buffer.read({ maxRecords: 100, maxBytes: 25 }))?.pieces.length).toBe(2);
  expect((await again.buffer.read({ maxRecords: 100, maxBytes: 1 }))?.pieces.length).toBe(1);
  expect(await drain(again.buffer, { maxRecords: 4, maxBytes: 1_000 })).toEqual(range(4, 14));
});

test("what the journal does not speak of is cut off, whole files included", async () => {
  using folder = testFolder();
  const first = open(folder.path);
  await fill(first.buffer, kept(1, 20));
  const { span } = first.buffer;
  await fill(first.buffer, kept(21, 200, 2_000));
  const second = open(folder.path, { span, isExact: true });
  expect(await drain(second.buffer)).toEqual(range(1, 20));
  const third = open(folder.path, { span: undefined, isExact: true });
  expect([third.buffer.records, readdirSync(folder.path)]).toEqual([0, []]);
});

test("without a journal everything that is whole is kept, up to a torn end", async () => {
  using folder = testFolder();
  const first = open(folder.path);
  await fill(first.buffer, kept(1, 20));
  await fill(first.buffer, kept(21, 30));
  const [name = ""] = readdirSync(folder.path);
  const path = join(folder.path, name);
  truncateSync(path, statSync(path).size - 1);
  const second = open(folder.path);
  expect([await drain(second.buffer), second.lost.bytes]).toEqual([range(1, 20), 0]);
});

test("what was discarded leaves nothing behind, and what follows is not mistaken for it", async () => {
  using folder = testFolder();
  const { buffer } = open(folder.path);
  await fill(buffer, kept(1, 3));
  const { diskBytes } = buffer;
  await buffer.append(kept(4, 200, 2_000));
  buffer.discard();
  expect([buffer.records, buffer.diskBytes, readdirSync(folder.path).length]).toEqual([3, diskBytes, 1]);
  await fill(buffer, kept(4, 5));
  expect(await drain(buffer)).toEqual(range(1, 5));
  await buffer.append(kept(6, 7));
  buffer.discard();
  await fill(buffer, kept(8, 9));
  expect(await drain(buffer)).toEqual([8, 9]);
});

test("a file whose number the journal may speak of is never begun again", async () => {
  using folder = testFolder();
  const first = open(folder.path);
  await fill(first.buffer, kept(1, 3));
  const old: Span = first.buffer.span;
  await drain(first.buffer);
  await first.buffer.append(kept(4, 9)); // Killed before any line of the journal tells.
  const second = open(folder.path, { span: old, isExact: true });
  expect([await drain(second.buffer), second.lost.bytes]).toEqual([[], 0]);
});

test("a full buffer takes what fits, in whole blocks, and more when something was read", async () => {
  using folder = testFolder();
  const { buffer } = open(folder.path, { limitBytes: 400_000 });
  const count = await fill(buffer, kept(1, 1_000, 2_000));
  expect([count > 0, count < 1_000, buffer.diskBytes <= 400_000]).toEqual([true, true, true]);
  expect(await fill(buffer, kept(1, 1_000, 2_000))).toBe(0);
  buffer.discard();
  await drain(buffer);
  expect(await fill(buffer, kept(1, 10))).toBe(10);
});

test("whatever byte is damaged, the rest is delivered, the loss is counted, and the file is set aside", async () => {
  using folder = testFolder();
  const original = join(folder.path, "original");
  const { buffer } = open(original);
  for (let from = 1; from <= 60; from += 6) await fill(buffer, kept(from, from + 5, 2_000));
  const names = readdirSync(original);
  let copies = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(names.length - 1),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (file, where, flip, isEarly) => {
        copies += 1;
        const copy = join(folder.path, `copy-${copies}`);
        cpSync(original, copy, { recursive: true });
        const path = join(copy, names[file] ?? "");
        // Before the buffer is opened, or while it is open.
        const opened = isEarly ? undefined : open(copy, { span: buffer.span, isExact: true });
        const bytes = readFileSync(path);
        const at = Math.floor(where * bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        writeFileSync(path, bytes);
        const { buffer: damaged, lost } = opened ?? open(copy, { span: buffer.span, isExact: true });
        const numbers = await drain(damaged, { maxRecords: 7, maxBytes: 1_000_000 });
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        expect([numbers.length < 60, lost.bytes > 0, damaged.records]).toEqual([true, true, 0]);
        if (!isEarly) expect(numbers.length + lost.records).toBe(60);
        expect(readdirSync(copy)).toEqual([`${names[file]}.damaged-1`]);
        rmSync(copy, { recursive: true });
      },
    ),
    { numRuns: 60 },
  );
});

test("a file that disappears costs its records, not the others", async () => {
  using folder = testFolder();
  const { buffer, lost } = open(folder.path, { limitBytes: 2 ** 20 });
  await fill(buffer, kept(1, 200, 2_000));
  const [name = ""] = readdirSync(folder.path).sort();
  rmSync(join(folder.path, name));
  const numbers = await drain(buffer);
  expect([numbers.at(-1), numbers.length + lost.records]).toEqual([200, 200]);
});

test("what cannot be read for now is not given up", async () => {
  using folder = testFolder();
  const { buffer, lost } = open(folder.path);
  await fill(buffer, kept(1, 10));
  const [name = ""] = readdirSync(folder.path);
  const path = join(folder.path, name);
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  expect(await buffer.read(MANY).catch((error: unknown) => error)).toMatchObject({ code: "EISDIR" });
  rmdirSync(path);
  renameSync(`${path}.away`, path);
  expect(await drain(buffer)).toEqual(range(1, 10));
  expect(lost.bytes).toBe(0);
});

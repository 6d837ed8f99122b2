import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Batch } from "./batch.ts";
import type { FileMarks } from "./file-marks.ts";
import { MemoryQueue, type Part } from "./memory-queue.ts";

function marksOf(key: string): FileMarks {
  return { key, number: 1, identity: null, safe: [0], offered: [0], isCurrent: true, awaitsStart: false };
}

const FILES = ["a", "b"].map(marksOf);

/** Records end at 10, 20, ...; `gap` more bytes of dropped records follow. */
function partOf(marks: FileMarks, { from, count, gap }: { from: number; count: number; gap: number }): Part {
  const ends = Array.from({ length: count }, (_, index) => from + (index + 1) * 10);
  const pieces = ends.map((end) => ({
    text: `${marks.key}${end}`,
    group: "",
    nanos: "",
    id: `${marks.key}@${end}`,
  }));
  const end = from + count * 10 + gap;
  return { marks, path: marks.key, pieces, ends, sizes: ends.map(() => 5), end, at: 0, taken: 0 };
}

type Call =
  | { readonly call: "push"; readonly file: number; readonly count: number; readonly gap: number }
  | {
      readonly call: "take";
      readonly records: number;
      readonly bytes: number;
      readonly settle: number;
      readonly isPutBack: boolean;
    };

const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ call: fc.constant("push" as const), file: fc.nat(1), count: fc.nat(6), gap: fc.nat(2) }),
  fc.record({
    call: fc.constant("take" as const),
    records: fc.integer({ min: 1, max: 9 }),
    bytes: fc.integer({ min: 1, max: 40 }),
    settle: fc.nat(9),
    isPutBack: fc.boolean(),
  }),
);

test("records come out in order, once, and offsets never pass one that has not", () => {
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40, size: "max" }), (calls) => {
      const queue = new MemoryQueue();
      const pushed: string[] = [];
      const safe = new Map<string, number>();
      const ends = new Map<string, number>();
      let out = 0;
      const settle = (batch: Batch, count: number): void => {
        out += count;
        for (const [{ key }, offset] of batch.settle(count).moves ?? []) {
          safe.set(key, offset);
          const unsafe = pushed.slice(out).find((text) => text.startsWith(key));
          if (unsafe !== undefined) expect(offset).toBeLessThan(Number(unsafe.slice(1)));
        }
      };
      for (const one of calls) {
        if (one.call === "push") {
          const marks = FILES[one.file];
          if (marks === undefined) continue;
          const from = ends.get(marks.key) ?? 0;
          const part = partOf(marks, { from, count: one.count, gap: one.gap * 10 });
          ends.set(marks.key, part.end);
          pushed.push(...part.pieces.map(({ text }) => text));
          queue.push(part);
          continue;
        }
        const batch = queue.take({ maxRecords: one.records, maxBytes: one.bytes });
        if (batch === undefined) continue;
        const { length } = batch.pieces;
        expect(length).toBeLessThanOrEqual(one.records);
        expect(length === 1 || length * 5 <= one.bytes).toBe(true);
        expect(batch.pieces.map(({ text }) => text)).toEqual(pushed.slice(out, out + length));
        const count = one.isPutBack ? Math.min(one.settle, length) : length;
        settle(batch, count);
        if (count < length) queue.restore(batch, count);
        expect([queue.records, queue.bytes]).toEqual([pushed.length - out, (pushed.length - out) * 5]);
      }
      const rest = queue.take({ maxRecords: Number.POSITIVE_INFINITY, maxBytes: Number.POSITIVE_INFINITY });
      if (rest !== undefined) settle(rest, rest.pieces.length);
      expect([out, queue.isEmpty, queue.cost, queue.records]).toEqual([pushed.length, true, 0, 0]);
      for (const [key, end] of ends) expect([key, safe.get(key) ?? 0]).toEqual([key, end]);
    }),
    { numRuns: 500 },
  );
});

test("lots without records take no memory, however many come", () => {
  const queue = new MemoryQueue();
  const [marks] = FILES;
  if (marks === undefined) throw new Error("no file");
  queue.push(partOf(marks, { from: 0, count: 1, gap: 0 }));
  const { cost } = queue;
  for (let from = 10; from < 100_000; from += 10) queue.push(partOf(marks, { from, count: 0, gap: 10 }));
  expect(queue.cost).toBe(cost);
  const batch = queue.take({ maxRecords: 10, maxBytes: 100 });
  expect([...(batch?.settle(1).moves ?? [])]).toEqual([[marks, 100_000]]);
});

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { CriLines } from "./cri-lines.ts";

const TIME = "2026-01-02T03:04:05.000000006Z";
const MAX = 16_384;

function collect(chunks: readonly (string | Uint8Array)[]): string[] {
  const parts: Buffer[] = [];
  const lines = new CriLines("stdout", (bytes) => parts.push(Buffer.from(bytes)));
  for (const chunk of chunks) lines.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk, TIME);
  lines.end(TIME);
  const text = Buffer.concat(parts).toString("latin1");
  return text === "" ? [] : text.slice(0, -1).split("\n");
}

function line(tag: "F" | "P", text: string): string {
  return `${TIME} stdout ${tag} ${text}`;
}

describe("CriLines", () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["nothing", [], []],
    ["one line", ["a\n"], [line("F", "a")]],
    ["empty lines", ["\n\n"], [line("F", ""), line("F", "")]],
    ["a line in pieces", ["a", "b", "c\nd\n"], [line("F", "abc"), line("F", "d")]],
    ["a newline alone in its piece", ["abc", "\n"], [line("F", "abc")]],
    ["a last line without a newline", ["a\nrest"], [line("F", "a"), line("F", "rest")]],
    ["carriage returns stay", ["a\r\n"], [line("F", "a\r")]],
    ["exactly the longest line", [`${"x".repeat(MAX)}\n`], [line("F", "x".repeat(MAX))]],
    ["one byte more", [`${"x".repeat(MAX)}y\n`], [line("P", "x".repeat(MAX)), line("F", "y")]],
    [
      "a long line in pieces",
      ["x".repeat(MAX - 1), "yy", `${"z".repeat(MAX)}\nn\n`],
      [
        line("P", `${"x".repeat(MAX - 1)}y`),
        line("P", `y${"z".repeat(MAX - 1)}`),
        line("F", "z"),
        line("F", "n"),
      ],
    ],
    [
      "an unfinished long line",
      ["x".repeat(2 * MAX)],
      [line("P", "x".repeat(MAX)), line("F", "x".repeat(MAX))],
    ],
  ];
  test.each(cases)("CriLines: %s", (_name, chunks, expected) => {
    expect(collect(chunks)).toEqual([...expected]);
  });

  test("CriLines gives back every byte, however the stream is cut, and never a text above the limit [M4]", () => {
    const text = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.nat(3 * MAX).map((length) => new Uint8Array(length).fill(120)),
        fc.constant(Uint8Array.of(10)),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(text, fc.array(fc.nat(5000), { maxLength: 40 }), (parts, cuts) => {
        const whole = Buffer.concat(parts);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) chunks.push(whole.subarray(at, (at += cut + 1)));
        chunks.push(whole.subarray(at));
        const prefix = line("F", "").length;
        const lines = collect(chunks);
        const texts = lines.map((entry) => entry.slice(prefix));
        const back = lines
          .map((entry, i) => `${texts[i]}${entry.includes(" stdout F ") ? "\n" : ""}`)
          .join("");
        const isCut = whole.length > 0 && whole.at(-1) !== 10;
        expect(back).toBe(whole.toString("latin1") + (isCut ? "\n" : ""));
        expect(texts.every((entry) => entry.length <= MAX)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

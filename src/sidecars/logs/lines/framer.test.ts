import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Chunk } from "../sources/chunk.ts";
import type { Framer } from "./events.ts";
import { createFramers } from "./framer.ts";
import type { FramerOptions } from "./framer.ts";
import type { Multiline } from "./multiline.ts";

const PLAIN: FramerOptions = { cri: false, multiline: undefined, maxLine: 1_000 };
const JAVA: Multiline = { by: { trace: "java" }, timeout: 1_000, maxLines: 1_000, maxBytes: 1_000_000 };
const origin = { path: "/var/log/app.log", key: "a" };

type Input =
  | string
  | Uint8Array
  | { bytes: string | Uint8Array; isCut?: boolean; isLast?: boolean; at?: number };

interface Framed {
  text: string;
  end: number;
  time?: string | undefined;
  stream?: string | undefined;
  isCut?: true;
}

/** Pushes chunks one behind the other and flushes unless told otherwise. */
function frame(framer: Framer, inputs: readonly Input[], flushes = true): Framed[] {
  let position = 0;
  const framed: Framed[] = [];
  for (const input of inputs) {
    const given = typeof input === "string" || input instanceof Uint8Array ? { bytes: input } : input;
    const bytes = typeof given.bytes === "string" ? Buffer.from(given.bytes) : given.bytes;
    const { isCut = false, isLast = false, at = position } = given;
    const chunk: Chunk = { origin, start: at, bytes: Uint8Array.from(bytes), isCut, isLast };
    framed.push(...listed(() => framer.push(chunk)));
    position = at + bytes.length;
  }
  if (flushes) framed.push(...listed(() => framer.flush()));
  return framed;
}

function listed(step: () => ReturnType<Framer["push"]>): Framed[] {
  const { texts, ends, times, streams, cuts } = step();
  expect(ends).toHaveLength(texts.length);
  return texts.map((text, index) => ({
    text,
    end: ends[index] ?? -1,
    ...(times === undefined ? {} : { time: times[index], stream: streams?.[index] }),
    ...(cuts?.has(index) ? { isCut: true as const } : {}),
  }));
}

function framePlain(...inputs: Input[]): Framed[] {
  return frame(createFramers(PLAIN)(), inputs);
}

describe("lines", () => {
  test("end behind their line ends, CR LF or LF", () => {
    expect(framePlain("a\nbc\r\n", "d\n")).toEqual([
      { text: "a", end: 2 },
      { text: "bc", end: 6 },
      { text: "d", end: 8 },
    ]);
  });

  test("that are empty are left out", () => {
    expect(framePlain("\n\r\na\n\n \n")).toEqual([
      { text: "a", end: 5 },
      { text: " ", end: 8 },
    ]);
  });

  test("keep a carriage return and NULs within", () => {
    expect(framePlain("a\rb\0c\n")).toEqual([{ text: "a\rb\0c", end: 6 }]);
  });

  test("count bytes where they are not ASCII", () => {
    expect(framePlain("é\n😀ü\r\nx\n")).toEqual([
      { text: "é", end: 3 },
      { text: "😀ü", end: 11 },
      { text: "x", end: 13 },
    ]);
  });

  test.each<[string, readonly number[], string]>([
    ["a lone continuation byte", [0x61, 0x80, 0x62], "a\\x80b"],
    ["Latin-1", [0x63, 0x61, 0x66, 0xe9], "caf\\xE9"],
    ["an overlong form", [0xc0, 0xaf], "\\xC0\\xAF"],
    ["a surrogate", [0xed, 0xa0, 0x80], "\\xED\\xA0\\x80"],
    ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80], "\\xF4\\x90\\x80\\x80"],
    ["a character that is cut off by the line end", [0xe2, 0x82], "\\xE2\\x82"],
    ["good neighbours", [0xc3, 0xa9, 0xff, 0xf0, 0x9f, 0x92, 0x80], "é\\xFF💀"],
  ])("show what is not UTF-8 byte by byte: %s", (_what, bytes, text) => {
    const line = Uint8Array.from([...bytes, 10]);
    expect(framePlain("x\n", line, "é\n")).toEqual([
      { text: "x", end: 2 },
      { text, end: 2 + line.length },
      { text: "é", end: 5 + line.length },
    ]);
  });

  test("keep a replacement character that the application wrote itself", () => {
    expect(framePlain(Buffer.from([0xef, 0xbf, 0xbd, 10]))).toEqual([{ text: "\u{FFFD}", end: 4 }]);
  });

  test("lose a byte order mark at the begin of the file only", () => {
    expect(framePlain("\uFEFFa\n\uFEFFb\n", "\uFEFFc\n").map(({ text }) => text)).toEqual([
      "a",
      "\uFEFFb",
      "\uFEFFc",
    ]);
  });

  test("without a line end are complete when the file is", () => {
    const framer = createFramers(PLAIN)();
    expect(frame(framer, ["a\n", { bytes: "b", isLast: true }], false)).toEqual([
      { text: "a", end: 2 },
      { text: "b", end: 3 },
    ]);
    expect(framer.pendingFrom).toBeUndefined();
  });

  test("an empty last chunk makes no event", () => {
    expect(framePlain("a\n", { bytes: "", isLast: true })).toEqual([{ text: "a", end: 2 }]);
  });
});

describe("a line beyond the limit", () => {
  test("becomes marked parts, and the next line is whole again", () => {
    const cut = { isCut: true };
    expect(framePlain({ bytes: "a\nbcd", ...cut }, { bytes: "efg", ...cut }, "h\ni\n")).toEqual([
      { text: "a", end: 2 },
      { text: "bcd", end: 5, isCut: true },
      { text: "efg", end: 8, isCut: true },
      { text: "h", end: 10, isCut: true },
      { text: "i", end: 12 },
    ]);
  });

  test("has no empty part where its line end follows alone", () => {
    const last = { text: "x", end: 6 };
    expect(framePlain({ bytes: "abc", isCut: true }, "\nx\n").slice(1)).toEqual([last]);
    expect(framePlain({ bytes: "ab\r", isCut: true }, "\nx\n")).toEqual([
      { text: "ab", end: 2, isCut: true },
      last,
    ]);
  });

  test("is never cut within a character, wherever the bytes are", () => {
    const bytes = Buffer.from("aé😀€b\n");
    for (let at = 1; at < bytes.length - 1; at++) {
      const parts = framePlain({ bytes: bytes.subarray(0, at), isCut: true }, bytes.subarray(at));
      expect(parts.map(({ text }) => text).join("")).toBe("aé😀€b");
      expect(parts.every(({ isCut }) => isCut)).toBe(at > 1 || parts.length > 1);
      expect(parts.at(-1)?.end).toBe(bytes.length);
    }
  });

  test("says that reading goes on at half a character", () => {
    const framer = createFramers(PLAIN)();
    frame(framer, [{ bytes: Uint8Array.of(0x61, 0xe2, 0x82), isCut: true }], false);
    expect(framer.pendingFrom).toBe(1);
    expect(listed(() => framer.flush())).toEqual([{ text: "\\xE2\\x82", end: 3, isCut: true }]);
    expect(framer.pendingFrom).toBeUndefined();
  });
});

describe("a file that was emptied", () => {
  test("begins without the NULs of the hole that its writer leaves", () => {
    expect(framePlain("a\n", { bytes: "\0\0\0b\nc\n", at: 0 })).toEqual([
      { text: "a", end: 2 },
      { text: "b", end: 5 },
      { text: "c", end: 7 },
    ]);
  });

  test("may have a hole that is longer than the longest line", () => {
    const hole = { bytes: new Uint8Array(8), isCut: true };
    expect(framePlain("a\n", { ...hole, at: 0 }, hole, "\0b\n\0c\n")).toEqual([
      { text: "a", end: 2 },
      { text: "b", end: 19 },
      { text: "\0c", end: 22 },
    ]);
  });

  test("hands out what was pending before it began again", () => {
    const framer = createFramers({ ...PLAIN, multiline: JAVA })();
    expect(frame(framer, ["Error: x\n\tat a\n", { bytes: "new\n", at: 0 }])).toEqual([
      { text: "Error: x\n\tat a", end: 15 },
      { text: "new", end: 4 },
    ]);
  });
});

const bytesOfText = fc.oneof(
  fc
    .constantFrom("a", "\tat x", "é", "😀", "\0", "\r", "\n", "\n", " ", "Caused by: y")
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({
      stream: fc.constantFrom("stdout", "stderr"),
      tag: fc.constantFrom("P", "F"),
      text: fc.constantFrom("one", "\tat y", "", "é"),
    })
    .map(({ stream, tag, text }) =>
      Buffer.from(`\n2026-11-21T09:48:00.123456789Z ${stream} ${tag} ${text}\n`),
    ),
);
const content = fc.array(bytesOfText, { maxLength: 60 }).map((parts) => Buffer.concat(parts));

describe.each<[string, FramerOptions]>([
  ["plain", PLAIN],
  ["java", { ...PLAIN, multiline: JAVA }],
  ["short events", { ...PLAIN, multiline: { ...JAVA, maxLines: 2, maxBytes: 20 } }],
  ["CRI", { ...PLAIN, cri: true }],
  ["CRI with short lines", { ...PLAIN, cri: true, maxLine: 5 }],
  ["CRI with java", { ...PLAIN, cri: true, multiline: JAVA }],
])("whatever a file holds, %s", (_name, options) => {
  test("where its chunks end between lines changes no event", () => {
    fc.assert(
      fc.property(content, fc.infiniteStream(fc.boolean()), (bytes, splits) => {
        const whole = frame(createFramers(options)(), [{ bytes, isLast: true }]);
        const chunks: Input[] = [];
        let from = 0;
        for (let at = bytes.indexOf(10) + 1; at > 0; at = bytes.indexOf(10, at) + 1) {
          if (splits.next().value !== true) continue;
          chunks.push(bytes.subarray(from, at));
          from = at;
        }
        chunks.push({ bytes: bytes.subarray(from), isLast: true });
        expect(frame(createFramers(options)(), chunks)).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  test("offsets grow, texts are well-formed and not empty, and nothing is pending at the end", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const framer = createFramers(options)();
        const framed = frame(framer, [{ bytes, isLast: true }], false);
        let before = 0;
        for (const { text, end } of framed) {
          expect(end).toBeGreaterThan(before);
          expect(text !== "" && text.isWellFormed()).toBe(true);
          before = end;
        }
        expect(before).toBeLessThanOrEqual(bytes.length);
        expect(framer.pendingFrom).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test("reading again from pendingFrom gives every event that was not handed out", () => {
    fc.assert(
      fc.property(content, fc.nat(), (bytes, cut) => {
        const lineEnd = bytes.indexOf(10, cut % (bytes.length + 1)) + 1;
        const first = createFramers(options)();
        const before = frame(first, [bytes.subarray(0, lineEnd)], false);
        const goOn = first.pendingFrom ?? lineEnd;
        const rest = { bytes: bytes.subarray(lineEnd), isLast: true };
        const after = frame(first, [{ ...rest, at: lineEnd }], false);
        const again = frame(
          createFramers(options)(),
          [{ bytes: bytes.subarray(goOn), at: goOn, isLast: true }],
          false,
        );
        const ends = new Set([...before, ...again].map(({ end }) => end));
        for (const { end } of after) expect(ends.has(end)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

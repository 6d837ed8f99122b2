import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readCri } from "./cri.ts";
import { createFramers } from "./framer.ts";
import type { FramerOptions } from "./framer.ts";
import type { Framer } from "./events.ts";

const TIME = "2026-11-21T09:48:00.123456789Z";
const LATER = "2026-11-21T09:48:01.5+01:00";
const CRI: FramerOptions = { cri: true, multiline: undefined, maxLine: 1_000 };
const WITH_JAVA: FramerOptions = {
  ...CRI,
  multiline: { by: { trace: "java" }, timeout: 1_000, maxLines: 100, maxBytes: 1_000 },
};
const origin = { path: "/var/log/pods/a/0.log", key: "a" };

function push(framer: Framer, text: string | Uint8Array, start = 0, isLast = true) {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const { texts, ends, times, streams, cuts } = framer.push({ origin, start, bytes, isCut: false, isLast });
  return texts.map((text, index) => [
    text,
    streams?.[index],
    times?.[index],
    ends[index],
    cuts?.has(index) ?? false,
  ]);
}

/** What the events say, without where they stand. */
function textsOf(options: FramerOptions, lines: readonly string[]): string[] {
  const framed = push(createFramers(options)(), `${lines.join("\n")}\n`);
  return framed.map(([text, stream, , , isCut]) => `${stream}${isCut === true ? "*" : ""}: ${text}`);
}

describe("readCri()", () => {
  test.each<[string, ReturnType<typeof readCri>]>([
    [
      `${TIME} stdout F hello  world`,
      { time: TIME, stream: "stdout", isPartial: false, text: "hello  world" },
    ],
    [`${LATER} stderr P part`, { time: LATER, stream: "stderr", isPartial: true, text: "part" }],
    [`${TIME} stdout F `, { time: TIME, stream: "stdout", isPartial: false, text: "" }],
    [`${TIME} stdout F`, { time: TIME, stream: "stdout", isPartial: false, text: "" }],
    [`${TIME} stdout P:x:y text`, { time: TIME, stream: "stdout", isPartial: true, text: "text" }],
    [`${TIME} stdin F text`, undefined],
    [`${TIME} stdout X text`, undefined],
    [`${TIME} stdout Full text`, undefined],
    [`${TIME} stdout`, undefined],
    ["2026-11-21 stdout F text", undefined],
    ["2026-11-21T09:48:00.abcZ stdout F text", undefined],
    ["plain text", undefined],
    ["", undefined],
  ])("%j is %j", (line, expected) => {
    expect(readCri(line)).toEqual(expected as never);
  });
});

describe("CRI files", () => {
  test("give text, stream, time and the offset behind the line", () => {
    const first = `${TIME} stdout F one\n`;
    const second = `${LATER} stderr F two\r\n`;
    expect(push(createFramers(CRI)(), first + second)).toEqual([
      ["one", "stdout", TIME, first.length, false],
      ["two", "stderr", LATER, first.length + second.length, false],
    ]);
  });

  test("join parts per stream, with the time of the first", () => {
    const lines = [
      `${TIME} stdout P a`,
      `${LATER} stderr P x`,
      `${LATER} stdout P b`,
      `${LATER} stdout F c`,
      `${TIME} stderr F y`,
    ];
    const framed = push(createFramers(CRI)(), `${lines.join("\n")}\n`);
    expect(framed.map(([text, stream, time]) => [text, stream, time])).toEqual([
      ["abc", "stdout", TIME],
      ["xy", "stderr", LATER],
    ]);
  });

  test("keep a line without wrapper as it is, in the middle of parts too", () => {
    const lines = [`${TIME} stdout P a`, "torn line", `${TIME} stdout F b`, `${TIME} stdout G c`];
    expect(textsOf(CRI, lines)).toEqual([
      "undefined: torn line",
      "stdout: ab",
      `undefined: ${TIME} stdout G c`,
    ]);
  });

  test("make a character whole that the runtime cut in half", () => {
    const [head, tail] = [Buffer.from("é€😀").subarray(0, 7), Buffer.from("é€😀").subarray(7)];
    const line = (tag: string, bytes: Uint8Array) =>
      Buffer.concat([Buffer.from(`${TIME} stdout ${tag} `), bytes, Buffer.from("\n")]);
    const whole = Buffer.concat([line("P", head), line("F", tail)]);
    expect(push(createFramers(CRI)(), whole)[0]?.[0]).toBe("é€😀");
    expect(push(createFramers(CRI)(), line("P", head))[0]?.[0]).toBe("é€\\xF0\\x9F");
  });

  test("leave out empty lines", () => {
    expect(
      textsOf(CRI, [`${TIME} stdout F `, "", `${TIME} stdout F a`, `${TIME} stdout P `, `${TIME} stdout F`]),
    ).toEqual(["stdout: a"]);
  });

  test("mark the parts of a line beyond the limit, the last one too", () => {
    const lines = ["P aaaa", "P bbbb", "P cccc", "F dddd", "F e"].map((rest) => `${TIME} stdout ${rest}`);
    expect(textsOf({ ...CRI, maxLine: 8 }, lines)).toEqual([
      "stdout*: aaaabbbb",
      "stdout*: ccccdddd",
      "stdout: e",
    ]);
    expect(textsOf({ ...CRI, maxLine: 4 }, lines.slice(2))).toEqual([
      "stdout*: cccc",
      "stdout*: dddd",
      "stdout: e",
    ]);
  });

  test("say from where an unfinished line has to be read again, and hand it out marked when asked", () => {
    const framer = createFramers(CRI)();
    const before = `${TIME} stdout F a\n`;
    const part = `${TIME} stderr P b\n`;
    push(framer, before + part, 0, false);
    expect(framer.pendingFrom).toBe(before.length);
    const { texts, cuts } = framer.flush();
    expect([[...texts], [...(cuts ?? [])], framer.pendingFrom]).toEqual([["b"], [0], undefined]);
    const rest = push(framer, `${TIME} stderr F c\n`, before.length + part.length);
    expect(rest.map(([text, , , , isCut]) => [text, isCut])).toEqual([["c", true]]);
  });

  test("do not wait for ever for a stream whose line never ends", () => {
    const lines = [
      `${TIME} stderr P lost`,
      ...Array.from({ length: 60 }, (_, at) => `${TIME} stdout F ${at}`),
    ];
    const framer = createFramers({ ...CRI, maxLine: 100 })();
    const framed = push(framer, `${lines.join("\n")}\n`, 0, false);
    expect(framed.map(([text]) => text)).toEqual([
      "lost",
      ...Array.from({ length: 60 }, (_, at) => String(at)),
    ]);
    expect(framer.pendingFrom).toBeUndefined();
  });
});

describe("traces in CRI files", () => {
  test("are joined per stream, in the order in which they end", () => {
    const lines = [
      `${TIME} stderr F E: boom`,
      `${TIME} stdout F GET /`,
      `${TIME} stderr F \tat a`,
      `${TIME} stdout F GET /b`,
      `${TIME} stderr P \tat`,
      `${TIME} stderr F  b`,
      `${TIME} stderr F done`,
    ];
    expect(textsOf(WITH_JAVA, lines)).toEqual([
      "stdout: GET /",
      "stdout: GET /b",
      "stderr: E: boom\n\tat a\n\tat b",
      "stderr: done",
    ]);
  });
});

test("what a runtime wraps and cuts comes out as it went in", () => {
  const entry = fc.record({
    stream: fc.constantFrom("stdout", "stderr"),
    text: fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !/[\r\n]/.test(text)),
    cut: fc.nat(30),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
      const wrapped = entries.map(({ stream, text, cut }) => {
        const bytes = Buffer.from(text);
        const at = Math.min(cut, bytes.length);
        const wrap = (tag: string, part: Uint8Array) => [
          Buffer.from(`${TIME} ${stream} ${tag} `),
          part,
          Buffer.from("\n"),
        ];
        return Buffer.concat([
          ...(at > 0 ? wrap("P", bytes.subarray(0, at)) : []),
          ...wrap("F", bytes.subarray(at)),
        ]);
      });
      const framed = push(createFramers(CRI)(), Buffer.concat(wrapped));
      expect(framed.map(([text, stream]) => [text, stream])).toEqual(
        entries.map(({ text, stream }) => [text, stream]),
      );
    }),
  );
});

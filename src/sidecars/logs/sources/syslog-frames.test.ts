import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { lineOf, MAX_MESSAGE, SyslogFrames } from "./syslog-frames.ts";
import { addPort } from "./udp-queue.ts";

/** What comes out of a connection that brings these pieces and is closed. */
function messagesOf(...pieces: readonly (string | Uint8Array)[]): string[] {
  const messages: string[] = [];
  const frames = new SyslogFrames((message) => messages.push(Buffer.from(message).toString()));
  for (const piece of pieces) frames.push(Buffer.from(piece));
  frames.end();
  return messages;
}

describe("a connection's bytes", () => {
  test.each<[string, string, string[]]>([
    ["lines", "<13>a\n<13>b\n", ["<13>a", "<13>b"]],
    ["messages that end with NUL, as glibc's", "<13>a\0<13>b\0", ["<13>a", "<13>b"]],
    ["counted messages, with line ends inside", "5 <1>ab6 <2>c\nd", ["<1>ab", "<2>c\nd"]],
    ["both kinds by turns", "5 <1>ab<2>c\n5 <1>de", ["<1>ab", "<2>c", "<1>de"]],
    [
      "lines that begin with a number",
      "42 is the answer\n1234567 <\n0 <x\n",
      ["42 is the answer", "1234567 <", "0 <x"],
    ],
    ["a last line without an end", "<13>a\n<13>b", ["<13>a", "<13>b"]],
    ["a count that is never reached", "99 <13>a", ["99 <13>a"]],
    ["nothing", "", []],
  ])("that are %s", (_, bytes, messages) => {
    expect(messagesOf(bytes)).toEqual(messages);
  });

  test("longer than a message may be are cut", () => {
    const [first = "", second = "", ...others] = messagesOf("x".repeat(MAX_MESSAGE + 10), "\ny\n");
    expect([first.length, second.length, others]).toEqual([MAX_MESSAGE, 10, ["y"]]);
  });

  test("give the same messages however they are cut on their way", () => {
    const message = fc.string({ maxLength: 20 }).map((text) => `<13>${text.replaceAll(/[\n\0]/g, "")}`);
    const framed = fc.tuple(message, fc.constantFrom("\n", "\0", "count")).map(([text, end]) => ({
      text,
      bytes: end === "count" ? `${Buffer.byteLength(text)} ${text}` : `${text}${end}`,
    }));
    const cuts = fc.array(fc.nat(200), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(framed), cuts, (all, places) => {
        const bytes = Buffer.from(all.map((each) => each.bytes).join(""));
        const ends = [...places.map((place) => Math.min(place, bytes.length)), bytes.length].toSorted(
          (a, b) => a - b,
        );
        const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
        expect(messagesOf(...pieces)).toEqual(all.map(({ text }) => text));
      }),
    );
  });
});

describe("the line of a message", () => {
  test.each([
    ["<13>a", "<13>a\n"],
    ["a\r\n", "a\n"],
    ["a\0", "a\n"],
    ["a\nb\0c\n", "a#012b#000c\n"],
    ["\n\0", ""],
    ["é\nü", "é#012ü\n"],
  ])("%j is %j", (message, line) => {
    expect(Buffer.from(lineOf(Buffer.from(message))).toString()).toBe(line);
  });
});

test("the kernel's table of UDP sockets tells what waits and what was dropped", () => {
  const table = [
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops",
    "  321: 00000000:0202 00000000:0000 07 00000000:00000A00 00:00000000 00000000     0        0 1 2 0000000000000000 7",
    "  322: 0100007F:0203 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 2 2 0000000000000000 1",
    "",
  ].join("\n");
  expect(addPort({ waiting: 1, drops: 1 }, table, 514)).toEqual({ waiting: 2561, drops: 8 });
  expect(addPort({ waiting: 0, drops: 0 }, "", 514)).toEqual({ waiting: 0, drops: 0 });
});

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { DnsFormatError, decodeMessage } from "./decode-message.ts";
import {
  CLASS_IN,
  type DnsMessage,
  queryFor,
  type RecordValue,
  type ResourceRecord,
  TYPE,
} from "./dns-message.ts";
import { isName, nameOf } from "./domain-name.ts";
import { encodeMessage } from "./encode-message.ts";

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xff_ff);
const u32 = fc.nat(0xff_ff_ff_ff);
const text = (maxLength: number, minLength = 0) =>
  fc.array(u8, { minLength, maxLength }).map((bytes) => String.fromCharCode(...bytes));
const name = fc
  .array(fc.oneof(fc.constantFrom("web", "Default", "svc", "cluster", "local"), text(63, 1)), {
    maxLength: 6,
  })
  .filter(isName);

const values: Readonly<Record<number, fc.Arbitrary<RecordValue>>> = {
  [TYPE.A]: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ({ kind: "address", bytes })),
  [TYPE.AAAA]: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => ({ kind: "address", bytes })),
  [TYPE.CNAME]: name.map((target) => ({ kind: "name", target })),
  [TYPE.PTR]: name.map((target) => ({ kind: "name", target })),
  [TYPE.SRV]: fc.record({
    kind: fc.constant("service" as const),
    priority: u16,
    weight: u16,
    port: u16,
    target: name,
  }),
  [TYPE.TXT]: fc.array(text(255), { minLength: 1, maxLength: 3 }).map((texts) => ({ kind: "texts", texts })),
  [TYPE.SOA]: fc.record({
    kind: fc.constant("authority" as const),
    server: name,
    mailbox: name,
    serial: u32,
    refresh: u32,
    retry: u32,
    expire: u32,
    minimum: u32,
  }),
  // DNSKEY, of which nothing is known here.
  48: fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ kind: "bytes", bytes })),
};
const record: fc.Arbitrary<ResourceRecord> = fc
  .constantFrom(...Object.keys(values).map(Number))
  .chain((type) =>
    fc.record({
      name,
      type: fc.constant(type),
      class: fc.constant(CLASS_IN),
      ttl: fc.nat(0x7f_ff_ff_ff),
      value: values[type] ?? fc.constant<RecordValue>({ kind: "texts", texts: [""] }),
    }),
  );
const records = fc.array(record, { maxLength: 4 });
const message: fc.Arbitrary<DnsMessage> = fc
  .record({
    id: u16,
    isResponse: fc.boolean(),
    opcode: fc.nat(15),
    authoritative: fc.boolean(),
    truncated: fc.boolean(),
    recursionDesired: fc.boolean(),
    recursionAvailable: fc.boolean(),
    authenticData: fc.boolean(),
    checkingDisabled: fc.boolean(),
    rcode: fc.nat(15),
    question: fc.record({ name, type: u16, class: u16 }),
    answers: records,
    authorities: records,
    additionals: records,
    edns: fc.option(fc.record({ udpSize: u16, version: u8, dnssecOk: fc.boolean() }), { nil: undefined }),
  })
  .map((made) => (made.edns === undefined ? made : { ...made, rcode: made.rcode * 256 + made.rcode }));

const folded = (made: DnsMessage): unknown =>
  JSON.parse(
    JSON.stringify(made, (_, value: unknown) =>
      typeof value === "string" ? value.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) : value,
    ),
  );

describe("the codec", () => {
  test("reads back whatever it writes, names in some spelling", () => {
    fc.assert(
      fc.property(message, (made) => {
        expect(folded(decodeMessage(encodeMessage(made)))).toEqual(folded(made));
      }),
      { numRuns: 300 },
    );
  });

  test("takes any bytes for a message or refuses them, and always comes to an end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        orRefused(bytes);
      }),
    );
    const change = fc.array(fc.tuple(fc.nat(2000), u8), { maxLength: 8 });
    fc.assert(
      fc.property(message, change, fc.nat(2000), (made, changes, cut) => {
        const bytes = encodeMessage(made);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        orRefused(bytes);
        orRefused(bytes.subarray(0, cut % bytes.length));
      }),
      { numRuns: 300 },
    );
  });

  test("keeps to the size, and says so when answers are missing", () => {
    fc.assert(
      fc.property(message, fc.integer({ min: 512, max: 1232 }), (made, size) => {
        const bytes = encodeMessage(made, size);
        expect(bytes.length).toBeLessThanOrEqual(size);
        const read = decodeMessage(bytes);
        expect(read.edns).toEqual(made.edns);
        if (!made.truncated)
          expect(read.truncated).toBe(
            read.answers.length < made.answers.length || read.authorities.length < made.authorities.length,
          );
      }),
    );
  });

  test("writes a name that was there before as a pointer, but not in SRV records", () => {
    const host = nameOf("web.default.svc.cluster.local");
    const asked = queryFor({ name: host, type: TYPE.A, class: CLASS_IN }, { id: 1, edns: undefined });
    const answer = (value: RecordValue): number =>
      encodeMessage({ ...asked, answers: [{ name: host, type: TYPE.CNAME, class: CLASS_IN, ttl: 5, value }] })
        .length - encodeMessage(asked).length;
    expect(answer({ kind: "name", target: host })).toBe(2 + 10 + 2);
    expect(answer({ kind: "service", priority: 0, weight: 0, port: 1, target: host })).toBe(2 + 10 + 6 + 31);
  });

  const question = [0, 1, 0, 0, 0, 0, 0, 0];
  const bad: readonly (readonly [string, readonly number[]])[] = [
    ["no question", [0, 0, 0, 0, 0, 0, 0, 0]],
    ["two questions", [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1]],
    ["a pointer to itself", [...question, 0xc0, 12, 0, 1, 0, 1]],
    ["a pointer forward", [...question, 0xc0, 14, 0, 0, 1, 0, 1]],
    ["a pointer into the header", [...question, 0xc0, 2, 0, 1, 0, 1]],
    ["a pointer back to labels that lead to it", [...question, 1, 0x61, 0xc0, 12, 0, 1, 0, 1]],
    ["a label of a reserved kind", [...question, 0x41, 0, 0, 1, 0, 1]],
    ["a label longer than the message", [...question, 63, 0x61]],
    ["half a question", [...question, 0, 0, 1]],
    ["a byte too many", [...question, 0, 0, 1, 0, 1, 0]],
    ["fewer records than it says", [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1]],
    [
      "an address of three bytes",
      [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 3],
    ],
    ["EDNS twice", [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 1, ...opt(), ...opt()]],
    ["EDNS with a name", [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0x61, ...opt()]],
    ["EDNS among the answers", [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, ...opt()]],
    [
      "a name of 256 bytes",
      [
        ...question,
        ...Array.from({ length: 4 }, () => [63, ...Array.from({ length: 63 }, () => 0x61)]).flat(),
        0,
        0,
        1,
        0,
        1,
      ],
    ],
  ];
  test.each(bad)("refuses a message with %s", (_, rest) => {
    expect(() => decodeMessage(Uint8Array.from([0, 7, 1, 0, ...rest]))).toThrow(DnsFormatError);
  });

  test.each([["a..b"], ["x".repeat(64)], [`${"x".repeat(63)}.`.repeat(4)], ["日本"]])(
    "knows that %s is no name",
    (bad) => {
      expect(() => nameOf(bad)).toThrow(TypeError);
    },
  );
});

function opt(): number[] {
  return [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
}

function orRefused(bytes: Uint8Array): void {
  try {
    decodeMessage(bytes);
  } catch (error) {
    if (!(error instanceof DnsFormatError)) throw error;
  }
}

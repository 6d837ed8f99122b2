import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { closePayload, type Fragment, FrameReader, WebSocketError, writeFrame } from "./web-socket-frames.ts";

interface FrameParts {
  readonly opcode: number;
  readonly payload: Uint8Array;
  readonly isFinal?: boolean;
  readonly mask?: readonly [number, number, number, number] | null;
  readonly reserved?: number;
}

/** As a client writes it. */
function frame({ opcode, payload, isFinal = true, mask = [1, 2, 3, 4], reserved = 0 }: FrameParts): Buffer {
  const length = payload.length;
  const first = (isFinal ? 0x80 : 0) | reserved | opcode;
  const flag = mask === null ? 0 : 0x80;
  const head =
    length < 126
      ? [first, flag | length]
      : length < 65_536
        ? [first, flag | 126, length >> 8, length & 0xff]
        : [
            first,
            flag | 127,
            0,
            0,
            0,
            0,
            (length >>> 24) & 0xff,
            (length >> 16) & 0xff,
            (length >> 8) & 0xff,
            length & 0xff,
          ];
  const masked = mask === null ? payload : payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return Buffer.concat([Uint8Array.from(head), Uint8Array.from(mask ?? []), masked]);
}

/** Whole messages and control frames, whatever the pieces they came in. */
function readAll(chunks: readonly Buffer[]): string[] {
  const reader = new FrameReader();
  const seen: string[] = [];
  let message: Buffer | undefined;
  for (const chunk of chunks) {
    for (const fragment of reader.read(Buffer.from(chunk))) {
      if (fragment.kind !== "data") {
        seen.push(`${fragment.kind} ${fragment.bytes.toString("hex")}`);
        continue;
      }
      if (fragment.isFirst) message = Buffer.alloc(0);
      message = Buffer.concat([message ?? Buffer.from("no beginning"), fragment.bytes]);
      if (fragment.isLast) {
        seen.push(`message ${message.toString("hex")}`);
        message = undefined;
      }
    }
  }
  return seen;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((one) => one % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place));
}

const MASK = fc.tuple(...[0, 1, 2, 3].map(() => fc.nat(255))) as fc.Arbitrary<
  [number, number, number, number]
>;

describe("FrameReader", () => {
  test("reads messages of every length, masked by every key, cut anywhere", () => {
    const messages = fc.array(fc.tuple(fc.uint8Array({ maxLength: 400 }), MASK), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(), { maxLength: 12 }), (sent, places) => {
        const bytes = Buffer.concat(sent.map(([payload, mask]) => frame({ opcode: 2, payload, mask })));
        expect(readAll(cut(bytes, places))).toEqual(
          sent.map(([payload]) => `message ${Buffer.from(payload).toString("hex")}`),
        );
      }),
    );
  });

  test.each([0, 1, 125, 126, 127, 65_535, 65_536, 300_000])("reads a message of %d bytes", (length) => {
    const payload = Buffer.alloc(length, "0123456789");
    expect(readAll([frame({ opcode: 2, payload })])).toEqual([`message ${payload.toString("hex")}`]);
  });

  test("joins the frames of a message, with control frames between them", () => {
    const chunks = [
      frame({ opcode: 2, payload: Buffer.from("ab"), isFinal: false }),
      frame({ opcode: 9, payload: Buffer.from("?") }),
      frame({ opcode: 0, payload: Buffer.alloc(0), isFinal: false }),
      frame({ opcode: 0, payload: Buffer.from("c") }),
      frame({ opcode: 8, payload: closePayload(1000) }),
    ];
    expect(readAll([Buffer.concat(chunks)])).toEqual(["ping 3f", "message 616263", "close 03e8"]);
  });

  test("passes the bytes of a long message on before it is whole", () => {
    const bytes = frame({ opcode: 2, payload: Buffer.alloc(1_000_000, 7) });
    const first = [...new FrameReader().read(bytes.subarray(0, 1000))];
    expect(first.map((one) => [one.kind, one.bytes.length])).toEqual([["data", 1000 - 14]]);
  });

  test.each<[string, Buffer]>([
    ["a frame without a mask", frame({ opcode: 2, payload: Buffer.from("x"), mask: null })],
    ["reserved bits", frame({ opcode: 2, payload: Buffer.from("x"), reserved: 0x40 })],
    ["an unknown opcode", frame({ opcode: 3, payload: Buffer.from("x") })],
    ["an unknown control opcode", frame({ opcode: 11, payload: Buffer.from("x") })],
    ["a long control frame", frame({ opcode: 9, payload: Buffer.alloc(126) })],
    ["a control frame in parts", frame({ opcode: 9, payload: Buffer.from("x"), isFinal: false })],
    ["a continuation of nothing", frame({ opcode: 0, payload: Buffer.from("x") })],
    [
      "a message inside a message",
      Buffer.concat([1, 2].map((byte) => frame({ opcode: 2, payload: Uint8Array.of(byte), isFinal: false }))),
    ],
    ["a length of 2^63", Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])],
  ])("refuses %s", (_what, bytes) => {
    expect(() => readAll([bytes])).toThrow(WebSocketError);
  });

  test("takes any bytes without another failure than its own", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
        try {
          readAll(chunks.map((chunk) => Buffer.from(chunk)));
        } catch (error) {
          expect(error).toBeInstanceOf(WebSocketError);
        }
      }),
    );
  });
});

test.each([0, 125, 126, 65_535, 65_536])("writeFrame() writes %d bytes as RFC 6455 wants it", (length) => {
  const bytes = writeFrame("binary", Buffer.alloc(1, 1), Buffer.alloc(Math.max(0, length - 1), 2));
  // A server's frame is a client's without the mask.
  const masked = Buffer.concat([
    Uint8Array.of(bytes[0] ?? 0, (bytes[1] ?? 0) | 0x80),
    bytes.subarray(2, bytes.length - Math.max(1, length)),
    Buffer.alloc(4),
    bytes.subarray(bytes.length - Math.max(1, length)),
  ]);
  const fragments: Fragment[] = [...new FrameReader().read(masked)];
  expect(fragments.map((one) => one.bytes.length)).toEqual([Math.max(1, length)]);
});

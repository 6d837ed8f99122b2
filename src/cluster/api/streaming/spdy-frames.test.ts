import { describe, expect, test } from "bun:test";
import { constants, createDeflate } from "node:zlib";
import * as fc from "fast-check";
import { spdyDictionary } from "./spdy-dictionary.ts";
import {
  SpdyError,
  type SpdyFrame,
  SpdyFrameReader,
  writeData,
  writeGoAway,
  writePing,
  writeRst,
  writeSynReply,
} from "./spdy-frames.ts";
import { EmptyHeaderWriter, HeaderInflater } from "./spdy-headers.ts";

function read(chunks: readonly Uint8Array[]): SpdyFrame[] {
  const reader = new SpdyFrameReader();
  return chunks.flatMap((chunk) => [...reader.read(Buffer.from(chunk))]);
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((one) => one % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place));
}

/** Compresses as a client does: one stream, flushed after every block. */
async function deflateBlocks(blocks: readonly Buffer[]): Promise<Buffer[]> {
  const deflate = createDeflate({ dictionary: spdyDictionary() });
  const compressed: Buffer[] = [];
  let parts: Buffer[] = [];
  deflate.on("data", (part: Buffer) => parts.push(part));
  for (const block of blocks) {
    await new Promise<void>((resolve) => deflate.write(block, () => resolve()));
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    compressed.push(Buffer.concat(parts));
    parts = [];
  }
  return compressed;
}

function block(headers: Readonly<Record<string, string>>): Buffer {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const pairs = Object.entries(headers);
  const texts = pairs
    .flat()
    .map((text) => Buffer.concat([number(Buffer.byteLength(text)), Buffer.from(text)]));
  return Buffer.concat([number(pairs.length), ...texts]);
}

describe("SpdyFrameReader", () => {
  test("reads frames cut anywhere, and the data of all", () => {
    const data = fc.tuple(
      fc.integer({ min: 1, max: 0x7fffffff }),
      fc.uint8Array({ maxLength: 200 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(fc.array(data, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (sent, places) => {
        const bytes = Buffer.concat(
          sent.flatMap(([id, payload, isFin]) => [writeData(id, payload, isFin), writePing(id)]),
        );
        const texts = new Map<number, string>();
        const frames = read(cut(bytes, places));
        const streams = frames.filter((one) => one.kind === "data");
        for (const one of streams) {
          texts.set(one.streamId, (texts.get(one.streamId) ?? "") + one.bytes.toString("hex"));
        }
        const expected = new Map<number, string>();
        for (const [id, payload] of sent) {
          expected.set(id, (expected.get(id) ?? "") + Buffer.from(payload).toString("hex"));
        }
        expect(texts).toEqual(expected);
        expect(streams.filter(({ isFin }) => isFin)).toHaveLength(sent.filter(([, , isFin]) => isFin).length);
        expect(frames.flatMap((one) => (one.kind === "ping" ? [one.id] : []))).toEqual(
          sent.map(([id]) => id),
        );
      }),
    );
  });

  test("knows the frames it writes itself, and skips the ones that mean nothing here", () => {
    const settings = Buffer.from([0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0]);
    const windowUpdate = Buffer.from([0x80, 3, 0, 9, 0, 0, 0, 8, 0, 0, 0, 1, 0, 1, 0, 0]);
    const bytes = Buffer.concat([
      settings,
      writeRst(5, 5),
      windowUpdate,
      writeSynReply(7, Buffer.from("h")),
      writeGoAway(3),
    ]);
    expect(read([bytes])).toEqual([
      { kind: "rst", streamId: 5 },
      { kind: "synReply", headers: Buffer.from("h") },
      { kind: "goAway" },
    ]);
  });

  test.each<[string, number[]]>([
    ["a control frame of another version", [0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]],
    ["a control frame that is too long", [0x80, 3, 0, 1, 0, 1, 0, 1]],
    ["a SYN_STREAM that is too short", [0x80, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1]],
    ["a RST_STREAM that is too short", [0x80, 3, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1]],
    ["a PING without an id", [0x80, 3, 0, 6, 0, 0, 0, 0]],
  ])("refuses %s", (_what, bytes) => {
    expect(() => read([Uint8Array.from(bytes)])).toThrow(SpdyError);
  });

  test("takes any bytes without another failure than its own", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
        try {
          read(chunks);
        } catch (error) {
          expect(error).toBeInstanceOf(SpdyError);
        }
      }),
    );
  });
});

describe("HeaderInflater", () => {
  test("reads one block after the other, names in lower case", async () => {
    const inflater = new HeaderInflater();
    const blocks = await deflateBlocks([
      block({ Streamtype: "error", port: "80" }),
      block({}),
      block({ a: "b" }),
    ]);
    const read: unknown[] = [];
    for (const one of blocks) read.push(Object.fromEntries(await inflater.read(one)));
    inflater.close();
    expect(read).toEqual([{ streamtype: "error", port: "80" }, {}, { a: "b" }]);
  });

  test("gives up on a block that unpacks to more than 64 KiB, however small it is", async () => {
    const [bomb = Buffer.alloc(0)] = await deflateBlocks([Buffer.alloc(50_000_000)]);
    expect(bomb.length).toBeLessThan(60_000);
    const reading = new HeaderInflater().read(bomb);
    await expect(reading).rejects.toBeInstanceOf(SpdyError);
  });

  test.each<[string, Buffer]>([
    ["a count of headers that are not there", Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ["a length beyond the block", Buffer.from([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])],
    ["an empty block", Buffer.alloc(1).subarray(1)],
  ])("refuses %s", async (_what, bytes) => {
    const [compressed = Buffer.alloc(0)] = await deflateBlocks([bytes]);
    const reading = new HeaderInflater().read(compressed);
    await expect(reading).rejects.toBeInstanceOf(SpdyError);
  });

  test("refuses bytes that are not compressed", async () => {
    const reading = new HeaderInflater().read(Buffer.from("not compressed at all"));
    await expect(reading).rejects.toBeInstanceOf(SpdyError);
  });
});

test("EmptyHeaderWriter writes one compressed stream of empty blocks", async () => {
  const writer = new EmptyHeaderWriter();
  const inflater = new HeaderInflater();
  for (let count = 0; count < 3; count += 1) expect((await inflater.read(writer.next())).size).toBe(0);
  inflater.close();
});

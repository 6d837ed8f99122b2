/** SPDY/3.1 frames as kubectl and a kubelet exchange them (SPDY Protocol, Draft 3.1, section 2). */

/** Control frames that mean something here; all others are skipped. */
export type SpdyFrame =
  /** A part of a data frame; `isFin`: the sender has ended its half of the stream. */
  | { readonly kind: "data"; readonly streamId: number; readonly bytes: Buffer; readonly isFin: boolean }
  /** `headers` still compressed. */
  | {
      readonly kind: "synStream";
      readonly streamId: number;
      readonly isFin: boolean;
      readonly headers: Buffer;
    }
  | { readonly kind: "synReply" | "headers"; readonly headers: Buffer }
  | { readonly kind: "rst"; readonly streamId: number }
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "goAway" };

/** What the peer did against the protocol. The session cannot go on. */
export class SpdyError extends Error {
  override readonly name = "SpdyError";
}

const VERSION = 3;
const HEADER_BYTES = 8;
/** A control frame is held until it is whole; kubectl's are about 100 bytes. */
const MAX_CONTROL_BYTES = 64 * 1024;
const FLAG_FIN = 1;
const TYPE = { synStream: 1, synReply: 2, rst: 3, ping: 6, goAway: 7, headers: 8 } as const;
const STREAM_ID_MASK = 0x7fffffff;

interface OpenData {
  readonly streamId: number;
  readonly isFin: boolean;
  left: number;
}

/** Takes the bytes as they come; the payload of data frames is passed on without waiting for the rest. */
export class SpdyFrameReader {
  #rest: Buffer = Buffer.alloc(0);
  #data: OpenData | undefined;

  /** What the chunk completes. Throws `SpdyError`; then nothing more can be read. */
  *read(chunk: Buffer): Generator<SpdyFrame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    for (;;) {
      if (this.#data !== undefined) {
        const data = this.#data;
        const part = bytes.subarray(0, data.left);
        bytes = bytes.subarray(part.length);
        data.left -= part.length;
        const isWhole = data.left === 0;
        if (isWhole) this.#data = undefined;
        if (part.length > 0 || isWhole) {
          yield { kind: "data", streamId: data.streamId, bytes: part, isFin: data.isFin && isWhole };
        }
        if (!isWhole) return;
      }
      const size = frameSize(bytes);
      if (size === undefined) break;
      if (!isControl(bytes)) {
        this.#data = openData(bytes);
        bytes = bytes.subarray(HEADER_BYTES);
        continue;
      }
      if (bytes.length < size) break;
      const frame = controlFrame(bytes.subarray(0, size));
      bytes = bytes.subarray(size);
      if (frame !== undefined) yield frame;
    }
    // A copy: a few bytes must not keep the whole chunk.
    if (bytes.length > 0) this.#rest = Buffer.from(bytes);
  }
}

function isControl(bytes: Buffer): boolean {
  return (bytes.readUInt8(0) & 0x80) !== 0;
}

/** With its header; undefined while too little is there to say. */
function frameSize(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const length = bytes.readUIntBE(5, 3);
  if (isControl(bytes)) {
    const version = bytes.readUInt16BE(0) & 0x7fff;
    if (version !== VERSION) throw new SpdyError(`a control frame has version ${version}`);
    if (length > MAX_CONTROL_BYTES) throw new SpdyError(`a control frame has ${length} bytes`);
  }
  return HEADER_BYTES + length;
}

function openData(bytes: Buffer): OpenData {
  return {
    streamId: bytes.readUInt32BE(0) & STREAM_ID_MASK,
    isFin: (bytes.readUInt8(4) & FLAG_FIN) !== 0,
    left: bytes.readUIntBE(5, 3),
  };
}

function controlFrame(frame: Buffer): SpdyFrame | undefined {
  const type = frame.readUInt16BE(2);
  const body = frame.subarray(HEADER_BYTES);
  const need = (bytes: number): void => {
    if (body.length < bytes)
      throw new SpdyError(`a control frame of type ${type} has only ${body.length} bytes`);
  };
  switch (type) {
    case TYPE.synStream: {
      need(10);
      const streamId = body.readUInt32BE(0) & STREAM_ID_MASK;
      const isFin = (frame.readUInt8(4) & FLAG_FIN) !== 0;
      return { kind: "synStream", streamId, isFin, headers: body.subarray(10) };
    }
    // Their headers say nothing to us, but they are part of the one compressed stream.
    case TYPE.synReply:
    case TYPE.headers:
      need(4);
      return { kind: type === TYPE.headers ? "headers" : "synReply", headers: body.subarray(4) };
    case TYPE.rst:
      need(8);
      return { kind: "rst", streamId: body.readUInt32BE(0) & STREAM_ID_MASK };
    case TYPE.ping:
      need(4);
      return { kind: "ping", id: body.readUInt32BE(0) };
    case TYPE.goAway:
      return { kind: "goAway" };
    default:
      return undefined;
  }
}

function control(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(0x8000 | VERSION, 0);
  header.writeUInt16BE(type, 2);
  header.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([header, body]);
}

function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, at) => bytes.writeUInt32BE(value >>> 0, at * 4));
  return bytes;
}

/** Accepts a stream. `headers` is a compressed block. */
export function writeSynReply(streamId: number, headers: Uint8Array): Buffer {
  return control(TYPE.synReply, uint32(streamId), headers);
}

/** `status`: 1 PROTOCOL_ERROR, 2 INVALID_STREAM, 3 REFUSED_STREAM, 5 CANCEL. */
export function writeRst(streamId: number, status: number): Buffer {
  return control(TYPE.rst, uint32(streamId, status));
}

export function writePing(id: number): Buffer {
  return control(TYPE.ping, uint32(id));
}

/** Says that streams above `lastStreamId` were not served; the session ends. */
export function writeGoAway(lastStreamId: number): Buffer {
  return control(TYPE.goAway, uint32(lastStreamId, 0));
}

/** At most 2^24 - 1 bytes. */
export function writeData(streamId: number, bytes: Uint8Array, isFin = false): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes.length);
  frame.writeUInt32BE(streamId, 0);
  frame.writeUInt8(isFin ? FLAG_FIN : 0, 4);
  frame.writeUIntBE(bytes.length, 5, 3);
  frame.set(bytes, HEADER_BYTES);
  return frame;
}

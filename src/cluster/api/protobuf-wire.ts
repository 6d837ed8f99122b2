/** The protobuf wire format: tags, varints and length-delimited bytes, never reading past the end. */

export const WIRE_VARINT = 0;
export const WIRE_DOUBLE = 1;
export const WIRE_BYTES = 2;
const WIRE_FLOAT = 5;

/** The bytes are not protobuf. The message is that of gogo/protobuf. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

export interface Tag {
  readonly number: number;
  readonly wire: number;
}

/** Reads one message from front to back. Every read throws `ProtobufError` when the message is too short. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Undefined at the end of the message. */
  tag(): Tag | undefined {
    if (this.atEnd()) return undefined;
    const value = this.#smallVarint();
    const number = Math.floor(value / 8);
    if (number <= 0 || number > 0x1fffffff) throw new ProtobufError(`proto: illegal tag ${number}`);
    return { number, wire: value % 8 };
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError("proto: integer overflow");
  }

  /** A signed integer; beyond 2^53 it loses precision, as all of JSON does. */
  integer(bits: 32 | 64): number {
    const start = this.#at;
    for (let value = 0, shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    this.#at = start; // Rare: large or negative.
    return Number(BigInt.asIntN(bits, this.varint()));
  }

  double(): number {
    this.#need(8);
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.#smallVarint();
    this.#need(length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Passes over the value of an unknown field. Groups are not used by Kubernetes and refused. */
  skip(wire: number): void {
    if (wire === WIRE_VARINT) this.varint();
    else if (wire === WIRE_BYTES) this.bytes();
    else if (wire === WIRE_DOUBLE || wire === WIRE_FLOAT) {
      const length = wire === WIRE_DOUBLE ? 8 : 4;
      this.#need(length);
      this.#at += length;
    } else throw new ProtobufError(`proto: illegal wireType ${wire}`);
  }

  /** Tags and lengths, where a double is exact: anything larger cannot fit the message anyhow. */
  #smallVarint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 63; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new ProtobufError("proto: integer overflow");
  }

  #byte(): number {
    this.#need(1);
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte;
  }

  #need(length: number): void {
    if (length > this.#bytes.length - this.#at) throw new ProtobufError("unexpected EOF");
  }
}

/** Writes DNS messages, with names that were there before as pointers, and no longer than the receiver takes. */
import { type DnsMessage, type RecordValue, type ResourceRecord, TYPE } from "./dns-message.ts";
import { type DomainName, isName, nameKey } from "./domain-name.ts";

/** What any receiver takes over UDP (RFC 1035, 4.2.1). */
export const PLAIN_UDP_BYTES = 512;
/** Over UDP not more than one packet of any network (DNS flag day 2020). */
export const MOST_UDP_BYTES = 1232;
/** Over TCP. */
export const MOST_TCP_BYTES = 65_535;

/** Pointers have 14 bits. */
const FARTHEST_POINTER = 0x3f_ff;
const POINTER = 0xc0_00;

/**
 * The message in at most `mostBytes`: additional records are left out in silence, missing answers make it `truncated`.
 * Throws `TypeError` for names and values that do not fit into their fields.
 */
export function encodeMessage(message: DnsMessage, mostBytes = MOST_TCP_BYTES): Uint8Array {
  const full = write(message);
  if (full.length <= mostBytes) return full;
  const lean = write({ ...message, additionals: [] });
  if (lean.length <= mostBytes) return lean;
  // Who gets a part asks again over TCP; it need not be the largest part that fits.
  const part = { ...message, truncated: true, authorities: [], additionals: [] };
  for (let count = part.answers.length; count > 0; count = Math.floor(count / 2)) {
    const bytes = write({ ...part, answers: part.answers.slice(0, count) });
    if (bytes.length <= mostBytes) return bytes;
  }
  return write({ ...part, answers: [] });
}

function write(message: DnsMessage): Uint8Array {
  const { question, answers, authorities, edns } = message;
  const additionals = [...message.additionals, ...(edns === undefined ? [] : [optionOf(message, edns)])];
  const writer = new Writer();
  writer.number(message.id, 2);
  writer.number(flagsOf(message), 2);
  for (const section of [question === undefined ? [] : [question], answers, authorities, additionals])
    writer.number(section.length, 2);
  if (question !== undefined) {
    writer.name(question.name);
    writer.number(question.type, 2);
    writer.number(question.class, 2);
  }
  for (const record of [...answers, ...authorities, ...additionals]) writer.record(record);
  return writer.finish();
}

function flagsOf(message: DnsMessage): number {
  const bits: readonly (readonly [boolean, number])[] = [
    [message.isResponse, 0x80_00],
    [message.authoritative, 0x04_00],
    [message.truncated, 0x02_00],
    [message.recursionDesired, 0x01_00],
    [message.recursionAvailable, 0x80],
    [message.authenticData, 0x20],
    [message.checkingDisabled, 0x10],
  ];
  const flags = bits.reduce((sum, [isSet, bit]) => sum + (isSet ? bit : 0), 0);
  return flags + (message.opcode & 0xf) * 0x08_00 + (message.rcode & 0xf);
}

/** EDNS in the shape of a record (RFC 6891, 6.1.2). */
function optionOf({ rcode }: DnsMessage, edns: NonNullable<DnsMessage["edns"]>): ResourceRecord {
  const ttl = (rcode >>> 4) * 2 ** 24 + edns.version * 2 ** 16 + (edns.dnssecOk ? 0x80_00 : 0);
  return {
    name: [],
    type: TYPE.OPT,
    class: edns.udpSize,
    ttl,
    value: { kind: "bytes", bytes: new Uint8Array() },
  };
}

class Writer {
  #bytes = new Uint8Array(PLAIN_UDP_BYTES);
  #length = 0;
  /** Where the names begin that later ones may end in. */
  readonly #places = new Map<string, number>();

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  number(value: number, size: 1 | 2 | 4): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (size * 8))
      throw new TypeError(`Not a number of ${size} bytes: ${value}`);
    const parts: number[] = [];
    for (let shift = size - 1; shift >= 0; shift--) parts.push(Math.floor(value / 2 ** (shift * 8)) % 256);
    this.#append(parts);
  }

  name(name: DomainName, mayPoint = true): void {
    if (!isName(name)) throw new TypeError("Not a domain name");
    for (let first = 0; first < name.length; first++) {
      const key = nameKey(name.slice(first));
      const place = this.#places.get(key);
      if (mayPoint && place !== undefined) {
        this.number(POINTER + place, 2);
        return;
      }
      if (place === undefined && this.#length <= FARTHEST_POINTER) this.#places.set(key, this.#length);
      this.#text(name[first] ?? "");
    }
    this.number(0, 1);
  }

  record(record: ResourceRecord): void {
    this.name(record.name);
    this.number(record.type, 2);
    this.number(record.class, 2);
    this.number(record.ttl, 4);
    const lengthAt = this.#length;
    this.number(0, 2);
    this.#value(record.value);
    const length = this.#length - lengthAt - 2;
    if (length > 0xff_ff) throw new TypeError("A record's value is too long");
    this.#bytes[lengthAt] = length >>> 8;
    this.#bytes[lengthAt + 1] = length & 0xff;
  }

  #value(value: RecordValue): void {
    switch (value.kind) {
      case "name":
        this.name(value.target);
        return;
      case "service":
        for (const part of [value.priority, value.weight, value.port]) this.number(part, 2);
        // Old resolvers would not know that there is a name to expand (RFC 2782).
        this.name(value.target, false);
        return;
      case "texts":
        for (const text of value.texts) this.#text(text);
        return;
      case "authority":
        this.name(value.server);
        this.name(value.mailbox);
        for (const part of [value.serial, value.refresh, value.retry, value.expire, value.minimum])
          this.number(part, 4);
        return;
      case "address":
      case "bytes":
        this.#append(value.bytes);
    }
  }

  #text(text: string): void {
    this.number(text.length, 1);
    this.#append(Array.from(text, (character) => character.charCodeAt(0)));
  }

  #append(bytes: ArrayLike<number>): void {
    while (this.#length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

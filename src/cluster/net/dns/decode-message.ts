/**
 * Reads DNS messages from the wire, and believes none of their lengths and pointers: whatever is not exactly as RFC 1035 has
 * it is no message.
 */
import {
  type DnsHeader,
  type DnsMessage,
  type Edns,
  type Question,
  type RecordValue,
  type ResourceRecord,
  TYPE,
} from "./dns-message.ts";
import type { DomainName } from "./domain-name.ts";

export const HEADER_BYTES = 12;
const MOST_NAME_BYTES = 255;
const MOST_LABEL_BYTES = 63;
const POINTER = 0xc0;
/** A TTL with the highest bit is zero (RFC 2181, 8). */
const HIGHEST_TTL = 0x7f_ff_ff_ff;
const DNSSEC_OK = 0x80_00;

/** Not a DNS message. */
export class DnsFormatError extends Error {}

/** Reads the header alone; `undefined` when there is not even that. */
export function decodeHeader(bytes: Uint8Array): DnsHeader | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  return {
    id: view.getUint16(0),
    isResponse: (flags & 0x80_00) !== 0,
    opcode: (flags >>> 11) & 0xf,
    authoritative: (flags & 0x04_00) !== 0,
    truncated: (flags & 0x02_00) !== 0,
    recursionDesired: (flags & 0x01_00) !== 0,
    recursionAvailable: (flags & 0x80) !== 0,
    authenticData: (flags & 0x20) !== 0,
    checkingDisabled: (flags & 0x10) !== 0,
    rcode: flags & 0xf,
  };
}

/** Reads a whole message with exactly one question. Throws `DnsFormatError`. */
export function decodeMessage(bytes: Uint8Array): DnsMessage {
  const header = decodeHeader(bytes);
  if (header === undefined) throw new DnsFormatError("The message ends within its header");
  const reader = new Reader(bytes);
  const [questions, answerCount, authorityCount, additionalCount] = reader.counts();
  if (questions !== 1) throw new DnsFormatError("The message has not one question");
  const question = reader.question();
  const records = (count: number): Parsed[] => Array.from({ length: count }, () => reader.record());
  const answers = records(answerCount);
  const authorities = records(authorityCount);
  const all = records(additionalCount);
  if (reader.hasMore) throw new DnsFormatError("Something follows the message");
  if ([...answers, ...authorities].some(isOption)) throw new DnsFormatError("EDNS has its own section");
  const options = all.filter(isOption);
  const edns = ednsOf(options);
  const [option] = options;
  const extended = option === undefined ? 0 : Math.floor(option.rawTtl / 2 ** 24);
  return {
    ...header,
    rcode: header.rcode + extended * 16,
    question,
    answers: answers.map(plain),
    authorities: authorities.map(plain),
    additionals: all.filter((record) => !isOption(record)).map(plain),
    edns,
  };
}

interface Parsed extends ResourceRecord {
  /** EDNS keeps flags where others keep their time to live. */
  readonly rawTtl: number;
}

function plain({ name, type, class: recordClass, ttl, value }: Parsed): ResourceRecord {
  return { name, type, class: recordClass, ttl, value };
}

function isOption({ type }: ResourceRecord): boolean {
  return type === TYPE.OPT;
}

/** At most one, of the root (RFC 6891, 6.1.1). */
function ednsOf(options: readonly Parsed[]): Edns | undefined {
  const [option] = options;
  if (option === undefined) return undefined;
  if (options.length > 1 || option.name.length > 0)
    throw new DnsFormatError("EDNS is there twice or has a name");
  return {
    udpSize: option.class,
    version: Math.floor(option.rawTtl / 2 ** 16) % 256,
    dnssecOk: (option.rawTtl & DNSSEC_OK) !== 0,
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = HEADER_BYTES;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** Of questions, answers, authorities and additional records. */
  counts(): [number, number, number, number] {
    const count = (index: number): number => this.#view.getUint16(4 + index * 2);
    return [count(0), count(1), count(2), count(3)];
  }

  question(): Question {
    const name = this.#name();
    return { name, type: this.#number(2), class: this.#number(2) };
  }

  record(): Parsed {
    const name = this.#name();
    const [type, recordClass, rawTtl, length] = [
      this.#number(2),
      this.#number(2),
      this.#number(4),
      this.#number(2),
    ];
    const end = this.#at + length;
    this.#mustReach(end);
    const value = this.#value(type, end);
    if (this.#at !== end) throw new DnsFormatError("A record's value has not the length it says");
    const ttl = rawTtl > HIGHEST_TTL ? 0 : rawTtl;
    return { name, type, class: recordClass, ttl, rawTtl, value };
  }

  #value(type: number, end: number): RecordValue {
    switch (type) {
      case TYPE.CNAME:
      case TYPE.NS:
      case TYPE.PTR:
        return { kind: "name", target: this.#name() };
      case TYPE.A:
      case TYPE.AAAA:
        if (end - this.#at !== (type === TYPE.A ? 4 : 16))
          throw new DnsFormatError("An address has a wrong length");
        return { kind: "address", bytes: this.#take(end - this.#at) };
      case TYPE.SRV: {
        const [priority, weight, port] = [this.#number(2), this.#number(2), this.#number(2)];
        return { kind: "service", priority, weight, port, target: this.#name() };
      }
      case TYPE.TXT:
        return { kind: "texts", texts: this.#texts(end) };
      case TYPE.SOA:
        return this.#authority();
      default:
        return { kind: "bytes", bytes: this.#take(end - this.#at) };
    }
  }

  #authority(): RecordValue {
    const [server, mailbox] = [this.#name(), this.#name()];
    const [serial, refresh, retry] = [this.#number(4), this.#number(4), this.#number(4)];
    const [expire, minimum] = [this.#number(4), this.#number(4)];
    return { kind: "authority", server, mailbox, serial, refresh, retry, expire, minimum };
  }

  #texts(end: number): string[] {
    const texts: string[] = [];
    while (this.#at < end) texts.push(latin1(this.#take(this.#number(1))));
    if (texts.length === 0) throw new DnsFormatError("A text is missing");
    return texts;
  }

  /** A pointer leads to before all that has been read of the name, so that following them must come to an end. */
  #name(): DomainName {
    const name: string[] = [];
    let bytes = 1;
    let [at, before, after] = [this.#at, this.#at, -1];
    for (;;) {
      const length = this.#byteAt(at);
      if (length >= POINTER) {
        const target = (length - POINTER) * 256 + this.#byteAt(at + 1);
        if (after < 0) after = at + 2;
        if (target < HEADER_BYTES || target >= before)
          throw new DnsFormatError("A pointer does not lead back");
        [at, before] = [target, target];
        continue;
      }
      if (length > MOST_LABEL_BYTES) throw new DnsFormatError("A label is of an unknown kind");
      if (length === 0) break;
      bytes += length + 1;
      if (bytes > MOST_NAME_BYTES) throw new DnsFormatError("A name is too long");
      this.#mustReach(at + 1 + length);
      name.push(latin1(this.#bytes.subarray(at + 1, at + 1 + length)));
      at += length + 1;
    }
    this.#at = after < 0 ? at + 1 : after;
    return name;
  }

  #byteAt(at: number): number {
    const byte = this.#bytes[at];
    if (byte === undefined) throw new DnsFormatError("The message ends early");
    return byte;
  }

  #number(size: 1 | 2 | 4): number {
    let number = 0;
    for (const byte of this.#take(size)) number = number * 256 + byte;
    return number;
  }

  #take(count: number): Uint8Array {
    const end = this.#at + count;
    this.#mustReach(end);
    const taken = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  #mustReach(end: number): void {
    if (end > this.#bytes.length) throw new DnsFormatError("The message ends early");
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

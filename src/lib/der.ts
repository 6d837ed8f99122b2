/** Writes DER (X.690), as much of it as an X.509 certificate takes. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** One element: tag, length, content. `tag` is the whole identifier octet. */
export function derElement(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag]), lengthOctets(content.length), content]);
}

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.from([0x80 | octets.length]), octets]);
}

export function derSequence(...elements: readonly Uint8Array[]): Buffer {
  return derElement(TAG.sequence, Buffer.concat(elements));
}

export function derSet(...elements: readonly Uint8Array[]): Buffer {
  return derElement(TAG.set, Buffer.concat(elements));
}

/** A non-negative integer from its big-endian octets; shortest form, never read as negative. */
export function derInteger(octets: Uint8Array): Buffer {
  const first = octets.findIndex((octet) => octet !== 0);
  const short = first < 0 ? Buffer.from([0]) : octets.subarray(first);
  const isNegative = (short[0] ?? 0) >= 0x80;
  return derElement(TAG.integer, isNegative ? Buffer.concat([Buffer.from([0]), short]) : short);
}

export function derTrue(): Buffer {
  return derElement(TAG.boolean, Buffer.from([0xff]));
}

export function derBitString(octets: Uint8Array, unusedBits = 0): Buffer {
  return derElement(TAG.bitString, Buffer.concat([Buffer.from([unusedBits]), octets]));
}

export function derOctetString(octets: Uint8Array): Buffer {
  return derElement(TAG.octetString, octets);
}

export function derUtf8String(text: string): Buffer {
  return derElement(TAG.utf8String, Buffer.from(text));
}

/** Dotted notation, for example `1.2.840.10045.4.3.2`. */
export function derObjectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return derElement(TAG.objectIdentifier, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(value: number): number[] {
  const octets = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) octets.unshift((left & 0x7f) | 0x80);
  return octets;
}

/** RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. Whole seconds. */
export function derTime(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, "");
  return at.getUTCFullYear() < 2050
    ? derElement(TAG.utcTime, Buffer.from(digits.slice(2)))
    : derElement(TAG.generalizedTime, Buffer.from(digits));
}

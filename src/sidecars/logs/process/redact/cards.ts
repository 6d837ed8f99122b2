/** Finds numbers of payment cards: right length, known issuer, right check digit (Luhn), alone or in groups as people write them. */
import { type Detector, endsEscape, isDigit, isHex, isLetter, NOTHING, separatorAt } from "./detector.ts";

const MIN_DIGITS = 13;
const MAX_DIGITS = 19;
/** Every layout begins with so many. */
const GROUP = 4;

interface Issuer {
  /** First four digits. */
  readonly from: number;
  readonly to: number;
  readonly lengths: readonly number[];
}

const LONG = [16, 17, 18, 19];
const ANY = [13, 14, 15, ...LONG];

/** ISO/IEC 7812 ranges as the networks publish them. */
const ISSUERS: readonly Issuer[] = [
  { from: 4000, to: 4999, lengths: [13, 16, 19] }, // Visa
  { from: 5100, to: 5599, lengths: [16] }, // Mastercard
  { from: 2221, to: 2720, lengths: [16] }, // Mastercard
  { from: 3400, to: 3499, lengths: [15] }, // American Express
  { from: 3700, to: 3799, lengths: [15] }, // American Express
  { from: 3000, to: 3059, lengths: [14, 16, 17, 18, 19] }, // Diners Club
  { from: 3095, to: 3095, lengths: [14, 16, 17, 18, 19] }, // Diners Club
  { from: 3600, to: 3699, lengths: [14, ...LONG] }, // Diners Club
  { from: 3800, to: 3999, lengths: [14, ...LONG] }, // Diners Club
  { from: 3528, to: 3589, lengths: LONG }, // JCB
  { from: 6000, to: 6599, lengths: LONG }, // Discover, UnionPay, RuPay, Maestro
  { from: 6700, to: 6799, lengths: LONG }, // Maestro
  { from: 5000, to: 5099, lengths: LONG }, // Maestro, RuPay, Elo, Verve
  { from: 5600, to: 5899, lengths: LONG }, // Maestro
  { from: 5018, to: 5018, lengths: ANY }, // Maestro
  { from: 5020, to: 5020, lengths: ANY }, // Maestro
  { from: 5038, to: 5038, lengths: ANY }, // Maestro
  { from: 6304, to: 6304, lengths: ANY }, // Maestro
  { from: 6759, to: 6763, lengths: ANY }, // Maestro
  { from: 2200, to: 2204, lengths: LONG }, // Mir
  { from: 8100, to: 8299, lengths: LONG }, // UnionPay, RuPay
  { from: 9792, to: 9792, lengths: [16] }, // Troy
];

/** Sizes of groups: anything else that looks alike is a row of unrelated numbers. */
const LAYOUTS: readonly (readonly number[])[] = [
  [4, 4, 4, 4, 3],
  [4, 4, 4, 4, 2],
  [4, 4, 4, 4, 1],
  [4, 4, 4, 4],
  [4, 6, 5],
  [4, 6, 4],
  [4, 4, 4, 1],
];

const DOT = 0x2e;
const PERCENT = 0x25;

export const cards: Detector = {
  mayHold(text) {
    // Any number of 13 digits, separators included, covers one of these places.
    for (let at = MIN_DIGITS - 2; at < text.length; at += MIN_DIGITS - 1) {
      if (isPart(text.charCodeAt(at)) && isInRun(text, at)) return true;
    }
    return false;
  },

  find(text) {
    let spans: number[] | undefined;
    let at = 0;
    while (at < text.length) {
      if (!isDigit(text.charCodeAt(at))) {
        at++;
        continue;
      }
      const groupEnd = endOfDigits(text, at);
      let start = at;
      let end = endOfCard(text, start, groupEnd);
      if (end === 0 && text.charCodeAt(at - 1) === PERCENT) {
        // `%204111`: the first two digits belong to an escape.
        start += 2;
        end = endOfCard(text, start, groupEnd);
      }
      if (end > 0) (spans ??= []).push(start, end);
      at = Math.max(groupEnd, end);
    }
    return spans ?? NOTHING;
  },
};

/** Digits of the candidate under examination: one at a time, so one buffer does. */
const digits = new Uint8Array(MAX_DIGITS);

/** End of the card that begins with the group of digits from `start` to `end`; 0 where none does. */
function endOfCard(text: string, start: number, end: number): number {
  if (!isFree(text, start)) return 0;
  if (isWhole(text, start, end)) return end;
  if (end - start !== GROUP) return 0;
  for (const layout of LAYOUTS) {
    const last = endOfLayout(text, start, layout);
    if (last > 0 && isFreeBehind(text, last) && isCard(sum(layout))) return last;
  }
  return 0;
}

function isWhole(text: string, start: number, end: number): boolean {
  const length = end - start;
  if (length < MIN_DIGITS || length > MAX_DIGITS || !isFreeBehind(text, end)) return false;
  for (let index = 0; index < length; index++) digits[index] = text.charCodeAt(start + index) - 0x30;
  return isCard(length);
}

/** Reads the groups into `digits`. Answers where they end, 0 where the text has other groups. */
function endOfLayout(text: string, start: number, layout: readonly number[]): number {
  let at = start;
  let count = 0;
  for (const size of layout) {
    if (at > start) {
      const separator = separatorAt(text, at);
      if (separator === 0 || text.charCodeAt(at) !== text.charCodeAt(start + GROUP)) return 0;
      at += separator;
    }
    const end = at + size;
    for (; at < end; at++) {
      const code = text.charCodeAt(at);
      if (!isDigit(code)) return 0;
      digits[count++] = code - 0x30;
    }
    if (isDigit(text.charCodeAt(at))) return 0;
  }
  return at;
}

/** Not the tail of a hexadecimal word (a trace id, a checksum) nor of a decimal fraction. */
function isFree(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1);
  if (before === DOT) return !isDigit(text.charCodeAt(start - 2));
  return !isLetter(before) || !isHex(before) || endsEscape(text, start);
}

function isFreeBehind(text: string, end: number): boolean {
  const behind = text.charCodeAt(end);
  if (behind === DOT) return !isDigit(text.charCodeAt(end + 1));
  return !isHex(behind);
}

/** The first `length` of `digits`. */
function isCard(length: number): boolean {
  let check = 0;
  for (let index = 0; index < length; index++) {
    const digit = digits[index] ?? 0;
    const doubled = (length - index) % 2 === 0 ? digit * 2 : digit;
    check += doubled > 9 ? doubled - 9 : doubled;
  }
  if (check % 10 !== 0) return false;
  const [a = 0, b = 0, c = 0, d = 0] = digits;
  const prefix = a * 1_000 + b * 100 + c * 10 + d;
  return ISSUERS.some(({ from, to, lengths }) => prefix >= from && prefix <= to && lengths.includes(length));
}

function endOfDigits(text: string, start: number): number {
  let end = start + 1;
  while (isDigit(text.charCodeAt(end))) end++;
  return end;
}

/** Digits, and what may stand between their groups. */
function isPart(code: number): boolean {
  return isDigit(code) || code === 0x20 || code === 0x2d || code === 0x2b || code === PERCENT;
}

function isInRun(text: string, at: number): boolean {
  let first = at;
  while (at - first < MIN_DIGITS && isPart(text.charCodeAt(first - 1))) first--;
  let end = at + 1;
  while (end - first < MIN_DIGITS && isPart(text.charCodeAt(end))) end++;
  return end - first >= MIN_DIGITS;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Resource amounts (`500m`, `1Gi`, `1e3`) as exact numbers, with Kubernetes' canonical form (`api/resource.Quantity`). */

export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

/** Amount in billionths, the finest unit Kubernetes keeps. */
export interface Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;
  /** Set where Kubernetes keeps the text it was given although it would write it differently, such as `1.500`. */
  readonly verbatim?: string;
}

/** The text is not a quantity. The message is that of the real server. */
export class QuantityError extends Error {
  override readonly name = "QuantityError";
}

const FORMAT_WRONG =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_WRONG = "unable to parse quantity's suffix";

const NANOS = 1_000_000_000n;
const MAX_BINARY = (1n << 63n) - 1n;
/** Digits that fit an int64 for sure: beyond them Kubernetes takes its slow path, which never keeps the text. */
const MAX_FAST_DIGITS = 18;
/** No sane amount has one; without a bound `1e999999999` would ask for a gigabyte of digits. */
const MAX_EXPONENT = 1000;

const DECIMAL_SUFFIXES: ReadonlyMap<string, number> = new Map([
  ["n", -9],
  ["u", -6],
  ["m", -3],
  ["", 0],
  ["k", 3],
  ["M", 6],
  ["G", 9],
  ["T", 12],
  ["P", 15],
  ["E", 18],
]);
const BINARY_SUFFIXES: ReadonlyMap<string, number> = new Map([
  ["Ki", 10],
  ["Mi", 20],
  ["Gi", 30],
  ["Ti", 40],
  ["Pi", 50],
  ["Ei", 60],
]);
const DECIMAL_NAMES = new Map([...DECIMAL_SUFFIXES].map(([name, exponent]) => [exponent, name]));
const BINARY_NAMES = ["", ...BINARY_SUFFIXES.keys()];

interface Suffix {
  readonly format: QuantityFormat;
  /** Power of two for BinarySI, of ten otherwise. */
  readonly exponent: number;
}

function interpretSuffix(text: string): Suffix {
  const decimal = DECIMAL_SUFFIXES.get(text);
  if (decimal !== undefined) return { format: "DecimalSI", exponent: decimal };
  const binary = BINARY_SUFFIXES.get(text);
  if (binary !== undefined) return { format: "BinarySI", exponent: binary };
  const power = /^[eE]([+-]?\d+)$/.exec(text)?.[1];
  const exponent = Number(power ?? Number.NaN);
  if (!(Math.abs(exponent) <= MAX_EXPONENT)) throw new QuantityError(SUFFIX_WRONG);
  return { format: "DecimalExponent", exponent };
}

/** Billionths, rounded away from zero where finer than that. */
function scaleToNanos(digits: bigint, tenths: number): bigint {
  const power = 9 + tenths;
  if (power >= 0) return digits * 10n ** BigInt(power);
  return ceilDivide(digits, 10n ** BigInt(-power));
}

function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return quotient * divisor === dividend ? quotient : quotient + 1n;
}

/** Whether `ParseQuantity` keeps the text: its fast path does, for what merely looks canonical. */
function keepsText(digits: string, scale: number, { format, exponent }: Suffix): boolean {
  if (format === "BinarySI") {
    const fits = 15 - digits.length - Math.trunc((exponent * 3) / 10) - 1 >= 0;
    return fits && (BigInt(digits) & 7n) !== 0n;
  }
  if (digits.length > MAX_FAST_DIGITS || scale < -9) return false;
  return scale % 3 === 0 && !digits.endsWith("000") && !digits.startsWith("0");
}

/** Throws `QuantityError`. Amounts finer than a billionth round away from zero, binary ones cap at 2^63-1. */
export function parseQuantity(text: string): Quantity {
  const match = /^([+-]?)(\d*)\.?(\d*)([eEinumkKMGTP]*[-+]?\d*)$/.exec(text);
  if (match === null || text === "") throw new QuantityError(FORMAT_WRONG);
  const [, sign, whole = "", fraction = "", suffixText = ""] = match;
  if (whole + fraction === "") throw new QuantityError(FORMAT_WRONG);
  const suffix = interpretSuffix(suffixText);
  const integer = whole.replace(/^0+/, "") || "0";
  const digits = integer + fraction;
  const scale = (suffix.format === "BinarySI" ? 0 : suffix.exponent) - fraction.length;
  let nanos = scaleToNanos(BigInt(digits), scale);
  if (suffix.format === "BinarySI") {
    nanos = ceilDivide((BigInt(digits) * NANOS) << BigInt(suffix.exponent), 10n ** BigInt(fraction.length));
    if (nanos > MAX_BINARY * NANOS) nanos = MAX_BINARY * NANOS;
  }
  const fast = keepsText(digits, scale, suffix) && (suffix.format !== "BinarySI" || fraction === "");
  const signed = sign === "-" ? -nanos : nanos;
  return { nanos: signed, format: suffix.format, ...(fast ? { verbatim: text } : {}) };
}

/** From a manifest, where an amount may be a bare number (`cpu: 0.5`). */
export function quantityOf(value: string | number): Quantity {
  return parseQuantity(typeof value === "number" ? String(value) : value.trim());
}

function formatDecimal(nanos: bigint, format: QuantityFormat): string {
  let [mantissa, exponent] = [nanos, -9];
  while (mantissa % 10n === 0n) [mantissa, exponent] = [mantissa / 10n, exponent + 1];
  while (exponent % 3 !== 0) [mantissa, exponent] = [mantissa * 10n, exponent - 1];
  const name = format === "DecimalSI" ? DECIMAL_NAMES.get(exponent) : undefined;
  return `${mantissa}${name ?? (exponent === 0 ? "" : `e${exponent}`)}`;
}

function formatBinary(whole: bigint): string {
  let [mantissa, steps] = [whole, 0];
  while (mantissa % 1024n === 0n && steps < BINARY_NAMES.length - 1)
    [mantissa, steps] = [mantissa / 1024n, steps + 1];
  return `${mantissa}${BINARY_NAMES[steps] ?? ""}`;
}

/** The canonical form: no fraction, the largest suffix that loses nothing, the kind of suffix it was given with. */
export function formatQuantity({ nanos, format, verbatim }: Quantity): string {
  if (verbatim !== undefined) return verbatim;
  if (nanos === 0n) return "0";
  const tiny = nanos > -1024n * NANOS && nanos < 1024n * NANOS;
  if (format !== "BinarySI") return formatDecimal(nanos, format);
  return tiny || nanos % NANOS !== 0n ? formatDecimal(nanos, "DecimalSI") : formatBinary(nanos / NANOS);
}

/** What the server stores and answers for an amount in a manifest. Throws `QuantityError`. */
export function canonicalQuantity(value: string | number): string {
  return formatQuantity(quantityOf(value));
}

export function isQuantity(value: unknown): boolean {
  if (typeof value !== "string" && typeof value !== "number") return false;
  try {
    quantityOf(value);
    return true;
  } catch (error) {
    if (error instanceof QuantityError) return false;
    throw error;
  }
}

/** Negative, zero or positive, as for `sort`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return a.nanos < b.nanos ? -1 : Number(a.nanos > b.nanos);
}

/** The format is that of the first operand that is not zero (`Quantity.Add`). */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

function ceilTo(nanos: bigint, unit: bigint): number {
  const quotient = nanos / unit;
  return Number(nanos > 0n && quotient * unit !== nanos ? quotient + 1n : quotient);
}

/** `Quantity.Value()`: whole units, rounded up; bytes for memory. */
export function wholeValue(quantity: Quantity): number {
  return ceilTo(quantity.nanos, NANOS);
}

/** `Quantity.MilliValue()`: thousandths, rounded up; millicores for CPU. */
export function milliValue(quantity: Quantity): number {
  return ceilTo(quantity.nanos, 1_000_000n);
}

/** Scalars of the Kubernetes API as its Go types read and write them: integers, times, quantities, base64. */
import { canonicalQuantity, QuantityError } from "./quantity.ts";
import type { FieldType } from "./schema.ts";
import { formatTimestamp } from "./timestamp.ts";

/** A value does not fit its type. The message is that of Go's JSON decoder. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** Makes the error for a value of the wrong JSON type; the Go type is given where it is not the field's own. */
type TypeErrorOf = (value: unknown, goType?: string) => DecodeError;

type Scalar = Exclude<FieldType, "object">;

const INTEGER_BOUNDS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
};

/** The canonical value. Throws `DecodeError`. */
export function decodeScalar(value: unknown, type: Scalar, typeError: TypeErrorOf): unknown {
  switch (type) {
    case "string":
      return expectType(value, "string", typeError);
    case "bool":
      return expectType(value, "boolean", typeError);
    case "float64":
      return expectType(value, "number", typeError);
    case "int32":
    case "int64":
      return decodeInteger(value, type, typeError);
    case "intorstring":
      return typeof value === "string"
        ? value
        : decodeInteger(value, "int32", (given) => typeError(given, "int32"));
    case "quantity":
      return decodeQuantity(value);
    case "bytes":
      return decodeBytes(value, typeError);
    case "time":
    case "microtime":
      return decodeTime(value, type, typeError);
    case "any":
    default:
      return value;
  }
}

/** Go's zero value; undefined where its JSON would be null. */
export function zeroOf(type: FieldType): unknown {
  const zeros: Partial<Record<FieldType, unknown>> = {
    string: "",
    bool: false,
    int32: 0,
    int64: 0,
    float64: 0,
    intorstring: 0,
    quantity: "0",
  };
  return zeros[type];
}

/** As Go's `UnmarshalTypeError.Value`: a number's text belongs to it where the type is a number too. */
export function describeJson(value: unknown, goType = ""): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return /^(u?int|float)\d*$/.test(goType) ? `number ${value}` : "number";
  return { string: "string", boolean: "bool" }[typeof value as string] ?? "object";
}

function expectType(value: unknown, type: "string" | "boolean" | "number", typeError: TypeErrorOf): unknown {
  if (typeof value === type) return value;
  throw typeError(value);
}

function decodeInteger(value: unknown, type: "int32" | "int64", typeError: TypeErrorOf): number {
  const [min = 0, max = 0] = INTEGER_BOUNDS[type] ?? [];
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw typeError(value);
}

function decodeQuantity(value: unknown): string {
  try {
    return canonicalQuantity(typeof value === "number" ? value : typeof value === "string" ? value : "?");
  } catch (error) {
    if (error instanceof QuantityError) throw new DecodeError(error.message);
    throw error;
  }
}

/** Standard base64; Go skips line breaks and answers without them. */
function decodeBytes(value: unknown, typeError: TypeErrorOf): string {
  if (typeof value !== "string") throw typeError(value);
  const text = value.replaceAll(/[\r\n]/g, "");
  const digits = /^[A-Za-z0-9+/]*/.exec(text)?.[0].length ?? 0;
  const padding = "=".repeat((4 - (digits % 4)) % 4);
  if (digits % 4 !== 1 && text.slice(digits) === padding) return text;
  const at = digits === text.length ? digits - (digits % 4) : digits;
  throw new DecodeError(`illegal base64 data at input byte ${at}`);
}

const RFC_3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(?:Z|[+-]\d\d:\d\d)$/;
const MICRO_DIGITS = 6;

/** As Go's `time.Parse`: a `MicroTime` has six digits behind the seconds, no more and no fewer. */
function decodeTime(value: unknown, type: "time" | "microtime", typeError: TypeErrorOf): string {
  if (typeof value !== "string") throw typeError(value, "string");
  const match = RFC_3339.exec(value);
  const ms = match === null ? Number.NaN : Date.parse(value);
  const layout = type === "time" ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
  const refuse = (rest: string, as: string) =>
    new DecodeError(`parsing time "${value}" as "${layout}": cannot parse "${rest}" as "${as}"`);
  if (Number.isNaN(ms)) throw refuse(value, "2006");
  const whole = formatTimestamp(ms);
  if (type === "time") return whole;
  const [, seconds = "", digits = ""] = match ?? [];
  if (digits.length < MICRO_DIGITS) throw refuse(value.slice(seconds.length), ".000000");
  if (digits.length > MICRO_DIGITS) throw refuse(value.slice(seconds.length + 1 + MICRO_DIGITS), "Z07:00");
  return `${whole.slice(0, -1)}.${digits}Z`;
}

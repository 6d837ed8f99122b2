/** The formats that the real server checks (kube-openapi `strfmt`); any other format is a comment. */
import { isIP } from "node:net";
import { checkDns1123Label, checkDns1123Subdomain } from "../names.ts";

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
/** No digit can be matched in two ways: a long number without a unit would take its length squared. */
const DURATION = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+$|^0$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const HOST_LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{N}_-]{0,61}[\p{L}\p{N}])?$/u;

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  "date-time": (text) => RFC_3339.test(text) && !Number.isNaN(Date.parse(text.toUpperCase())),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && isCalendarDay(text),
  duration: (text) => DURATION.test(text),
  ipv4: (text) => isIP(text) === 4,
  ipv6: (text) => isIP(text) === 6,
  cidr: isCidr,
  mac: (text) => /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text),
  uri: (text) => /^(?:[a-z][a-z0-9+.-]*:|\/)\S*$/i.test(text),
  email: (text) => /^[^\s@<>]+@[^\s@<>]+$/.test(text),
  hostname: (text) => text.length < 256 && text.split(".").every((label) => HOST_LABEL.test(label)),
  uuid: (text) => UUID.test(text),
  uuid3: (text) => UUID.test(text),
  uuid4: (text) => UUID.test(text),
  uuid5: (text) => UUID.test(text),
  byte: (text) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text),
  "k8s-short-name": (text) => checkDns1123Label(text).length === 0,
  "k8s-long-name": (text) => checkDns1123Subdomain(text).length === 0,
};

function isCalendarDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function isCidr(text: string): boolean {
  const [address = "", bits = "", ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (family === 4 ? 32 : 128);
}

const INTEGERS: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

/** True for values that the format is not about, and for formats that are not known. */
export function matchesFormat(value: unknown, format: string): boolean {
  if (typeof value === "number") {
    const bound = Object.hasOwn(INTEGERS, format) ? INTEGERS[format] : undefined;
    return bound === undefined || (value >= -bound && value < bound);
  }
  if (typeof value !== "string" || !Object.hasOwn(FORMATS, format)) return true;
  return FORMATS[format]?.(value) ?? true;
}

/** Named in the real server's list, though nothing of ours looks at some of them. */
const ONLY_NAMES: ReadonlySet<string> = new Set([
  "bsonobjectid",
  "creditcard",
  "datetime",
  "double",
  "float",
  "hexcolor",
  "isbn",
  "isbn10",
  "isbn13",
  "password",
  "rgbcolor",
  "ssn",
]);

/** Whether the real server knows the format. It warns of others. */
export function isKnownFormat(format: string): boolean {
  return Object.hasOwn(FORMATS, format) || Object.hasOwn(INTEGERS, format) || ONLY_NAMES.has(format);
}

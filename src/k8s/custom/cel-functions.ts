/** Kubernetes' own functions of CEL: lists, regular expressions, quantities, URLs, addresses (apiserver `cel/library`). */
import type { Environment } from "@marcbachmann/cel-js";
import { isIP } from "node:net";
import { compileLinear, MATCHES_PER_LOOK } from "../../lib/linear-regex.ts";
import { isQuantity, quantityOf } from "../quantity.ts";
import { CelCostError } from "./cel-cost.ts";

class Quantity {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

class Url {
  readonly url: URL;

  constructor(url: URL) {
    this.url = url;
  }
}

/** What `sets.contains` and its like are functions of. */
class Sets {
  readonly name = "sets";
}

class Address {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const NANOS = 1_000_000_000n;

export function addKubernetesFunctions(environment: Environment): void {
  addLists(environment);
  addText(environment);
  addQuantities(environment);
  addUrls(environment);
  addSets(environment);
  addTimes(environment);
  environment
    .registerType("net.IP", Address)
    .registerFunction("isIP(string): bool", (text: string) => isIP(text) !== 0)
    .registerFunction("ip(string): net.IP", addressOf)
    .registerFunction("net.IP.family(): int", ({ text }: Address) => BigInt(isIP(text)))
    .registerFunction("isCIDR(string): bool", isCidr);
}

function addLists(environment: Environment): void {
  environment
    .registerFunction("list.isSorted(): bool", (list: readonly unknown[]) =>
      list.every((item, index) => index === 0 || compare(list[index - 1], item) <= 0),
    )
    .registerFunction("list.min(): dyn", (list: readonly unknown[]) => extreme(list, -1))
    .registerFunction("list.max(): dyn", (list: readonly unknown[]) => extreme(list, 1))
    .registerFunction("list.sum(): dyn", sum)
    .registerFunction("list.indexOf(dyn): int", (list: readonly unknown[], item: unknown) =>
      BigInt(list.findIndex((one) => Bun.deepEquals(one, item))),
    )
    .registerFunction("list.lastIndexOf(dyn): int", (list: readonly unknown[], item: unknown) =>
      BigInt(list.findLastIndex((one) => Bun.deepEquals(one, item))),
    );
}

function compare(a: unknown, b: unknown): number {
  const [left, right] = [a as number, b as number]; // Compared as JavaScript compares: numbers, BigInts, text, times.
  return left < right ? -1 : left > right ? 1 : 0;
}

function extreme(list: readonly unknown[], sign: -1 | 1): unknown {
  if (list.length === 0) throw new Error(`${sign < 0 ? "min" : "max"} called on empty list`);
  return list.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best));
}

function sum(list: readonly (number | bigint)[]): number | bigint {
  if (list.some((item) => typeof item === "number")) {
    return list.reduce<number>((total, item) => total + Number(item), 0);
  }
  return list.reduce<bigint>((total, item) => total + BigInt(item), 0n);
}

/** Values with a format have their types already; rules convert them all the same. */
function addTimes(environment: Environment): void {
  const [time, duration] = ["google.protobuf.Timestamp", "google.protobuf.Duration"];
  environment
    .registerFunction(`timestamp(${time}): ${time}`, (given: Date) => given)
    .registerFunction(`duration(${duration}): ${duration}`, (given: object) => given)
    .registerFunction(`string(${time}): string`, (given: Date) =>
      given.toISOString().replace(/\.?0+Z$/, "Z"),
    );
}

function addSets(environment: Environment): void {
  type List = readonly unknown[];
  const contains = (list: List, sublist: List) => sublist.every(membership(list, sublist.length));
  const on = "kubernetes.Sets";
  environment
    .registerType(on, Sets)
    .registerConstant("sets", on, new Sets())
    .registerFunction(`${on}.contains(list, list): bool`, (_: Sets, a: List, b: List) => contains(a, b))
    .registerFunction(
      `${on}.equivalent(list, list): bool`,
      (_: Sets, a: List, b: List) => contains(a, b) && contains(b, a),
    )
    .registerFunction(`${on}.intersects(list, list): bool`, (_: Sets, a: List, b: List) =>
      a.some(membership(b, a.length)),
    );
}

/** Comparisons of what is no scalar: each of two lists with each of the other. */
const MOST_COMPARISONS = 1_000_000;

/** Whether a value is in the list, for so many values. Throws `CelCostError` where that takes too long. */
function membership(list: readonly unknown[], count: number): (item: unknown) => boolean {
  const isScalar = (value: unknown) => typeof value !== "object" || value === null;
  const scalars = new Set(list.filter(isScalar));
  const others = list.filter((value) => !isScalar(value));
  if (others.length * count > MOST_COMPARISONS) throw new CelCostError();
  return (item) => (isScalar(item) ? scalars.has(item) : others.some((one) => Bun.deepEquals(one, item)));
}

function addText(environment: Environment): void {
  environment
    .registerFunction("string.matchesLinear(string): bool", (text: string, pattern: string) =>
      compileLinear(pattern).test(text),
    )
    .registerFunction(
      "string.find(string): string",
      (text: string, pattern: string) => found(text, pattern)[0] ?? "",
    )
    .registerFunction("string.findAll(string): list<string>", found)
    .registerFunction(
      "string.findAll(string, int): list<string>",
      (text: string, pattern: string, limit: bigint) =>
        limit < 0n ? found(text, pattern) : found(text, pattern).slice(0, Number(limit)),
    )
    .registerFunction("string.replace(string, string): string", replaceText)
    .registerFunction("string.charAt(int): string", (text: string, index: bigint) =>
      text.charAt(Number(index)),
    )
    .registerFunction("string.format(list): string", format);
}

/** Characters that all matches of a pattern may look at: each match may look to the end of the text. */
const MOST_LOOKS = 5_000_000;

function found(text: string, pattern: string): string[] {
  let looks = 0;
  const spans = compileLinear(pattern).spans(text, () => {
    looks += MATCHES_PER_LOOK * text.length;
    if (looks > MOST_LOOKS) throw new CelCostError();
    return true;
  });
  return spans.flatMap((start, index) => (index % 2 === 0 ? [text.slice(start, spans[index + 1])] : []));
}

/** Objects are smaller. */
const MOST_TEXT = 4 * 1024 * 1024;

function replaceText(text: string, from: string, to: string): string {
  const count = text.split(from).length + 1;
  if (text.length + count * to.length > MOST_TEXT) throw new CelCostError();
  return text.replaceAll(from, () => to);
}

function format(text: string, values: readonly unknown[]): string {
  let next = 0;
  return text.replaceAll(/%(?:\.\d+)?[a-zA-Z%]/g, (verb) => {
    if (verb === "%%") return "%";
    const value = values[next];
    next += 1;
    return Array.isArray(value) ? `[${value.map(String).join(", ")}]` : String(value);
  });
}

function addQuantities(environment: Environment): void {
  const nanos = (quantity: Quantity) => quantity.nanos;
  environment
    .registerType("kubernetes.Quantity", Quantity)
    .registerFunction("isQuantity(string): bool", (text: string) => isQuantity(text))
    .registerFunction(
      "quantity(string): kubernetes.Quantity",
      (text: string) => new Quantity(quantityOf(text).nanos),
    );
  const on = "kubernetes.Quantity";
  environment
    .registerFunction(`${on}.isGreaterThan(${on}): bool`, (a: Quantity, b: Quantity) => nanos(a) > nanos(b))
    .registerFunction(`${on}.isLessThan(${on}): bool`, (a: Quantity, b: Quantity) => nanos(a) < nanos(b))
    .registerFunction(`${on}.compareTo(${on}): int`, (a: Quantity, b: Quantity) =>
      BigInt(compare(nanos(a), nanos(b))),
    )
    .registerFunction(`${on}.sign(): int`, (a: Quantity) => BigInt(compare(nanos(a), 0n)))
    .registerFunction(`${on}.isInteger(): bool`, (a: Quantity) => nanos(a) % NANOS === 0n)
    .registerFunction(`${on}.asInteger(): int`, (a: Quantity) => nanos(a) / NANOS)
    .registerFunction(`${on}.asApproximateFloat(): double`, (a: Quantity) => Number(nanos(a)) / Number(NANOS))
    .registerFunction(
      `${on}.add(${on}): ${on}`,
      (a: Quantity, b: Quantity) => new Quantity(nanos(a) + nanos(b)),
    )
    .registerFunction(`${on}.add(int): ${on}`, (a: Quantity, b: bigint) => new Quantity(nanos(a) + b * NANOS))
    .registerFunction(
      `${on}.sub(${on}): ${on}`,
      (a: Quantity, b: Quantity) => new Quantity(nanos(a) - nanos(b)),
    )
    .registerFunction(
      `${on}.sub(int): ${on}`,
      (a: Quantity, b: bigint) => new Quantity(nanos(a) - b * NANOS),
    );
}

function addUrls(environment: Environment): void {
  const on = "kubernetes.URL";
  environment
    .registerType(on, Url)
    .registerFunction("isURL(string): bool", (text: string) => parseUrl(text) !== undefined)
    .registerFunction(`url(string): ${on}`, (text: string) => {
      const url = parseUrl(text);
      if (url === undefined)
        throw new Error(
          `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
        );
      return new Url(url);
    })
    .registerFunction(`${on}.getScheme(): string`, ({ url }: Url) =>
      url.protocol === RELATIVE ? "" : url.protocol.slice(0, -1),
    )
    .registerFunction(`${on}.getHost(): string`, ({ url }: Url) => url.host)
    .registerFunction(`${on}.getHostname(): string`, ({ url }: Url) =>
      url.hostname.replace(/^\[(.*)\]$/, "$1"),
    )
    .registerFunction(`${on}.getPort(): string`, ({ url }: Url) => url.port)
    .registerFunction(`${on}.getEscapedPath(): string`, ({ url }: Url) => url.pathname);
}

const RELATIVE = "pillion-relative:";

/** Absolute, or a path alone (`url.ParseRequestURI`). */
function parseUrl(text: string): URL | undefined {
  if (text.startsWith("/")) return URL.parse(`${RELATIVE}${text}`) ?? undefined;
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text) ? (URL.parse(text) ?? undefined) : undefined;
}

function addressOf(text: string): Address {
  if (isIP(text) === 0)
    throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
  return new Address(text);
}

function isCidr(text: string): boolean {
  const [address = "", bits = "", ...more] = text.split("/");
  const family = isIP(address);
  return (
    family !== 0 && more.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
  );
}

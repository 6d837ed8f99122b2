/** JSONPath as Kubernetes reads it in printer columns (client-go `util/jsonpath`): fields, indexes, slices, filters, wildcards. */
import { isJsonObject } from "../lib/frozen-json.ts";

/** The path cannot be read. */
export class JsonPathError extends Error {
  override readonly name = "JsonPathError";
}

/** Everything that a path leads to; nothing where it leads nowhere. */
export type JsonPath = (value: unknown) => readonly unknown[];

type Step = (values: readonly unknown[]) => readonly unknown[];

/** Those in use have some hundred characters; what is nested in them is read recursively. */
const MOST_CHARACTERS = 1024;
/** After each step: `..*..*` and `[0,0][0,0]` multiply what they find. What is beyond is left out. */
const MOST_VALUES = 10_000;

/** Compiles `.status.conditions[?(@.type=="Ready")].status` and its like, without the braces. Throws `JsonPathError`. */
export function compileJsonPath(source: string): JsonPath {
  if (source.length > MOST_CHARACTERS)
    throw new JsonPathError(`it has more than ${MOST_CHARACTERS} characters`);
  const steps: Step[] = [];
  let rest = source.replace(/^[$@]/, "");
  while (rest !== "") {
    const [step, length] = readStep(rest, source);
    steps.push(step);
    rest = rest.slice(length);
  }
  return (value) =>
    steps.reduce<readonly unknown[]>((values, step) => step(values).slice(0, MOST_VALUES), [value]);
}

type Read = readonly [step: Step, length: number];

function readStep(rest: string, source: string): Read {
  if (rest.startsWith("[")) return readBracket(rest, source);
  const deep = rest.startsWith("..");
  const dots = deep ? 2 : rest.startsWith(".") ? 1 : 0;
  if (deep && rest[2] === "[") return [descend, 2];
  const [name = ""] = /^(?:\\.|[^.[\]\\\s])+/.exec(rest.slice(dots)) ?? [];
  if (name === "" || (dots === 0 && rest !== source)) {
    throw new JsonPathError(`unrecognized character in ${JSON.stringify(source)} at ${JSON.stringify(rest)}`);
  }
  const step = name === "*" ? children : field(name.replaceAll(/\\(.)/g, "$1"));
  return [deep ? (values) => step(descend(values)) : step, dots + name.length];
}

function readBracket(rest: string, source: string): Read {
  const end = closing(rest);
  if (end < 0) throw new JsonPathError(`unterminated array in ${JSON.stringify(source)}`);
  const inside = rest.slice(1, end).trim();
  const length = end + 1;
  if (inside === "*") return [children, length];
  const filter = /^\?\((.*)\)$/s.exec(inside)?.[1];
  if (filter !== undefined) return [filterStep(filter, source), length];
  const parts = inside.split(/,(?=(?:[^'"]|'[^']*'|"[^"]*")*$)/).map((part) => part.trim());
  const steps = parts.map((part) => memberStep(part, source));
  return [(values) => values.flatMap((value) => steps.flatMap((step) => step([value]))), length];
}

/** Index of the bracket that closes the first one; quotes hide brackets. */
function closing(text: string): number {
  let depth = 0;
  let quote = "";
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === "'" || character === '"') quote = character;
    else if (character === "[") depth += 1;
    else if (character === "]" && (depth -= 1) === 0) return index;
  }
  return -1;
}

function memberStep(part: string, source: string): Step {
  const quoted = /^(['"])(.*)\1$/s.exec(part)?.[2];
  if (quoted !== undefined) return field(quoted);
  if (/^-?\d+$/.test(part)) return item(Number(part));
  const [, from, to, every] = /^(-?\d*):(-?\d*)(?::(\d*))?$/.exec(part) ?? [];
  if (from === undefined || to === undefined)
    throw new JsonPathError(`invalid array index ${part} in ${JSON.stringify(source)}`);
  const step = Number(every ?? "") || 1;
  const bounds = [from === "" ? undefined : Number(from), to === "" ? undefined : Number(to)];
  return onLists((list) => list.slice(...bounds).filter((_, index) => index % step === 0));
}

function field(name: string): Step {
  return (values) =>
    values.flatMap((value) => (isJsonObject(value) && Object.hasOwn(value, name) ? [value[name]] : []));
}

function item(index: number): Step {
  return onLists((list) => (list.at(index) === undefined ? [] : [list.at(index)]));
}

function onLists(select: (list: readonly unknown[]) => readonly unknown[]): Step {
  return (values) => values.flatMap((value) => (Array.isArray(value) ? select(value) : []));
}

function childrenOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) ? Object.values(value) : [];
}

function children(values: readonly unknown[]): readonly unknown[] {
  return values.flatMap(childrenOf);
}

/** The values and everything below them. */
function descend(values: readonly unknown[]): readonly unknown[] {
  const found: unknown[] = [];
  const visit = (value: unknown): void => {
    if (found.length >= MOST_VALUES) return;
    found.push(value);
    childrenOf(value).forEach(visit);
  };
  values.forEach(visit);
  return found;
}

const COMPARE: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => ordered(a, b) < 0,
  "<=": (a, b) => ordered(a, b) <= 0,
  ">": (a, b) => ordered(a, b) > 0,
  ">=": (a, b) => ordered(a, b) >= 0,
};

/** NaN, which compares as false, for values of two types. */
function ordered(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return Number.NaN;
}

function filterStep(filter: string, source: string): Step {
  const [, left = "", operator, right = ""] = /^(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$/s.exec(filter.trim()) ?? [];
  if (operator === undefined) {
    const exists = compileJsonPath(filter.trim());
    return onLists((list) => list.filter((one) => exists(one).length > 0));
  }
  const [a, b] = [operand(left.trim(), source), operand(right.trim(), source)];
  const compare = COMPARE[operator] ?? (() => false);
  return onLists((list) =>
    list.filter((one) => {
      const [left, right] = [a(one), b(one)];
      return left.length > 0 && right.length > 0 && compare(left[0], right[0]);
    }),
  );
}

function operand(text: string, source: string): JsonPath {
  if (text.startsWith("@")) return compileJsonPath(text);
  const quoted = /^(['"])(.*)\1$/s.exec(text)?.[2];
  if (quoted !== undefined) return () => [quoted];
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return () => [Number(text)];
  if (text === "true" || text === "false") return () => [text === "true"];
  throw new JsonPathError(`unrecognized identifier ${text} in ${JSON.stringify(source)}`);
}

/** One JSON object per event. What JavaScript cannot hold exactly stays as it was written. */
import { takeTime, unparsed } from "./fields.ts";
import type { Fields, TimeField } from "./fields.ts";
import type { Parser } from "./parser.ts";

/** Deeper ones are kept as text: what receives them may not nest so deep, and what encodes them must not either. */
const MAX_DEPTH = 100;
const INTEGER = /^-?\d+$/;

/** The reviver's third argument, which the type library does not know yet. */
type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

type Finding = "fine" | "huge-number" | "too-deep";

/**
 * The object's keys are the fields, nested values stay nested, of a key that comes twice the last one counts. Whole numbers beyond
 * ±2^53 and numbers too large to be one become text, digit by digit as they were written.
 */
export function jsonParser(timeField: TimeField): Parser {
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return unparsed(text, "not JSON");
    }
    if (!isFields(value)) return unparsed(text, "not a JSON object");
    const finding = examine(value, 0);
    if (finding === "too-deep") return unparsed(text, "JSON that is nested too deep");
    const fields = finding === "huge-number" ? parseExactly(text, value) : value;
    return { time: takeTime(fields, timeField), fields, problem: undefined };
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function examine(value: unknown, depth: number): Finding {
  if (typeof value === "number") return isHuge(value) ? "huge-number" : "fine";
  if (typeof value !== "object" || value === null) return "fine";
  if (depth === MAX_DEPTH) return "too-deep";
  let finding: Finding = "fine";
  for (const key in value) {
    const found = examine((value as Fields)[key], depth + 1);
    if (found === "too-deep") return found;
    if (found !== "fine") finding = found;
  }
  return finding;
}

function isHuge(value: number): boolean {
  return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER;
}

/** Slower: asks for the source of every number. */
function parseExactly(text: string, otherwise: Fields): Fields {
  const exact = (JSON.parse as ParseWithSource)(text, (_key, value, { source }) => {
    if (typeof value !== "number" || source === undefined || !isHuge(value)) return value;
    return INTEGER.test(source) || !Number.isFinite(value) ? source : value;
  });
  return isFields(exact) ? exact : otherwise;
}

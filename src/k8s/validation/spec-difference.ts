/** What differs between two documents, for the eyes of whoever reads a refusal. */
import { goJson } from "../go-format.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import { jsonEqual, ownValue } from "../patch/json.ts";

const MAX_LINES = 20;
const MAX_VALUE = 200;

function shown(value: unknown): string {
  const text = goJson(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}...` : text;
}

function* differences(before: unknown, after: unknown, path: string): Generator<string> {
  if (jsonEqual(before, after)) return;
  if (isJsonObject(before) && isJsonObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const key of keys) yield* differences(ownValue(before, key), ownValue(after, key), `${path}.${key}`);
  } else if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    for (const [index, item] of before.entries()) yield* differences(item, after[index], `${path}[${index}]`);
  } else {
    if (before !== undefined) yield `- ${path}: ${shown(before)}`;
    if (after !== undefined) yield `+ ${path}: ${shown(after)}`;
  }
}

/** One line for each value that goes (`-`) and comes (`+`), with its path; long values and lists are cut. */
export function describeDifference(before: unknown, after: unknown, path: string): string {
  const lines = [...differences(before, after, path)];
  const more = lines.length > MAX_LINES ? [`... ${lines.length - MAX_LINES} more`] : [];
  return [...lines.slice(0, MAX_LINES), ...more].map((line) => `  ${line}\n`).join("");
}

/** The user's own format: named groups of a regular expression, matched in linear time, are the fields. */
import { compileLinear } from "../../../lib/linear-regex.ts";
import { put, takeTime, unparsed } from "./fields.ts";
import type { Fields, TimeField } from "./fields.ts";
import type { Parser } from "./parser.ts";

/** What the text of a group becomes. */
export const GROUP_TYPES = ["string", "number", "boolean"] as const;
export type GroupType = (typeof GROUP_TYPES)[number];

export interface RegexOptions {
  readonly pattern: string;
  /** By name of the group; `string` unless said otherwise. Text that is not of its type stays text. */
  readonly types: ReadonlyMap<string, GroupType>;
  readonly timeField: TimeField;
}

/** Groups that take no part in a match are left out. Throws `PatternError`. */
export function regexParser({ pattern, types, timeField }: RegexOptions): Parser {
  const regex = compileLinear(pattern);
  return (text) => {
    const groups = regex.groups(text);
    if (groups === undefined) return unparsed(text, "the pattern does not match");
    const fields: Fields = {};
    for (const [index, name] of regex.names.entries()) {
      const value = groups[index];
      if (value !== undefined) put(fields, name, convert(value, types.get(name)));
    }
    return { time: takeTime(fields, timeField), fields, problem: undefined };
  };
}

function convert(text: string, type: GroupType | undefined): unknown {
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (type !== "number" || !/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return text;
  const number = Number(text);
  // What a number cannot hold stays as it was written.
  return Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number))
    ? number
    : text;
}

/** The keys that say what an event's text means: `parse` and `timeZone`. */
import { z } from "zod";
import { compileLinear, pattern, PatternError } from "../../../lib/linear-regex.ts";
import { nearest } from "../../../lib/nearest.ts";
import { GROUP_TYPES } from "./regex.ts";
import { patternTrouble } from "./time-pattern.ts";
import { TIME_FORMATS } from "./time-reader.ts";
import { isZone } from "./zone.ts";

const PLAIN_FORMATS = [
  "none",
  "json",
  "logfmt",
  "common",
  "combined",
  "nginx",
  "nginx-error",
  "apache-error",
  "syslog",
] as const;

const timeFormat = z
  .string()
  .superRefine(checkTimeFormat)
  .optional()
  .describe(
    "How the time is written: `auto` (the default: ISO 8601 and relatives, Unix numbers, access logs, syslog), `rfc3339`, `unix`, `unix_ms`, `unix_us`, `unix_ns`, `common`, `syslog`, or a pattern like `%d.%m.%Y %H:%M:%S`.",
  );

const TimeIn = z.strictObject({
  time: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The field that holds the time; by default the first of `time`, `timestamp`, `ts` and `@timestamp`.",
    ),
  timeFormat,
});

const Detailed = z
  .strictObject({
    json: TimeIn.optional().describe("One JSON object per event, and where its time is."),
    logfmt: TimeIn.optional().describe('Pairs like `level=info msg="a b"`, and where their time is.'),
    regex: pattern()
      .optional()
      .describe("A regular expression (RE2) whose named groups, `(?<name>...)`, become the fields."),
    time: z
      .string()
      .min(1)
      .optional()
      .describe("With `regex`: the group that holds the time; by default `time` and the like."),
    timeFormat,
    types: z
      .record(z.string(), z.enum(GROUP_TYPES))
      .optional()
      .describe("With `regex`: groups that are to become a `number` or `boolean`; all others are text."),
  })
  .superRefine(checkDetailed);

type Detailed = z.output<typeof Detailed>;

/** What `parse` says, in one form. */
export type ParseFormat =
  | { readonly format: "none" | "common" | "combined" | "nginx-error" | "apache-error" | "syslog" }
  | { readonly format: "json" | "logfmt"; readonly time: string | undefined; readonly timeFormat: string }
  | {
      readonly format: "regex";
      readonly pattern: string;
      readonly time: string | undefined;
      readonly timeFormat: string;
      readonly types: Readonly<Record<string, (typeof GROUP_TYPES)[number]>>;
    };

/** What a parser is made of. */
export interface ParseConfig {
  readonly parse: ParseFormat;
  readonly timeZone: string;
}

export const parseKeys = {
  parse: z
    .union([z.enum(PLAIN_FORMATS), Detailed], {
      error: `Write one of ${PLAIN_FORMATS.map((name) => `"${name}"`).join(", ")}, or a mapping with "regex", "json" or "logfmt"`,
    })
    .transform(toFormat)
    .prefault("none")
    .describe(
      "What the text of an event is. `none` delivers it as `message`; `nginx` is another word for `combined`. What cannot be parsed is delivered as `message` with `parseError`.",
    ),
  timeZone: z
    .string()
    .superRefine(checkZone)
    .prefault("UTC")
    .describe(
      "The zone of times that do not say theirs: `UTC`, an offset like `+02:00`, or an IANA name like `Europe/Berlin`. Where clocks are set back, the first of two equal times is meant.",
    ),
};

function toFormat(parse: (typeof PLAIN_FORMATS)[number] | Detailed): ParseFormat {
  if (typeof parse === "string") {
    if (parse === "json" || parse === "logfmt") return { format: parse, time: undefined, timeFormat: "auto" };
    return { format: parse === "nginx" ? "combined" : parse };
  }
  if (parse.regex !== undefined) {
    const { regex, time, timeFormat = "auto", types = {} } = parse;
    return { format: "regex", pattern: regex, time, timeFormat, types };
  }
  const { time, timeFormat = "auto" } = parse.json ?? parse.logfmt ?? {};
  return { format: parse.json === undefined ? "logfmt" : "json", time, timeFormat };
}

function checkDetailed(parse: Detailed, context: z.RefinementCtx): void {
  const formats = (["regex", "json", "logfmt"] as const).filter((key) => parse[key] !== undefined);
  if (formats.length !== 1) {
    context.addIssue({ code: "custom", message: 'Write exactly one of "regex", "json" and "logfmt"' });
    return;
  }
  if (parse.regex !== undefined) checkGroups({ ...parse, regex: parse.regex }, context);
  for (const key of ["time", "timeFormat", "types"] as const) {
    if (parse.regex !== undefined || parse[key] === undefined) continue;
    const message = key === "types" ? '"types" goes with "regex" only' : `Put "${key}" into "${formats[0]}"`;
    context.addIssue({ code: "custom", path: [key], message });
  }
}

function checkGroups({ regex, time, types }: Detailed & { regex: string }, context: z.RefinementCtx): void {
  const names = groupNames(regex);
  // A pattern that the engine does not take has its own issue.
  if (names === undefined) return;
  if (names.length === 0) {
    const message =
      "The pattern has no named group, so nothing would become a field: write `(?<name>...)` around each part";
    context.addIssue({ code: "custom", path: ["regex"], message });
    return;
  }
  const wanted = Object.keys(types ?? {}).map((name) => ({ path: ["types", name], name }));
  if (time !== undefined) wanted.push({ path: ["time"], name: time });
  for (const { path, name } of wanted) {
    if (names.includes(name)) continue;
    const near = nearest(name, names);
    const hint = near === undefined ? `its groups are ${names.join(", ")}` : `did you mean "${near}"?`;
    context.addIssue({
      code: "custom",
      path: [...path],
      message: `The pattern has no group "${name}"; ${hint}`,
    });
  }
}

function groupNames(regex: string): readonly string[] | undefined {
  try {
    return compileLinear(regex).names;
  } catch (error) {
    if (error instanceof PatternError) return undefined;
    throw error;
  }
}

function checkTimeFormat(format: string, context: z.RefinementCtx): void {
  const names: readonly string[] = TIME_FORMATS;
  if (names.includes(format)) return;
  if (!format.includes("%")) {
    const near = nearest(format, names);
    const hint =
      near === undefined
        ? `write one of ${names.join(", ")}, or a pattern with %Y and the like`
        : `did you mean "${near}"?`;
    context.addIssue({ code: "custom", message: `Unknown time format "${format}"; ${hint}` });
    return;
  }
  const trouble = patternTrouble(format);
  if (trouble !== undefined) context.addIssue({ code: "custom", message: trouble });
}

function checkZone(name: string, context: z.RefinementCtx): void {
  if (isZone(name)) return;
  const near = nearest(name, Intl.supportedValuesOf("timeZone"));
  const hint =
    near === undefined
      ? 'write "UTC", an offset like "+02:00" or a name like "Europe/Berlin"'
      : `did you mean "${near}"?`;
  context.addIssue({ code: "custom", message: `Unknown time zone "${name}"; ${hint}` });
}

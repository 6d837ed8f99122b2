import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { lineKeys, quietMsOf } from "../lines/config.ts";
import { parseKeys } from "./config.ts";

const Keys = z.strictObject({ ...lineKeys, ...parseKeys });

/** Issues as `path: message`. */
function issuesOf(input: unknown): string[] {
  const flat = (issues: readonly z.core.$ZodIssue[], path: readonly PropertyKey[]): string[] =>
    issues.flatMap((issue) => {
      const at = [...path, ...issue.path];
      if (issue.code !== "invalid_union") return [`${at.join(".")}: ${issue.message}`];
      return flat(issue.errors.at(-1) ?? [], at);
    });
  return flat(Keys.safeParse(input).error?.issues ?? [], []);
}

describe("the keys of lines and parsing", () => {
  test("mean plain lines in UTC where nothing is said", () => {
    expect(Keys.parse({})).toEqual({ cri: false, parse: { format: "none" }, timeZone: "UTC" });
    expect(quietMsOf({})).toBe(1_000);
  });

  test("come in short and in long form", () => {
    const limits = { timeout: 1_000, maxLines: 1_000, maxBytes: 2 ** 20 };
    const multiline = (input: unknown) => Keys.parse({ multiline: input }).multiline;
    expect(multiline("go")).toEqual({ by: { trace: "go" }, ...limits });
    expect(multiline({ trace: "go", maxLines: 5 })).toEqual({ by: { trace: "go" }, ...limits, maxLines: 5 });
    expect(multiline({ start: "^a" })).toEqual({ by: { start: "^a" }, ...limits });
    expect(multiline({ continue: "^ ", timeout: "5s" })).toEqual({
      by: { continue: "^ " },
      ...limits,
      timeout: 5_000,
    });
    expect(Keys.parse({ parse: "nginx" }).parse).toEqual({ format: "combined" });
    const time = { time: undefined, timeFormat: "auto" };
    expect(Keys.parse({ parse: "json" }).parse).toEqual({ format: "json", ...time });
    expect(Keys.parse({ parse: { logfmt: { time: "at" } } }).parse).toEqual({
      format: "logfmt",
      ...time,
      time: "at",
    });
    expect(Keys.parse({ parse: { regex: "(?<a>x)" } }).parse).toEqual({
      format: "regex",
      pattern: "(?<a>x)",
      types: {},
      ...time,
    });
  });

  const re2 = "Write a regular expression in RE2 syntax, without look-around and back-references:";
  test.each<[string, unknown, readonly string[]]>([
    ["a broken pattern", { parse: { regex: "a(" } }, [`parse.regex: ${re2} missing closing ): \`a(\``]],
    [
      "look-ahead",
      { multiline: { start: "(?=a)" } },
      [`multiline.start: ${re2} invalid or unsupported Perl syntax: \`(?=\``],
    ],
    [
      "a pattern without groups",
      { parse: { regex: "a" } },
      [
        "parse.regex: The pattern has no named group, so nothing would become a field: write `(?<name>...)` around each part",
      ],
    ],
    [
      "groups that are not there",
      { parse: { regex: "(?<level>a)", time: "at", types: { levle: "number" } } },
      [
        'parse.types.levle: The pattern has no group "levle"; did you mean "level"?',
        'parse.time: The pattern has no group "at"; its groups are level',
      ],
    ],
    [
      "an unknown time format",
      { parse: { json: { timeFormat: "unixms" } } },
      ['parse.json.timeFormat: Unknown time format "unixms"; did you mean "unix_ms"?'],
    ],
    ["a key in the wrong place", { parse: { json: {}, time: "a" } }, ['parse.time: Put "time" into "json"']],
    [
      "two formats",
      { parse: { json: {}, logfmt: {} } },
      ['parse: Write exactly one of "regex", "json" and "logfmt"'],
    ],
    [
      "two ways to join",
      { multiline: { start: "a", trace: "go" } },
      ['multiline: Write exactly one of "trace", "start" and "continue"'],
    ],
    [
      "an unknown zone",
      { timeZone: "Europe/Berlim" },
      ['timeZone: Unknown time zone "Europe/Berlim"; did you mean "Europe/Berlin"?'],
    ],
  ])("say what is wrong with %s at its place", (_what, input, expected) => {
    expect(issuesOf(input)).toEqual([...expected]);
  });
});

import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { processFields } from "./config.ts";

const Config = z.strictObject(processFields);

describe("the configuration of the stages", () => {
  test("is empty by default", () => {
    expect(Config.parse({})).toEqual({
      metadata: { pod: true, labels: [], file: true },
      keep: [],
      drop: [],
      sample: [],
      redact: [],
    });
  });

  test("describes every field in its schema", () => {
    const found: string[] = [];
    const visit = (schema: unknown, path: string): void => {
      if (typeof schema !== "object" || schema === null) return;
      for (const [key, value] of Object.entries(schema)) {
        if (key !== "properties") visit(value, path);
        else {
          for (const [name, field] of Object.entries(value as Record<string, { description?: string }>)) {
            if (field.description === undefined) found.push(`${path}.${name}`);
            visit(field, `${path}.${name}`);
          }
        }
      }
    };
    visit(z.toJSONSchema(Config, { io: "input" }), "");
    expect(found).toEqual([]);
  });

  test.each<[unknown, (string | number)[], string]>([
    [
      { keep: [{ field: "a", matches: "(?=x)" }] },
      ["keep", 0, "matches"],
      "Write a regular expression in RE2 syntax",
    ],
    [
      { drop: [{ all: [{ field: "a", matches: "(" }] }] },
      ["drop", 0, "all", 0, "matches"],
      "missing closing )",
    ],
    [
      { sample: [{ every: 2, where: { field: "a", matches: "[" } }] },
      ["sample", 0, "where", "matches"],
      "missing",
    ],
    [{ redact: [{ name: "x", pattern: "a{2,1}" }] }, ["redact", 0, "pattern"], "invalid repeat count"],
    [{ redact: ["card"] }, ["redact", 0], "Write one of cards, jwt, keys, email, iban, or { name, pattern }"],
    [{ redact: [{ name: "ssn" }] }, ["redact", 0, "name"], 'Add a "pattern", or name one of cards'],
    [
      { redact: [{ name: "email", pattern: "a" }] },
      ["redact", 0, "name"],
      'Choose another name: "email" is built in',
    ],
    [
      { redact: [{ name: "email", sample: "a" }] },
      ["redact", 0, "sample"],
      "built-in patterns bring their own",
    ],
    [
      { redact: [{ name: "email", keepLast: 4 }] },
      ["redact", 0, "keepLast"],
      'Only "cards" keeps the last digits',
    ],
    [{ redact: ["email", { name: "email" }] }, ["redact", 1], 'Name each pattern once: "email" stands above'],
    [{ keep: [{ equals: 1 }] }, ["keep", 0], "Name the field that is tested"],
    [
      { keep: [{ field: "a" }] },
      ["keep", 0],
      "Say what is tested, with equals, matches, exists, above, below",
    ],
    [
      { keep: [{ field: "a", all: [{ field: "b", equals: 1 }] }] },
      ["keep", 0, "field"],
      'into a condition of "all"',
    ],
    [{ keep: [{ all: [] }] }, ["keep", 0, "all"], "Too small"],
    [{ sample: [{ every: 0 }] }, ["sample", 0, "every"], "Too small"],
  ])("%j is refused at its place", (config, path, words) => {
    const issues = Config.safeParse(config).error?.issues ?? [];
    expect(issues).toHaveLength(1);
    expect(issues[0]?.path).toEqual(path);
    expect(issues[0]?.message).toContain(words);
  });
});

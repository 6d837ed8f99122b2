import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { z } from "zod";
import { Problem } from "../kernel/problem.ts";
import { explain } from "./explain.ts";
import { readYaml } from "./read-yaml.ts";

const Config = z.strictObject({
  name: z.string().describe("What it is called."),
  port: z.int().min(1).max(65_535).optional().describe("Where it listens."),
  paths: z.array(z.string()).optional(),
  to: z
    .union([z.literal("stdout"), z.strictObject({ file: z.string().describe("Path of the file.") })])
    .optional(),
  routes: z
    .record(z.string().regex(/^\//, "Write a path that begins with /"), z.strictObject({ host: z.string() }))
    .optional(),
});

function messageFor(text: string): string {
  try {
    readYaml({ file: "pillion.yaml", text, schema: Config, what: "configuration" });
    return "fine";
  } catch (because) {
    if (!(because instanceof Problem)) throw because;
    return `${because.code}\n${because.message}`;
  }
}

describe("readYaml()", () => {
  test("returns the value and the places of its parts", () => {
    const read = readYaml({
      file: "f",
      text: "name: a\nroutes:\n  /x: { host: b }\n",
      schema: Config,
      what: "file",
    });
    expect(read.value).toEqual({ name: "a", routes: { "/x": { host: "b" } } });
    expect([read.positionOf(["routes", "/x"], true), read.positionOf(["routes", "/x", "host"])]).toEqual([
      { line: 3, column: 3 },
      { line: 3, column: 15 },
    ]);
  });

  test("explains every mistake at its place, in the order of the file", () => {
    const text = [
      "nmae: x",
      "port: 99999",
      "paths:",
      "  - ok",
      "  - 12",
      "to: { fiel: /x }",
      "routes:",
      "  x:",
      "    host: y",
      "  /y: {}",
      "",
    ].join("\n");
    expect(messageFor(text)).toBe(
      `E_CONFIG_INVALID
Cannot use the configuration "pillion.yaml": it has 6 mistakes

pillion.yaml:1:1  nmae
   1 | nmae: x
     | ^ Unknown key "nmae"; did you mean "name"?
     |   What it is called.

pillion.yaml:2:7  port
   2 | port: 99999
     |       ^ Too big: expected number to be <=65535
     |         Where it listens.

pillion.yaml:5:5  paths[1]
   5 |   - 12
     |     ^ Expected a string, found a number

pillion.yaml:6:7  to.fiel
   6 | to: { fiel: /x }
     |       ^ Unknown key "fiel"; did you mean "file"?
     |         Path of the file.

pillion.yaml:8:3  routes.x
   8 |   x:
     |   ^ Write a path that begins with /

pillion.yaml:10:3  routes."/y".host
  10 |   /y: {}
     |   ^ Missing required key "host"`,
    );
  });

  test("explains YAML that is none", () => {
    expect(messageFor("name: [a\nport: 1\n")).toStartWith(`E_CONFIG_SYNTAX
Cannot read the configuration "pillion.yaml": it is not valid YAML

pillion.yaml:2:1
   2 | port: 1
     | ^ Flow sequence`);
    expect(messageFor("name: a\nname: b\n")).toContain(
      "pillion.yaml:2:1\n   2 | name: b\n     | ^ Map keys must be unique",
    );
    expect(messageFor("name: a\n---\nname: b\n")).toContain("A second document begins here");
  });

  test("lists the known keys when none is near", () => {
    expect(messageFor("name: a\nfrobnicate: 1\n")).toContain(
      'Unknown key "frobnicate"; known keys: "name", "port", "paths", "to", "routes"',
    );
  });

  test.each([
    ["", "Expected a mapping, found nothing"],
    ["- a\n", "Expected a mapping, found a list"],
    ["name:\n", "Expected a string, found nothing"],
    ["name: true\n", "Expected a string, found true or false"],
  ])("says what %j is instead of what is wanted", (text, message) => {
    expect(messageFor(text)).toContain(message);
  });

  test("does not unfold aliases without bound", () => {
    const bomb = [
      "a: &a [x, x, x, x, x, x, x, x, x]",
      ...["b", "c", "d", "e", "f", "g"].map((key, index) => {
        const below = `*${"abcdefg"[index]}`;
        return `${key}: &${key} [${Array.from({ length: 9 }, () => below).join(", ")}]`;
      }),
    ].join("\n");
    expect(messageFor(bomb)).toContain("Excessive alias count");
  });
});

describe("explain()", () => {
  test("cuts long lines around the place, and makes control characters harmless", () => {
    const text = `key: "${"x".repeat(300)}\u001B[31m" # ${"y".repeat(100)}`;
    const shown = explain("f.yaml", text, [{ path: ["key"], message: "wrong" }]);
    expect(shown).not.toContain("\u001B");
    expect(shown.split("\n").every((line) => line.length < 120)).toBe(true);
    const late = explain("f.yaml", `{ ${"a".repeat(300)}: 1, b: 2 }`, [{ path: ["b"], message: "wrong" }]);
    const [, line = "", caret = ""] = late.split("\n");
    expect(line[caret.indexOf("^")]).toBe("2");
  });

  test("shows at most twenty, and how many more there are", () => {
    const keys = Array.from({ length: 25 }, (_, index) => `k${index}`);
    const text = keys.map((key) => `${key}: 1\n`).join("");
    const shown = explain(
      "f.yaml",
      text,
      keys.map((key) => ({ path: [key], message: "wrong" })),
    );
    expect(shown.match(/wrong/g)).toHaveLength(20);
    expect(shown).toEndWith("and 5 more");
  });

  test("points into the text, whatever the text and the path", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.oneof(fc.string(), fc.nat(3))), (text, path) => {
        const [head = ""] = explain("f", text, [{ path, message: "m" }]).split("\n");
        const line = Number(/^f:(\d+):\d+/.exec(head)?.[1]);
        expect(line).toBeGreaterThanOrEqual(1);
        expect(line).toBeLessThanOrEqual(text.split("\n").length);
      }),
    );
  });
});

test("a value that stands where only the place of a secret may is shown in no excerpt", () => {
  const text = "a: { token: hunter2, port: x }\n";
  const shown = explain("f.yaml", text, [
    { path: ["a", "token"], message: "Write where the secret is", hides: true },
    { path: ["a", "port"], message: "Expected a number" },
  ]);
  expect(shown).not.toContain("hunter2");
  expect(shown.match(/\*{7}/g)).toHaveLength(2);
});

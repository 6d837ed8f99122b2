/** Rules that would take long are ended, whatever they do; those that are in use are far from it. */
import { describe, expect, test } from "bun:test";
import { formatFieldErrors } from "../field-error.ts";
import { compileCel } from "./cel-engine.ts";
import type { CustomSchema } from "./custom-schema.ts";
import { objectSchema } from "./custom-schema.test-support.ts";
import { validateRules } from "./validate-rules.ts";

function evaluated(rule: string, self: unknown): unknown {
  const compiled = compileCel(rule);
  if ("problem" in compiled) throw new Error(compiled.problem);
  return compiled.evaluate(self, undefined);
}

const EXCEEDED = "operation cancelled: actual cost limit exceeded";
const NUMBERS = Array.from({ length: 2_000 }, (_, index) => BigInt(index));
const OBJECTS = NUMBERS.map((a) => ({ a }));
const WORDS = NUMBERS.map((number) => `name-${number}`);
const LONG = "x".repeat(200_000);

/** `self + self` 2^depth times. */
function doubled(depth: number): string {
  return depth === 0 ? "self" : `cel.bind(v${depth}, ${doubled(depth - 1)}, v${depth} + v${depth})`;
}

describe("a rule may", () => {
  test.each<[string, unknown]>([
    ["self.all(x, x >= 0 && x < 5000)", NUMBERS],
    ["self.all(x, x.matches('^name-[0-9]+$'))", WORDS],
    ["self.map(x, x + 1).filter(x, x > 3).size() > 0", NUMBERS],
    ["self.all(x, self.exists_one(y, y == x))", NUMBERS.slice(0, 100)],
    ["sets.contains(self, self)", NUMBERS],
    ["self.size() > 0 && self.contains('x')", LONG],
    ["self.replace('x', 'yy').size() == 400000", LONG],
  ])("say %s", (rule, self) => {
    expect(evaluated(rule, self)).toBe(true);
  });
});

describe("a rule is ended that says", () => {
  test.each<[string, unknown]>([
    ["self.all(x, x in self)", NUMBERS],
    ["self.all(x, self.all(y, self.all(z, x + y + z >= 0)))", NUMBERS],
    // Macros go on after errors, and the other side of an operator may do without the first.
    ["self.exists(x, self.exists(y, x + y < 0)) || true", NUMBERS],
    ["self.all(x, self == self.map(y, y))", NUMBERS],
    ["self.all(x, has(x.a) && self.filter(y, y == x).size() == 1)", OBJECTS],
    ["sets.contains(self, self)", OBJECTS],
    ["self.replace('', self).size() > 0", LONG],
    ["self.findAll('x.*z|x').size() > 0", LONG],
    ["[1, 2, 3, 4, 5, 6, 7, 8].all(x, self.matches('^x+$') && self.matches('^x*$'))", LONG],
  ])("%s", (rule, self) => {
    expect(() => evaluated(rule, self)).toThrow(EXCEEDED);
  });

  test.each([["a list", NUMBERS] as const, ["a text", LONG] as const])(
    "%s and itself, again and again",
    (_, self) => {
      expect(() => evaluated(`${doubled(20)}.size() > 0`, self)).toThrow(EXCEEDED);
    },
  );
});

test("the next evaluation begins anew", () => {
  expect(() => evaluated("self.all(x, x in self)", NUMBERS)).toThrow(EXCEEDED);
  expect(evaluated("self.all(x, x in self)", [1n, 2n])).toBe(true);
});

const slow = "self.all(x, self.all(y, x + y >= 0))";

function problems(spec: CustomSchema, value: unknown): string {
  const object = { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "t" }, spec: value };
  return formatFieldErrors(
    validateRules({ object, before: undefined, schema: objectSchema({ spec }), errors: [] }),
  );
}

test("what takes too long is refused in the real server's words", () => {
  const schema: CustomSchema = {
    type: "array",
    items: { type: "integer" },
    "x-kubernetes-validations": [{ rule: slow, message: "no" }],
  };
  expect(problems(schema, NUMBERS.map(Number))).toBe(
    `spec: Invalid value: "array": '${EXCEEDED}': no further validation rules will be run due to call cost exceeds limit for rule: no`,
  );
});

test("all rules of an object together have their limit, which is told once", () => {
  const list = Array.from({ length: 300 }, (_, index) => index);
  const inner: CustomSchema = {
    type: "array",
    items: { type: "integer" },
    "x-kubernetes-validations": [{ rule: slow }],
  };
  const schema: CustomSchema = { type: "array", items: inner };
  expect(problems(schema, [list])).toBe("[]");
  const many = Array.from({ length: 40 }, () => list);
  expect(problems(schema, many)).toMatch(
    /^spec\[\d+\]: Invalid value: "array": validation failed due to running out of cost budget, no further validation rules will be run$/,
  );
});

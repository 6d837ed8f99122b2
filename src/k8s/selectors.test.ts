import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  formatLabelSelector,
  labelSelectorFromSet,
  labelSelectorOf,
  parseLabelSelector,
} from "./selectors.ts";

function matches(selector: string, labels: Record<string, string>): boolean {
  return parseLabelSelector(selector).matches(labels);
}

describe("parseLabelSelector()", () => {
  test.each([
    ["", {}, true],
    ["app=web", { app: "web" }, true],
    ["app==web", { app: "web" }, true],
    ["app = web , tier", { app: "web", tier: "x" }, true],
    ["app=web", { app: "db" }, false],
    ["app!=web", {}, true],
    ["app!=web", { app: "web" }, false],
    ["app", { app: "" }, true],
    ["!app", { app: "" }, false],
    ["!app", {}, true],
    ["app in (a, b)", { app: "b" }, true],
    ["app in (a,b)", {}, false],
    ["app notin (a,b)", {}, true],
    ["app notin (a,b)", { app: "a" }, false],
    ["x in (a,,b)", { x: "" }, true],
    ["x in ()", { x: "" }, true],
    ["x in (,)", { x: "" }, true],
    ["app=", { app: "" }, true],
    ["n>5,n<9", { n: "7" }, true],
    ["n>5", { n: "5" }, false],
    ["n>5", { n: "many" }, false],
    ["in in (in)", { in: "in" }, true],
    ["example.com/role=db", { "example.com/role": "db" }, true],
    ["constructor", {}, false],
  ])("%p on %p is %p", (selector, labels, expected) => {
    expect(matches(selector, labels)).toBe(expected);
  });

  test.each([
    [",", "found ',', expected: !, identifier, or 'end of string'"],
    ["x,", "found '', expected: identifier after ','"],
    ["x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"],
    ["x=a b", "found 'b', expected: ',' or 'end of string'"],
    ["x in a", "unable to parse requirement: found 'a' expected: '('"],
    ["x in (a", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["x=!", "unable to parse requirement: found '!', expected: identifier"],
    ["!", "unable to parse requirement: found '', expected: identifier"],
    [
      "x>a",
      `unable to parse requirement: values[0]: Invalid value: "a": for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
    ["a b/c=d", `unable to parse requirement: found 'b/c', expected: in, notin, =, ==, !=, gt, lt`],
    [
      "-a=d",
      `unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    ],
    [
      "a=d@",
      `unable to parse requirement: values[0][a]: Invalid value: "d@": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    ],
  ])("refuses %p", (selector, message) => {
    expect(() => parseLabelSelector(selector)).toThrow(new Error(message));
  });

  test("never fails but with a SelectorError", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "b", "=", "!", "(", ")", ",", "<", ">", " ", "in", "-") }),
        (text) => {
          try {
            parseLabelSelector(text);
          } catch (error) {
            expect(error).toMatchObject({ name: "SelectorError" });
          }
        },
      ),
    );
  });

  test("reads what formatLabelSelector() wrote", () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
    const term = fc.oneof(
      fc.tuple(word, fc.constantFrom("=", "!=", "=="), word).map((parts) => parts.join("")),
      fc
        .tuple(word, fc.constantFrom(" in ", " notin "), fc.uniqueArray(word, { minLength: 1 }))
        .map(([key, operator, values]) => `${key}${operator}(${values.sort().join(",")})`),
      word,
      word.map((key) => `!${key}`),
    );
    fc.assert(
      fc.property(fc.array(term), (terms) => {
        const once = formatLabelSelector(parseLabelSelector(terms.join(",")));
        expect(formatLabelSelector(parseLabelSelector(once))).toBe(once);
      }),
    );
  });
});

describe("labelSelectorOf()", () => {
  test("selects nothing when absent and everything when empty", () => {
    expect([labelSelectorOf(undefined).matches({}), labelSelectorOf({}).matches({ a: "b" })]).toEqual([
      false,
      true,
    ]);
  });

  test("joins matchLabels and matchExpressions", () => {
    const selector = labelSelectorOf({
      matchLabels: { app: "web" },
      matchExpressions: [
        { key: "tier", operator: "In", values: ["b", "a"] },
        { key: "old", operator: "DoesNotExist" },
      ],
    });
    expect(formatLabelSelector(selector)).toBe("app=web,!old,tier in (a,b)");
    expect([
      selector.matches({ app: "web", tier: "a" }),
      selector.matches({ app: "web", tier: "a", old: "" }),
      selector.matches(undefined),
    ]).toEqual([true, false, false]);
  });

  test("refuses an operator it does not know", () => {
    const object = { matchExpressions: [{ key: "a", operator: "Like", values: ["b"] }] };
    expect(() => labelSelectorOf(object)).toThrow(new Error('"Like" is not a valid label selector operator'));
  });

  test("refuses In without values", () => {
    const object = { matchExpressions: [{ key: "a", operator: "In" }] };
    const message = "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty";
    expect(() => labelSelectorOf(object)).toThrow(new Error(message));
  });
});

test("labelSelectorFromSet() selects everything with an empty set", () => {
  expect([labelSelectorFromSet(undefined).matches({}), labelSelectorFromSet({ a: "b" }).matches({})]).toEqual(
    [true, false],
  );
});

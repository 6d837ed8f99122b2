import { describe, expect, test } from "bun:test";
import type { KubeObject } from "../object.ts";
import { allHold, conditionProblem, ConditionError } from "./match-conditions.ts";

const POD: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", labels: { "app.example.com/name": "web", if: "x" } },
  spec: { replicas: 3, ratio: 0.5, containers: [{ name: "a" }, { name: "b" }] },
};
const REQUEST = { operation: "CREATE", dryRun: false, userInfo: { username: "jane", groups: ["devs"] } };

function holds(...expressions: readonly string[]): boolean {
  const conditions = expressions.map((expression, index) => ({ name: `c${index}`, expression }));
  return allHold(conditions, { object: POD, oldObject: undefined, request: REQUEST });
}

describe("conditions", () => {
  test.each<[string, boolean]>([
    ["true", true],
    ["false", false],
    ["object.metadata.name == 'p'", true],
    ["object.metadata.labels['app.example.com/name'] == 'web'", true],
    ["has(object.metadata.annotations)", false],
    ["object.spec.replicas > 2 && object.spec.ratio < 1.0", true],
    ["object.spec.containers.exists(c, c.name == 'b')", true],
    ["object.metadata.name.matches('^p+$')", true],
    ["oldObject == null || oldObject.metadata.name == 'p'", true],
    ["request.operation in ['CREATE', 'UPDATE']", true],
    ["!('system:nodes' in request.userInfo.groups)", true],
    ["object.?metadata.?annotations[?'a'].orValue('none') == 'none'", true],
  ])("%s: %p", (expression, expected) => {
    expect(conditionProblem(expression)).toBeUndefined();
    expect(holds(expression)).toBe(expected);
  });

  test("must all hold", () => {
    expect(holds()).toBe(true);
    expect(holds("true", "object.metadata.name == 'p'")).toBe(true);
    expect(holds("true", "object.metadata.name == 'q'")).toBe(false);
  });

  test("that cannot be evaluated are errors, unless another does not hold", () => {
    const broken = "object.spec.none == 'x'";
    expect(() => holds(broken)).toThrow(ConditionError);
    expect(() => holds(broken)).toThrow(`expression '${broken}' resulted in error: no such key: none`);
    expect(() => holds(broken, broken)).toThrow(/^\[expression .*, expression .*\]$/);
    expect(holds(broken, "false")).toBe(false);
  });

  test.each<[string, string]>([
    ["object.", "compilation failed: "],
    ["authorizer.group('').check('get').allowed()", "compilation failed: Unknown variable: authorizer"],
    ["'yes'", "must evaluate to bool"],
    ["object.spec.flag", "must evaluate to bool"],
  ])("are not: %s", (expression, problem) => {
    expect(conditionProblem(expression)).toStartWith(problem);
  });

  test("cannot be made to fail by a label's name", () => {
    const labels = { constructor: "a", ["__proto__"]: "b", toString: "c" };
    const object = { ...POD, metadata: { labels } };
    const says = (expression: string) =>
      allHold([{ name: "c", expression }], { object, oldObject: undefined, request: REQUEST });
    expect(
      says("object.metadata.labels['constructor'] == 'a' && object.metadata.labels.toString == 'c'"),
    ).toBe(true);
    expect(says("object.metadata.labels['__proto__'] == 'b' && !('valueOf' in object.metadata.labels)")).toBe(
      true,
    );
  });

  test("are given up when they take too long", () => {
    const names = Array.from({ length: 2_000 }, (_, index) => `n${index}`);
    const object = { ...POD, spec: { names } };
    const expression = "object.spec.names.all(a, object.spec.names.exists(b, a == b))";
    const conditions = [{ name: "c", expression }];
    expect(() => allHold(conditions, { object, oldObject: undefined, request: REQUEST })).toThrow(
      `expression '${expression}' resulted in error: operation cancelled: actual cost limit exceeded`,
    );
  });

  test("take no time that grows with the pattern", () => {
    const text = `${"a".repeat(40)}!`;
    expect(holds(`'${text}'.matches('^(a+)+$')`)).toBe(false);
  });
});

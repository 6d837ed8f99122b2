import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type Attributes, type PolicyRule, ruleAllows, type Subject, subjectKey } from "./rbac.ts";
import { compactRules, describeRule, missingRights } from "./rbac-coverage.ts";

const VERBS = ["get", "list", "*"];
const GROUPS = ["", "apps", "*"];
const RESOURCES = ["pods", "pods/log", "deployments", "*", "*/log"];
const NAMES = ["a", "b"];
const URLS = ["/api", "/api/*", "/healthz", "*", "/a*"];

const some = (values: readonly string[]) => fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 });
const anyRule: fc.Arbitrary<PolicyRule> = fc.oneof(
  fc.record({
    verbs: some(VERBS),
    apiGroups: some(GROUPS),
    resources: some(RESOURCES),
    resourceNames: some(NAMES),
  }),
  fc.record({ verbs: some(VERBS), nonResourceURLs: some(URLS) }),
);

const anyAttributes: fc.Arbitrary<Attributes> = fc.oneof(
  fc.record({
    verb: fc.constantFrom("get", "list", "delete"),
    group: fc.constantFrom("", "apps", "batch"),
    resource: fc.constantFrom("pods", "deployments", "jobs"),
    subresource: fc.constantFrom("", "log", "scale"),
    namespace: fc.constant("default"),
    name: fc.constantFrom("", "a", "b", "c"),
  }),
  fc.record({
    verb: fc.constantFrom("get", "post"),
    path: fc.constantFrom("/api", "/api/v1", "/", "/healthz", "/apis"),
  }),
);

/** Every right that a rule names, spelled out as a pattern, and each pattern tried on the whole request. */
function oracle(rule: PolicyRule, asked: Attributes): boolean {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const anything = (text: string) => (text === "*" ? ".*" : escape(text));
  if ("path" in asked) {
    const whole = `${asked.verb} ${asked.path}`;
    return verbs.some((verb) =>
      nonResourceURLs.some((url) =>
        new RegExp(`^${anything(verb)} ${escape(url).replace(/\\\*$/, ".*")}$`).test(whole),
      ),
    );
  }
  const { verb, group, resource, subresource, name } = asked;
  const whole = `${verb} ${group} ${resource}${subresource === "" ? "" : `/${subresource}`} ${name}`;
  const names = resourceNames.length === 0 ? [".*"] : resourceNames.map(escape);
  const what = (text: string) =>
    text.startsWith("*/") ? `[^/ ]+${escape(text.slice(1))}` : text === "*" ? "[^ ]+" : escape(text);
  return verbs.some((one) =>
    apiGroups.some((in_) =>
      resources.some((of) =>
        names.some((called) =>
          new RegExp(`^${anything(one)} ${anything(in_)} ${what(of)} ${called}$`).test(whole),
        ),
      ),
    ),
  );
}

test("a rule allows what its patterns match, and nothing else", () => {
  fc.assert(
    fc.property(anyRule, anyAttributes, (rule, asked) => {
      expect(ruleAllows(rule, asked)).toBe(oracle(rule, asked));
    }),
    { numRuns: 3000 },
  );
});

describe("what is missing", () => {
  test("is nothing where the rules are held, and everything where none is", () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 4 }), (rules) => {
        expect(missingRights(rules, rules)).toEqual([]);
        expect(
          missingRights(
            [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], nonResourceURLs: ["*"] }],
            rules,
          ),
        ).toEqual([]);
      }),
    );
  });

  test("is what a request could find allowed by the wanted rules and not by the held ones", () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { maxLength: 3 }),
        fc.array(anyRule, { maxLength: 3 }),
        anyAttributes,
        (held, wanted, asked) => {
          const allows = (rules: readonly PolicyRule[]) => rules.some((rule) => ruleAllows(rule, asked));
          const missing = missingRights(held, wanted);
          // Nobody gets by a role what neither they hold nor the check has named.
          if (allows(wanted)) expect(allows(held) || allows(missing)).toBe(true);
          if (allows(missing)) expect(allows(wanted)).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("is told with one line per resource", () => {
    const missing = missingRights(
      [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }],
      [
        { verbs: ["get", "list", "watch"], apiGroups: [""], resources: ["pods", "secrets"] },
        { verbs: ["get"], nonResourceURLs: ["/metrics"] },
        { verbs: ["get"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["a", "b"] },
      ],
    );
    expect(compactRules(missing).map(describeRule).sort()).toEqual([
      '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["a"], Verbs:["get"]}',
      '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["b"], Verbs:["get"]}',
      '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}',
      '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]);
  });
});

test.each<[Subject, string, string | undefined]>([
  [{ kind: "User", name: "jane" }, "default", "User jane"],
  [{ kind: "Group", name: "devs" }, "", "Group devs"],
  [{ kind: "ServiceAccount", name: "app" }, "default", "User system:serviceaccount:default:app"],
  [
    { kind: "ServiceAccount", name: "app", namespace: "other" },
    "default",
    "User system:serviceaccount:other:app",
  ],
  [{ kind: "ServiceAccount", name: "app" }, "", undefined],
  [{ kind: "Robot", name: "r2" }, "default", undefined],
])("subjectKey(%j) in %j", (subject, namespace, key) => {
  expect(subjectKey(subject, namespace)).toBe(key);
});

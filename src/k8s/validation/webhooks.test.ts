import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { applyDefaults } from "../defaults.ts";
import type { KubeObject } from "../object.ts";
import { validateWebhookConfiguration } from "./webhooks.ts";

const RULE = { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] };
const HOOK = {
  name: "a.example.com",
  clientConfig: { url: "https://example.com/hook" },
  rules: [RULE],
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
};

function configuration(webhooks: readonly object[], type = "Mutating"): KubeObject {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: `${type}WebhookConfiguration`,
    metadata: { name: "test" },
    webhooks,
  };
}

/** As `FIELD: MESSAGE`, without `webhooks[0].`. */
function faults(hook: object, type = "Mutating"): string[] {
  const object = applyDefaults(configuration([{ ...HOOK, ...hook }], type));
  return validateWebhookConfiguration(object).map(
    ({ field, body }) => `${field.replace("webhooks[0].", "")}: ${body}`,
  );
}

describe("a webhook configuration", () => {
  test.each(["Mutating", "Validating"])("may be %s, and leave out what has a default", (type) => {
    expect(faults({}, type)).toEqual([]);
    expect(validateWebhookConfiguration(configuration([]))).toEqual([]);
  });

  test.each<[object, string]>([
    [{ name: undefined }, "name: Required value"],
    [
      { name: "a.b" },
      'name: Invalid value: "a.b": should be a domain with at least three segments separated by dots',
    ],
    [{ name: "A.b.c" }, 'name: Invalid value: "A.b.c": a lowercase RFC 1123 subdomain must consist of'],
    [{ failurePolicy: "No" }, 'failurePolicy: Unsupported value: "No": supported values: "Fail", "Ignore"'],
    [{ matchPolicy: "No" }, 'matchPolicy: Unsupported value: "No": supported values: "Equivalent", "Exact"'],
    [
      { sideEffects: "Some" },
      'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
    ],
    [{ sideEffects: undefined }, "sideEffects: Required value: must specify one of None, NoneOnDryRun"],
    [
      { timeoutSeconds: 0 },
      "timeoutSeconds: Invalid value: 0: the timeout value must be between 1 and 30 seconds",
    ],
    [
      { timeoutSeconds: 31 },
      "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
    ],
    [
      { reinvocationPolicy: "Always" },
      'reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"',
    ],
    [
      { admissionReviewVersions: [] },
      "admissionReviewVersions: Required value: must specify one of v1, v1beta1",
    ],
    [
      { admissionReviewVersions: ["v2"] },
      'admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
    ],
    [
      { admissionReviewVersions: ["v1", "v1"] },
      'admissionReviewVersions[1]: Invalid value: "v1": duplicate version',
    ],
    [
      { admissionReviewVersions: ["v1", "1"] },
      'admissionReviewVersions[1]: Invalid value: "1": a DNS-1035 label must consist of',
    ],
    [
      { objectSelector: { matchExpressions: [{ key: "a", operator: "Like" }] } },
      'objectSelector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
    ],
    [
      { namespaceSelector: { matchLabels: { a: "b c" } } },
      'namespaceSelector.matchLabels: Invalid value: "b c"',
    ],
    [{ matchConditions: [{ name: "a", expression: " " }] }, "matchConditions[0].expression: Required value"],
    [
      { matchConditions: [{ name: "a", expression: "object.kind" }] },
      'matchConditions[0].expression: Invalid value: "object.kind": must evaluate to bool',
    ],
    [
      { matchConditions: [{ name: "a", expression: "object ==" }] },
      'matchConditions[0].expression: Invalid value: "object ==": compilation failed: ',
    ],
    [{ matchConditions: [{ expression: "true" }] }, "matchConditions[0].name: Required value"],
    [
      { matchConditions: [{ name: "a b", expression: "true" }] },
      'matchConditions[0].name: Invalid value: "a b": name part must consist of',
    ],
    [
      { matchConditions: ["a", "a"].map((name) => ({ name, expression: "true" })) },
      'matchConditions[1].name: Duplicate value: "a"',
    ],
    [
      {
        matchConditions: Array.from({ length: 65 }, (_, index) => ({
          name: `c${index}`,
          expression: "true",
        })),
      },
      "matchConditions: Too many: 65: must have at most 64 items",
    ],
    [{ clientConfig: {} }, "clientConfig: Required value: exactly one of url or service is required"],
    [
      { clientConfig: { url: "https://a", service: { name: "a", namespace: "b" } } },
      "clientConfig: Required value: exactly one of url or service is required",
    ],
    [
      { clientConfig: { url: "http://a.b" } },
      "clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
    ],
    [
      { clientConfig: { url: "https:///a" } },
      'clientConfig.url: Invalid value: "": host must be provided; desired format: https://host[/path]',
    ],
    [
      { clientConfig: { url: "https://u:p@a" } },
      'clientConfig.url: Invalid value: "u:p": user information is not permitted in the URL',
    ],
    [
      { clientConfig: { url: "https://a#b" } },
      'clientConfig.url: Invalid value: "b": fragments are not permitted in the URL',
    ],
    [
      { clientConfig: { url: "https://a?b=c" } },
      'clientConfig.url: Invalid value: "b=c": query parameters are not permitted in the URL',
    ],
    [
      { clientConfig: { url: "https://a:b" } },
      'clientConfig.url: Required value: url must be a valid URL: parse "https://a:b": invalid port ":b" after host',
    ],
    [
      { clientConfig: { service: { name: "a" } } },
      "clientConfig.service.namespace: Required value: service namespace is required",
    ],
    [
      { clientConfig: { service: { namespace: "a" } } },
      "clientConfig.service.name: Required value: service name is required",
    ],
    [
      { clientConfig: { service: { name: "a", namespace: "b", port: 70_000 } } },
      "clientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive",
    ],
    [
      { clientConfig: { service: { name: "a", namespace: "b", path: "ab" } } },
      "clientConfig.service.path: Invalid value: \"ab\": must start with a '/'",
    ],
    [
      { clientConfig: { service: { name: "a", namespace: "b", path: "/a//b" } } },
      'clientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty',
    ],
    [
      { clientConfig: { service: { name: "a", namespace: "b", path: "//" } } },
      'clientConfig.service.path: Invalid value: "//": segment[0] may not be empty',
    ],
    [
      { clientConfig: { service: { name: "a", namespace: "b", path: "/A" } } },
      'clientConfig.service.path: Invalid value: "/A": segment[0]: a lowercase RFC 1123 subdomain',
    ],
    [{ rules: [{ ...RULE, operations: [] }] }, "rules[0].operations: Required value"],
    [
      { rules: [{ ...RULE, operations: ["*", "CREATE"] }] },
      'rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
    ],
    [
      { rules: [{ ...RULE, operations: ["PATCH"] }] },
      'rules[0].operations[0]: Unsupported value: "PATCH": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
    ],
    [{ rules: [{ ...RULE, apiGroups: [] }] }, "rules[0].apiGroups: Required value"],
    [
      { rules: [{ ...RULE, apiGroups: ["*", ""] }] },
      'rules[0].apiGroups: Invalid value: ["*",""]: if \'*\' is present, must not specify other API groups',
    ],
    [{ rules: [{ ...RULE, apiVersions: [""] }] }, "rules[0].apiVersions[0]: Required value"],
    [
      { rules: [{ ...RULE, apiVersions: ["v1", "*"] }] },
      'rules[0].apiVersions: Invalid value: ["v1","*"]: if \'*\' is present, must not specify other API versions',
    ],
    [{ rules: [{ ...RULE, resources: [] }] }, "rules[0].resources: Required value"],
    [{ rules: [{ ...RULE, resources: [""] }] }, "rules[0].resources[0]: Required value"],
    [
      { rules: [{ ...RULE, resources: ["pods/*", "pods/status"] }] },
      "rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status",
    ],
    [
      { rules: [{ ...RULE, resources: ["*/status", "pods/status"] }] },
      "rules[0].resources[1]: Invalid value: \"pods/status\": if '*/status' is present, must not specify pods/status",
    ],
    [
      { rules: [{ ...RULE, resources: ["*/*", "pods"] }] },
      'rules[0].resources: Invalid value: ["*/*","pods"]: if \'*/*\' is present, must not specify other resources',
    ],
    [
      { rules: [{ ...RULE, resources: ["*", "pods"] }] },
      'rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources without subresources',
    ],
    [
      { rules: [{ ...RULE, scope: "Pod" }] },
      'rules[0].scope: Unsupported value: "Pod": supported values: "*", "Cluster", "Namespaced"',
    ],
  ])("is refused with %j", (hook, fault) => {
    const [first, ...others] = faults(hook);
    expect(first).toStartWith(fault);
    expect(others).toEqual([]);
  });

  test("has each name once", () => {
    const object = applyDefaults(configuration([HOOK, HOOK]));
    expect(validateWebhookConfiguration(object).map(({ field, body }) => `${field}: ${body}`)).toEqual([
      'webhooks[1].name: Duplicate value: "a.example.com"',
    ]);
  });

  test("a validating one has no reinvocation policy to be wrong", () => {
    expect(faults({ reinvocationPolicy: "Always" }, "Validating")).toEqual([]);
  });

  test("never makes the checks fail themselves, whatever is missing", () => {
    const part = fc.constantFrom(...Object.keys(HOOK));
    fc.assert(
      fc.property(fc.uniqueArray(part), (missing) => {
        const hook = Object.fromEntries(Object.entries(HOOK).filter(([name]) => !missing.includes(name)));
        const object = applyDefaults(configuration([hook]));
        const needed = missing.filter((name) => name !== "rules");
        expect(validateWebhookConfiguration(object).length).toBe(needed.length);
      }),
    );
  });
});

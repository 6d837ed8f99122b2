import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { resourceAt, type ResourceInfo } from "../catalogue.ts";
import type { KubeObject } from "../object.ts";
import { type AdmissionAttributes, invocationOf, isExempt, mayConcern } from "./match-webhook.ts";
import { type Webhook, type WebhookFields, type WebhookRule, webhooksOf } from "./webhook.ts";

const EVERYTHING: WebhookRule = {
  operations: ["*"],
  apiGroups: ["*"],
  apiVersions: ["*"],
  resources: ["*/*"],
};

function webhook(fields: Partial<WebhookFields> = {}): Webhook {
  const [only] = webhooksOf([
    configuration("c", [{ name: "w", clientConfig: {}, rules: [EVERYTHING], ...fields }]),
  ]);
  if (only === undefined) throw new Error("There is one webhook");
  return only;
}

function configuration(name: string, webhooks: readonly WebhookFields[]) {
  return { apiVersion: "v1", kind: "Webhooks", metadata: { name }, webhooks };
}

function object(labels?: Readonly<Record<string, string>>): KubeObject {
  return { apiVersion: "v1", kind: "Pod", metadata: labels === undefined ? {} : { labels } };
}

const CREATE_POD: AdmissionAttributes = {
  operation: "CREATE",
  resource: { group: "", version: "v1", resource: "pods" },
  subresource: "",
  kind: { group: "", version: "v1", kind: "Pod" },
  name: "p",
  namespace: "default",
  object: object(),
  dryRun: false,
  user: { username: "u", groups: [] },
};
const CREATE_NODE: AdmissionAttributes = {
  ...CREATE_POD,
  resource: { group: "", version: "v1", resource: "nodes" },
  namespace: "",
};
const CREATE_NAMESPACE: AdmissionAttributes = {
  ...CREATE_POD,
  resource: { group: "", version: "v1", resource: "namespaces" },
  namespace: "shop",
  object: object({ team: "a" }),
};

/** A custom resource in two versions. */
function servedAt({ group, version, plural }: Pick<ResourceInfo, "group" | "version" | "plural">) {
  const deployments = resourceAt("apps", "v1", "deployments");
  if (group !== "shop.example.com") return resourceAt(group, version, plural);
  if (deployments === undefined || !["v1", "v2"].includes(version)) return undefined;
  return { ...deployments, group, version, plural, kind: "Shop", groupResource: `${plural}.${group}` };
}
const surroundings = { labelsOf: (name: string): Record<string, string> => ({ name }), servedAt };

function isAsked(fields: Partial<WebhookFields>, attributes: AdmissionAttributes): boolean {
  return invocationOf(webhook(fields), attributes, surroundings) !== undefined;
}

describe("rules", () => {
  const pods = { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] };
  const status: AdmissionAttributes = { ...CREATE_POD, operation: "UPDATE", subresource: "status" };
  test.each<[Partial<WebhookRule>, AdmissionAttributes, boolean]>([
    [{}, CREATE_POD, true],
    [{}, { ...CREATE_POD, operation: "DELETE" }, false],
    [{ operations: ["*"] }, { ...CREATE_POD, operation: "CONNECT" }, true],
    [{ apiGroups: ["apps"] }, CREATE_POD, false],
    [{ apiGroups: ["apps", "*"] }, CREATE_POD, true],
    [{ apiVersions: ["v2"] }, CREATE_POD, false],
    [{ resources: ["pods/status"] }, CREATE_POD, false],
    [{ resources: ["*"] }, CREATE_POD, true],
    [{ operations: ["*"], resources: ["pods"] }, status, false],
    [{ operations: ["*"], resources: ["*"] }, status, false],
    [{ operations: ["*"], resources: ["pods/status"] }, status, true],
    [{ operations: ["*"], resources: ["pods/*"] }, status, true],
    [{ operations: ["*"], resources: ["pods/*"] }, CREATE_POD, true],
    [{ operations: ["*"], resources: ["*/status"] }, status, true],
    [{ operations: ["*"], resources: ["*/scale"] }, status, false],
    [{ operations: ["*"], resources: ["*/*"] }, status, true],
    [{ scope: "Namespaced" }, CREATE_POD, true],
    [{ scope: "Cluster" }, CREATE_POD, false],
    [{ scope: "Cluster", resources: ["*"] }, CREATE_NODE, true],
    [{ scope: "Namespaced", resources: ["*"] }, CREATE_NODE, false],
    // In itself, and yet of the cluster.
    [{ scope: "Cluster", resources: ["*"] }, CREATE_NAMESPACE, true],
    [{ scope: "Namespaced", resources: ["*"] }, CREATE_NAMESPACE, false],
  ])("%j of %j", (rule, attributes, asked) => {
    expect(isAsked({ rules: [{ ...pods, ...rule }] }, attributes)).toBe(asked);
  });

  test("one that fits is enough, none fits nothing", () => {
    expect(isAsked({ rules: [{ ...pods, resources: ["nodes"] }, pods] }, CREATE_POD)).toBe(true);
    expect(isAsked({ rules: [] }, CREATE_POD)).toBe(false);
  });
});

describe("equivalent versions", () => {
  const shop: AdmissionAttributes = {
    ...CREATE_POD,
    resource: { group: "shop.example.com", version: "v1", resource: "shops" },
    kind: { group: "shop.example.com", version: "v1", kind: "Shop" },
  };
  const rule = {
    ...EVERYTHING,
    apiGroups: ["shop.example.com"],
    apiVersions: ["v9", "v2"],
    resources: ["shops"],
  };

  test("a rule for another version is shown the object in that version", () => {
    const hook = webhook({ rules: [rule] });
    expect(invocationOf(hook, shop, surroundings)).toEqual({
      webhook: hook,
      resource: { group: "shop.example.com", version: "v2", resource: "shops" },
      kind: { group: "shop.example.com", version: "v2", kind: "Shop" },
    });
  });

  test("the version of the request goes first, and Exact knows no other", () => {
    const both = webhook({ rules: [rule, { ...rule, apiVersions: ["v1"] }] });
    expect(invocationOf(both, shop, surroundings)?.resource.version).toBe("v1");
    expect(isAsked({ rules: [rule], matchPolicy: "Exact" }, shop)).toBe(false);
  });

  test("another group is another resource", () => {
    expect(isAsked({ rules: [{ ...rule, apiGroups: ["apps"] }] }, shop)).toBe(false);
  });
});

describe("selectors", () => {
  const on = { matchLabels: { hook: "on" } };
  const update: AdmissionAttributes = { ...CREATE_POD, operation: "UPDATE" };
  test.each<[AdmissionAttributes, boolean]>([
    [CREATE_POD, false],
    [{ ...CREATE_POD, object: object({ hook: "on" }) }, true],
    [{ ...update, object: object({ hook: "on" }), oldObject: object() }, true],
    [{ ...update, object: object(), oldObject: object({ hook: "on" }) }, true],
    [{ ...update, object: object(), oldObject: object() }, false],
  ])("of objects, as they were and as they will be: %j", (attributes, asked) => {
    expect(isAsked({ objectSelector: on }, attributes)).toBe(asked);
  });

  test("an object that is deleted counts as it was", () => {
    const { object: _, ...deletion } = {
      ...CREATE_POD,
      operation: "DELETE" as const,
      oldObject: object({ hook: "on" }),
    };
    expect(isAsked({ objectSelector: on }, deletion)).toBe(true);
  });

  test.each<[object, AdmissionAttributes, boolean]>([
    [{ matchLabels: { name: "default" } }, CREATE_POD, true],
    [{ matchLabels: { name: "other" } }, CREATE_POD, false],
    [{ matchExpressions: [{ key: "name", operator: "NotIn", values: ["default"] }] }, CREATE_POD, false],
    // What is in no namespace is never left out.
    [{ matchLabels: { name: "other" } }, CREATE_NODE, true],
    // A namespace that is written has the labels it is to have; one that goes has those it has.
    [{ matchLabels: { team: "a" } }, CREATE_NAMESPACE, true],
    [{ matchLabels: { team: "a" } }, { ...CREATE_NAMESPACE, operation: "DELETE" }, false],
    [{ matchLabels: { name: "shop" } }, { ...CREATE_NAMESPACE, operation: "DELETE" }, true],
  ])("of namespaces: %j of %j", (namespaceSelector, attributes, asked) => {
    expect(isAsked({ namespaceSelector }, attributes)).toBe(asked);
  });

  test("a namespace is looked up for those only whose rules fit", () => {
    const labelsOf = () => {
      throw new Error("nobody asks");
    };
    const hook = webhook({ rules: [], namespaceSelector: { matchLabels: { a: "b" } } });
    expect(invocationOf(hook, CREATE_POD, { labelsOf, servedAt })).toBeUndefined();
  });
});

test("no webhook sees the configuration of webhooks", () => {
  expect(isExempt({ group: "admissionregistration.k8s.io" })).toBe(true);
  expect(isExempt({ group: "" })).toBe(false);
});

test("webhooks are asked by the names of their configurations, then in the configuration's order", () => {
  const hook = (name: string) => ({ name, clientConfig: {} });
  const order = webhooksOf([configuration("b", [hook("z"), hook("a")]), configuration("a", [hook("m")])]);
  expect(order.map(({ uid }) => uid)).toEqual(["a/m/0", "b/z/0", "b/a/1"]);
});

test("whoever is asked may be concerned", () => {
  const some = <T extends string>(...values: readonly T[]) =>
    fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 });
  const rule = fc.record({
    operations: some("*", "CREATE", "UPDATE"),
    apiGroups: some("*", "", "apps"),
    apiVersions: some("*", "v1", "v2"),
    resources: some("*", "pods", "pods/*", "*/status", "*/*", "nodes"),
    scope: fc.constantFrom("*", "Namespaced", "Cluster"),
  });
  const request = fc.record({
    operation: fc.constantFrom("CREATE" as const, "UPDATE" as const),
    subresource: fc.constantFrom("", "status"),
  });
  fc.assert(
    fc.property(
      fc.array(rule),
      request,
      fc.constantFrom("Exact", "Equivalent"),
      (rules, given, matchPolicy) => {
        const hook = webhook({ rules, matchPolicy });
        const attributes = { ...CREATE_POD, ...given };
        const invocation = invocationOf(hook, attributes, surroundings);
        if (invocation !== undefined) expect(mayConcern(hook, attributes)).toBe(true);
      },
    ),
  );
});

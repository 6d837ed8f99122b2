/** Which rights of a new role its writer does not have (component-helpers `auth/rbac/validation`: Covers, CompactRules). */
import { goQuote } from "./go-format.ts";
import { type PolicyRule, resourcesCover, urlCovers } from "./rbac.ts";

/** One right: a verb on a resource of a group (and perhaps one name), or on a path. */
function* rightsOf(rule: PolicyRule): Generator<PolicyRule> {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        const right = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (resourceNames.length === 0) yield right;
        for (const name of resourceNames) yield { ...right, resourceNames: [name] };
      }
    }
  }
  for (const url of nonResourceURLs) {
    for (const verb of verbs) yield { nonResourceURLs: [url], verbs: [verb] };
  }
}

function holdsAll(held: readonly string[] = [], wanted: readonly string[] = []): boolean {
  return held.includes("*") || wanted.every((one) => held.includes(one));
}

function ruleCovers(held: PolicyRule, right: PolicyRule): boolean {
  const names = held.resourceNames ?? [];
  const wantedNames = right.resourceNames ?? [];
  return (
    holdsAll(held.verbs, right.verbs) &&
    holdsAll(held.apiGroups, right.apiGroups) &&
    (right.resources ?? []).every((one) => resourcesCover(held.resources ?? [], one)) &&
    (right.nonResourceURLs ?? []).every((one) =>
      (held.nonResourceURLs ?? []).some((url) => urlCovers(url, one)),
    ) &&
    (names.length === 0 || (wantedNames.length > 0 && wantedNames.every((one) => names.includes(one))))
  );
}

/** The rights in `wanted` that none of the `held` rules gives; each has one verb. Empty: all are held. */
export function missingRights(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted
    .flatMap((rule) => [...rightsOf(rule)])
    .filter((right) => !held.some((rule) => ruleCovers(rule, right)));
}

/** Rules about one resource, which differ in their verbs only, become one. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const compacted: PolicyRule[] = [];
  const simple = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
    const isSimple = apiGroups.length === 1 && resources.length === 1 && resourceNames.length <= 1;
    if (!isSimple || nonResourceURLs.length > 0) {
      compacted.push(rule);
      continue;
    }
    const key = JSON.stringify([apiGroups, resources, resourceNames]);
    const known = simple.get(key);
    simple.set(key, { ...rule, verbs: [...(known?.verbs ?? []), ...(rule.verbs ?? [])] });
  }
  return [...compacted, ...simple.values()];
}

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}` (rbac `CompactString`). */
export function describeRule(rule: PolicyRule): string {
  const fields: readonly [string, readonly string[] | undefined][] = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ];
  const given = fields.filter(([, values]) => (values ?? []).length > 0);
  return `{${given.map(([field, values]) => `${field}:${quotedList(values ?? [])}`).join(", ")}}`;
}

/** Go's `%q` of a list of strings. */
export function quotedList(values: readonly string[]): string {
  return `[${values.map(goQuote).join(" ")}]`;
}

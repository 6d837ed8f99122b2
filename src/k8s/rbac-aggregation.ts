/** What an aggregated ClusterRole is made of (`clusterroleaggregation`): the rules of the roles that its selectors select. */
import { jsonEqual } from "./patch/json.ts";
import type { PolicyRule, Role } from "./rbac.ts";
import { labelSelectorOf } from "./selectors.ts";

/** In the order of the selectors, then of the names; each rule once. The role itself is not a part of itself. */
export function aggregatedRules(role: Role, all: readonly Role[]): PolicyRule[] {
  const byName = all.toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
  const rules: PolicyRule[] = [];
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? []) {
    const { matches } = labelSelectorOf(selector);
    for (const { metadata, rules: theirs = [] } of byName) {
      if (metadata.name === role.metadata.name || !matches(metadata.labels)) continue;
      for (const rule of theirs) if (!rules.some((one) => jsonEqual(one, rule))) rules.push(rule);
    }
  }
  return rules;
}

/** Whether a role's rules are made for it. */
export function isAggregated({ aggregationRule }: Role): boolean {
  return (aggregationRule?.clusterRoleSelectors ?? []).length > 0;
}

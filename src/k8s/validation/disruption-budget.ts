/** Checks of PodDisruptionBudgets (policy `ValidatePodDisruptionBudgetSpec`). */
import type { PodDisruptionBudgetSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid } from "../field-error.ts";
import { validateLabelSelector } from "./labels.ts";
import { allowOneOf } from "./one-of.ts";
import { refuseOverAll, validateAmount } from "./pod-amount.ts";
import type { Has } from "./workloads.ts";

const EVICTION_POLICIES = ["AlwaysAllow", "IfHealthyBudget"];

/** An empty selector is fine: it covers every pod of the namespace. */
export function validateDisruptionBudget({ spec = {} }: Has<PodDisruptionBudgetSpec>): FieldError[] {
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec;
  const errors: FieldError[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined)
    errors.push(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
  for (const [name, amount] of Object.entries({ minAvailable, maxUnavailable })) {
    if (amount === undefined) continue;
    errors.push(...validateAmount(amount, `spec.${name}`), ...refuseOverAll(amount, `spec.${name}`));
  }
  return [
    ...errors,
    ...validateLabelSelector(spec.selector, "spec.selector"),
    ...allowOneOf(policy, EVICTION_POLICIES, "spec.unhealthyPodEvictionPolicy"),
  ];
}

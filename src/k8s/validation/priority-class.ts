/** Checks of PriorityClasses (scheduling `ValidatePriorityClass`). */
import type { PriorityClass } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, notSupported } from "../field-error.ts";
import { validateImmutable } from "./immutable.ts";

const HIGHEST_OF_USERS = 1_000_000_000;
const SYSTEM_PREFIX = "system-";
/** By name; no pods are more important. */
const SYSTEM_CLASSES: ReadonlyMap<string, number> = new Map([
  ["system-node-critical", 2 * HIGHEST_OF_USERS + 1000],
  ["system-cluster-critical", 2 * HIGHEST_OF_USERS],
]);
const PREEMPTION_POLICIES = ["PreemptLowerPriority", "Never"];

export function validatePriorityClass({
  metadata,
  value = 0,
  globalDefault = false,
  preemptionPolicy = "",
}: PriorityClass): FieldError[] {
  const name = metadata?.name ?? "";
  const errors: FieldError[] = [];
  if (name.startsWith(SYSTEM_PREFIX)) {
    const why = unlikeSystemClass(name, value, globalDefault);
    const reserved = `priority class names with '${SYSTEM_PREFIX}' prefix are reserved for system use only. error: ${why}`;
    if (why !== undefined) errors.push(forbidden("metadata.name", reserved));
  } else if (value > HIGHEST_OF_USERS) {
    const why = `maximum allowed value of a user defined priority is ${HIGHEST_OF_USERS}`;
    errors.push(forbidden("value", why));
  }
  if (preemptionPolicy === "" || PREEMPTION_POLICIES.includes(preemptionPolicy)) return errors;
  return [...errors, notSupported("preemptionPolicy", preemptionPolicy, PREEMPTION_POLICIES)];
}

/** Undefined for one of the two that Kubernetes has. */
function unlikeSystemClass(name: string, value: number, globalDefault: boolean): string | undefined {
  const known = SYSTEM_CLASSES.get(name);
  if (known === undefined) return `${name} is not a known system priority class`;
  if (value !== known) return `value of ${name} PriorityClass must be ${known}`;
  return globalDefault ? `globalDefault of ${name} PriorityClass must be false` : undefined;
}

/** Pods keep the number they were admitted with, so that the class keeps it too. */
export function validatePriorityClassUpdate(priority: PriorityClass, before: PriorityClass): FieldError[] {
  return [
    ...validatePriorityClass(priority),
    ...validateImmutable("value", priority.value ?? 0, before.value ?? 0),
    ...validateImmutable("preemptionPolicy", priority.preemptionPolicy, before.preemptionPolicy),
  ];
}

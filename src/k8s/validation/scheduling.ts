/** Checks of what a pod says to the scheduler (core `validation.go`). One node makes it moot, but not less wrong. */
import type {
  Affinity,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from "../../../generated/kubernetes.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../field-error.ts";
import { checkLabelValue, checkQualifiedName } from "../names.ts";
import { validateLabelSelector } from "./labels.ts";
import type { Unchecked } from "./unchecked.ts";

const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const OPERATORS = ["Equal", "Exists"];

export function validateTolerations(
  tolerations: readonly Unchecked<Toleration>[],
  path: string,
): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
    const at = `${path}[${index}]`;
    const errors = key === "" ? [] : invalidEach(`${at}.key`, key, checkQualifiedName(key));
    if (key === "" && operator !== "Exists") {
      const message =
        'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalid(`${at}.operator`, operator, message));
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      errors.push(
        invalid(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      );
    }
    errors.push(...validateTolerationValue(operator, value, `${at}.operator`));
    if (effect !== "" && !EFFECTS.includes(effect))
      errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    return errors;
  });
}

function validateTolerationValue(operator: string, value: string, field: string): FieldError[] {
  if (operator === "" || operator === "Equal") {
    const wrong = checkLabelValue(value);
    return wrong.length === 0 ? [] : [invalid(field, value, wrong.join(";"))];
  }
  if (operator !== "Exists") return [notSupported(field, operator, OPERATORS)];
  return value === "" ? [] : [invalid(field, value, "value must be empty when `operator` is 'Exists'")];
}

export function validateSchedulingGates(
  gates: readonly { readonly name?: string }[],
  path: string,
): FieldError[] {
  const taken = new Set<string>();
  return gates.flatMap(({ name = "" }, index) => {
    const errors = invalidEach(`${path}[${index}]`, name, checkQualifiedName(name));
    if (taken.has(name)) errors.push(duplicate(`${path}[${index}]`, name));
    taken.add(name);
    return errors;
  });
}

export function validateAffinity(affinity: Unchecked<Affinity>, path: string): FieldError[] {
  const { nodeAffinity = {}, podAffinity = {}, podAntiAffinity = {} } = affinity;
  const now = "requiredDuringSchedulingIgnoredDuringExecution";
  const better = "preferredDuringSchedulingIgnoredDuringExecution";
  const errors: FieldError[] = [];
  const terms = nodeAffinity[now]?.nodeSelectorTerms ?? [];
  const nodes = `${path}.nodeAffinity`;
  if (nodeAffinity[now] !== undefined && terms.length === 0) {
    errors.push(required(`${nodes}.${now}.nodeSelectorTerms`, "must have at least one node selector term"));
  }
  for (const [index, term] of terms.entries()) {
    errors.push(...validateNodeTerm(term, `${nodes}.${now}.nodeSelectorTerms[${index}]`));
  }
  for (const [index, { weight = 0, preference = {} }] of (nodeAffinity[better] ?? []).entries()) {
    const at = `${nodes}.${better}[${index}]`;
    errors.push(
      ...validateWeight(weight, `${at}.weight`),
      ...validateNodeTerm(preference, `${at}.preference`),
    );
  }
  for (const [name, pods] of Object.entries({ podAffinity, podAntiAffinity })) {
    for (const [index, term] of (pods[now] ?? []).entries()) {
      errors.push(...validatePodTerm(term, `${path}.${name}.${now}[${index}]`));
    }
    for (const [index, { weight = 0, podAffinityTerm = {} }] of (pods[better] ?? []).entries()) {
      const at = `${path}.${name}.${better}[${index}]`;
      errors.push(
        ...validateWeight(weight, `${at}.weight`),
        ...validatePodTerm(podAffinityTerm, `${at}.podAffinityTerm`),
      );
    }
  }
  return errors;
}

function validateWeight(weight: number, field: string): FieldError[] {
  return weight < 1 || weight > 100 ? [invalid(field, weight, "must be in the range 1-100")] : [];
}

function validateNodeTerm(
  { matchExpressions = [] }: Unchecked<NodeSelectorTerm>,
  path: string,
): FieldError[] {
  return matchExpressions.flatMap(({ key = "", operator = "", values = [] }, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    const errors = invalidEach(`${at}.key`, key, checkQualifiedName(key));
    if (operator === "In" || operator === "NotIn") {
      if (values.length > 0) return errors;
      return [required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"), ...errors];
    }
    if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length === 0) return errors;
      return [
        forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        ...errors,
      ];
    }
    if (operator === "Gt" || operator === "Lt") {
      if (values.length === 1) return errors;
      return [
        required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
        ...errors,
      ];
    }
    return [invalid(`${at}.operator`, operator, "not a valid selector operator"), ...errors];
  });
}

function validatePodTerm(
  { topologyKey = "", labelSelector }: Unchecked<PodAffinityTerm>,
  path: string,
): FieldError[] {
  const field = `${path}.topologyKey`;
  return [
    ...validateLabelSelector(labelSelector, `${path}.labelSelector`),
    ...(topologyKey === "" ? [required(field, "can not be empty")] : []),
    ...invalidEach(field, topologyKey, checkQualifiedName(topologyKey)),
  ];
}

const UNSATISFIABLE = ["DoNotSchedule", "ScheduleAnyway"];

export function validateSpread(
  constraints: readonly Unchecked<TopologySpreadConstraint>[],
  path: string,
): FieldError[] {
  const pairs = new Set<string>();
  return constraints.flatMap(
    ({ maxSkew = 0, topologyKey = "", whenUnsatisfiable = "", labelSelector }, index) => {
      const at = `${path}[${index}]`;
      const errors: FieldError[] = [];
      if (maxSkew <= 0) errors.push(invalid(`${at}.maxSkew`, maxSkew, "must be greater than zero"));
      if (topologyKey === "") errors.push(required(`${at}.topologyKey`, "can not be empty"));
      if (!UNSATISFIABLE.includes(whenUnsatisfiable)) {
        errors.push(notSupported(`${at}.whenUnsatisfiable`, whenUnsatisfiable, UNSATISFIABLE));
      }
      const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
      if (pairs.has(pair)) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair));
      pairs.add(pair);
      return [...errors, ...validateLabelSelector(labelSelector, `${at}.labelSelector`)];
    },
  );
}

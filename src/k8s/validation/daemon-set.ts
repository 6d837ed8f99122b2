/** Checks of DaemonSets (apps `ValidateDaemonSetSpec`). */
import type {
  DaemonSetSpec,
  DaemonSetUpdateStrategy,
  RollingUpdateDaemonSet,
} from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, notSupported, required } from "../field-error.ts";
import { validateImmutable } from "./immutable.ts";
import { validateLabelSelector } from "./labels.ts";
import { isNothing, refuseOverAll, validateAmount, validateCounts } from "./pod-amount.ts";
import type { Unchecked } from "./unchecked.ts";
import {
  type Has,
  mismatch,
  refuseEmptySelector,
  refuseEnding,
  selects,
  validateTemplate,
} from "./workloads.ts";

/** That there is no selector is only told by what it does not match. */
export function validateDaemonSet({ spec = {} }: Has<DaemonSetSpec>): FieldError[] {
  const { selector, template = {}, updateStrategy = {} } = spec;
  const isMissed = selects(selector, template.metadata?.labels) === false;
  return [
    ...validateLabelSelector(selector, "spec.selector"),
    ...(isMissed ? [mismatch(template, "spec.template")] : []),
    ...(selector === undefined ? [] : refuseEmptySelector(selector, "daemonset")),
    ...validateTemplate(template, "spec.template"),
    ...refuseEnding(template, "DaemonSet"),
    ...validateCounts(spec, ["minReadySeconds"], "spec"),
    ...validateStrategy(updateStrategy),
    ...validateCounts(spec, ["revisionHistoryLimit"], "spec"),
  ];
}

export function validateDaemonSetUpdate(set: Has<DaemonSetSpec>, before: Has<DaemonSetSpec>): FieldError[] {
  return [
    ...validateDaemonSet(set),
    ...validateImmutable("spec.selector", set.spec?.selector, before.spec?.selector),
  ];
}

function validateStrategy(strategy: Unchecked<DaemonSetUpdateStrategy>): FieldError[] {
  const path = "spec.updateStrategy";
  const { type, rollingUpdate } = strategy;
  if (type === "OnDelete") return [];
  if (type !== "RollingUpdate") return [notSupported(path, strategy, ["RollingUpdate", "OnDelete"])];
  const field = `${path}.rollingUpdate`;
  return rollingUpdate === undefined ? [required(field)] : validateRollingUpdate(rollingUpdate, field);
}

/** A node has either the old pod less or the new pod more. */
function validateRollingUpdate(
  { maxUnavailable = 0, maxSurge = 0 }: Unchecked<RollingUpdateDaemonSet>,
  path: string,
): FieldError[] {
  const [unavailable, surge] = [`${path}.maxUnavailable`, `${path}.maxSurge`];
  const errors = [
    ...validateAmount(maxUnavailable, unavailable),
    ...validateAmount(maxSurge, surge),
    ...refuseOverAll(maxUnavailable, unavailable),
    ...refuseOverAll(maxSurge, surge),
  ];
  if (isNothing(maxUnavailable) !== isNothing(maxSurge)) return errors;
  if (isNothing(maxSurge)) return [...errors, required(unavailable, "cannot be 0 when maxSurge is 0")];
  return [...errors, invalid(surge, maxSurge, "may not be set when maxUnavailable is non-zero")];
}

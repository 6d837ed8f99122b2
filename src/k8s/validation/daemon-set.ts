/** Checks of DaemonSets (apps `ValidateDaemonSet`): how they replace their pods. */
import type { DaemonSetUpdateStrategy } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, notSupported, required } from "../field-error.ts";
import { isZeroAmount, validateAmount, validateShare } from "./rollout.ts";
import type { Unchecked } from "./unchecked.ts";
import { type Has, type ReplicatedSpec, validateReplicated, validateReplicatedUpdate } from "./workloads.ts";

interface Spec extends ReplicatedSpec {
  readonly updateStrategy?: Unchecked<DaemonSetUpdateStrategy>;
}

export function validateDaemonSet(object: Has<Spec>): FieldError[] {
  return [
    ...validateReplicated(object, "DaemonSet"),
    ...validateUpdateStrategy(object.spec?.updateStrategy ?? {}),
  ];
}

export function validateDaemonSetUpdate(object: Has<Spec>, before: Has<Spec>): FieldError[] {
  return [
    ...validateReplicatedUpdate(object, before, "DaemonSet"),
    ...validateUpdateStrategy(object.spec?.updateStrategy ?? {}),
  ];
}

function validateUpdateStrategy(strategy: Unchecked<DaemonSetUpdateStrategy>): FieldError[] {
  const path = "spec.updateStrategy";
  const { type, rollingUpdate } = strategy;
  if (type === "OnDelete") return [];
  if (type !== "RollingUpdate") return [notSupported(path, strategy, ["RollingUpdate", "OnDelete"])];
  if (rollingUpdate === undefined) return [required(`${path}.rollingUpdate`)];
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate;
  const [unavailable, surge] = [`${path}.rollingUpdate.maxUnavailable`, `${path}.rollingUpdate.maxSurge`];
  const errors = [
    ...validateAmount(maxUnavailable, unavailable),
    ...validateAmount(maxSurge, surge),
    ...validateShare(maxUnavailable, unavailable),
    ...validateShare(maxSurge, surge),
  ];
  const [noneUnavailable, noSurge] = [isZeroAmount(maxUnavailable), isZeroAmount(maxSurge)];
  if (!noneUnavailable && !noSurge)
    errors.push(invalid(surge, maxSurge, "may not be set when maxUnavailable is non-zero"));
  if (noneUnavailable && noSurge) errors.push(required(unavailable, "cannot be 0 when maxSurge is 0"));
  return errors;
}

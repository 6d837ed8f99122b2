/** Checks of Deployments (apps `ValidateDeploymentSpec`). */
import type { DeploymentSpec, DeploymentStrategy } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { validateImmutable } from "./immutable.ts";
import { isNothing, refuseOverAll, validateAmount, validateCounts } from "./pod-amount.ts";
import type { Unchecked } from "./unchecked.ts";
import { type Has, refuseEnding, validateSelected } from "./workloads.ts";

export function validateDeployment({ spec = {} }: Has<DeploymentSpec>): FieldError[] {
  const { strategy = {}, progressDeadlineSeconds: deadline, minReadySeconds = 0, template = {} } = spec;
  const errors = [
    ...validateCounts(spec, ["replicas"], "spec"),
    ...validateSelected(spec, { owner: "deployment", broken: "invalid label selector" }),
    ...refuseEnding(template, "ReplicaSet"),
    ...validateStrategy(strategy),
    ...validateCounts(spec, ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], "spec"),
  ];
  if (deadline === undefined || deadline > minReadySeconds) return errors;
  const why = "must be greater than minReadySeconds";
  return [...errors, invalid("spec.progressDeadlineSeconds", deadline, why)];
}

export function validateDeploymentUpdate(
  deployment: Has<DeploymentSpec>,
  before: Has<DeploymentSpec>,
): FieldError[] {
  return [
    ...validateDeployment(deployment),
    ...validateImmutable("spec.selector", deployment.spec?.selector, before.spec?.selector),
  ];
}

function validateStrategy(strategy: Unchecked<DeploymentStrategy>): FieldError[] {
  const { type, rollingUpdate } = strategy;
  const path = "spec.strategy";
  const field = `${path}.rollingUpdate`;
  if (type === "Recreate") {
    if (rollingUpdate === undefined) return [];
    return [forbidden(field, "may not be specified when strategy `type` is 'Recreate'")];
  }
  if (type !== "RollingUpdate") return [notSupported(path, strategy, ["Recreate", "RollingUpdate"])];
  if (rollingUpdate === undefined) return [required(field, "this should be defaulted and never be nil")];
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate;
  const errors = [
    ...validateAmount(maxUnavailable, `${field}.maxUnavailable`),
    ...validateAmount(maxSurge, `${field}.maxSurge`),
  ];
  if (isNothing(maxUnavailable) && isNothing(maxSurge)) {
    errors.push(invalid(`${field}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  return [...errors, ...refuseOverAll(maxUnavailable, `${field}.maxUnavailable`)];
}

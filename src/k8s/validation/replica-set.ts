/** Checks of ReplicaSets and ReplicationControllers (apps `ValidateReplicaSetSpec`, core `ValidateReplicationControllerSpec`). */
import type { ReplicaSetSpec, ReplicationControllerSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, required } from "../field-error.ts";
import { validateImmutable } from "./immutable.ts";
import { validateCounts } from "./pod-amount.ts";
import {
  type Has,
  mismatch,
  refuseEnding,
  selects,
  validateSelected,
  validateTemplate,
} from "./workloads.ts";

/** An empty selector is refused in the words that a Deployment's is: so the real server does. */
export function validateReplicaSet({ spec = {} }: Has<ReplicaSetSpec>): FieldError[] {
  return [
    ...validateCounts(spec, ["replicas", "minReadySeconds"], "spec"),
    ...validateSelected(spec, { owner: "deployment", broken: "invalid label selector" }),
    ...refuseEnding(spec.template ?? {}, "ReplicaSet"),
  ];
}

export function validateReplicaSetUpdate(
  set: Has<ReplicaSetSpec>,
  before: Has<ReplicaSetSpec>,
): FieldError[] {
  return [
    ...validateReplicaSet(set),
    ...validateImmutable("spec.selector", set.spec?.selector, before.spec?.selector),
  ];
}

/** Its selector may change. */
export function validateReplicationController({ spec = {} }: Has<ReplicationControllerSpec>): FieldError[] {
  const { selector = {}, template } = spec;
  const errors = validateCounts(spec, ["minReadySeconds", "replicas"], "spec");
  const isEmpty = Object.keys(selector).length === 0;
  if (isEmpty) errors.push(required("spec.selector"));
  if (template === undefined) return [...errors, required("spec.template")];
  const isFound = isEmpty || selects({ matchLabels: selector }, template.metadata?.labels) !== false;
  if (!isFound) errors.push(mismatch(template, "spec.template"));
  return [
    ...errors,
    ...validateTemplate(template, "spec.template"),
    ...refuseEnding(template, "ReplicationController"),
  ];
}

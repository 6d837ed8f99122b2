/** Checks of Pods when they are created, changed, or visited by ephemeral containers (core `validation.go`; rule O8). */
import type { Pod, PodSpec, Toleration } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach } from "../field-error.ts";
import { checkRange } from "../names.ts";
import { jsonEqual, withoutKey } from "../patch/json.ts";
import { validatePodSpec } from "./pod-spec.ts";
import { validateTolerations } from "./scheduling.ts";
import { describeDifference } from "./spec-difference.ts";
import type { Unchecked } from "./unchecked.ts";

type AnyPod = Unchecked<Pod>;
type Spec = Unchecked<PodSpec>;

const MAX_INT32 = 2 ** 31 - 1;
const UPDATABLE = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
];

function validateWhole({ metadata, spec = {} }: AnyPod): FieldError[] {
  const errors = validatePodSpec(spec, { path: "spec", isPod: true, podName: metadata?.name ?? "" });
  if (spec.serviceAccountName !== undefined && spec.serviceAccountName !== "") return errors;
  for (const [index, { projected }] of (spec.volumes ?? []).entries()) {
    for (const [nth, { serviceAccountToken }] of (projected?.sources ?? []).entries()) {
      if (serviceAccountToken === undefined) continue;
      const field = `spec.volumes[${index}].projected.sources[${nth}].serviceAccountToken`;
      errors.push(forbidden(field, "must not be specified when serviceAccountName is not set"));
    }
  }
  return errors;
}

export function validatePod(pod: AnyPod): FieldError[] {
  const { ephemeralContainers = [], nodeName = "", schedulingGates = [] } = pod.spec ?? {};
  const errors = validateWhole(pod);
  if (ephemeralContainers.length > 0) {
    errors.push(forbidden("spec.ephemeralContainers", "cannot be set on create"));
  }
  if (nodeName !== "" && schedulingGates.length > 0) {
    errors.push(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
  }
  return errors;
}

/** What may change: images, a shorter deadline, more tolerations, fewer gates. */
export function validatePodUpdate(pod: AnyPod, before: AnyPod): FieldError[] {
  const [spec, old] = [pod.spec ?? {}, before.spec ?? {}];
  const errors = validateWhole(pod);
  for (const list of ["containers", "initContainers"] as const) {
    if ((spec[list] ?? []).length !== (old[list] ?? []).length) {
      return [...errors, forbidden(`spec.${list}`, "pod updates may not add or remove containers")];
    }
  }
  errors.push(...validateDeadline(spec, old), ...validateAdditions(spec, old));
  const expected = withAllowedChanges(old, spec);
  if (jsonEqual(spec, expected)) return errors;
  const difference = describeDifference(expected, spec, "spec");
  return [
    ...errors,
    forbidden("spec", `pod updates may not change fields other than ${UPDATABLE.join(",")}\n${difference}`),
  ];
}

function validateDeadline(
  { activeDeadlineSeconds: value }: Spec,
  { activeDeadlineSeconds: old }: Spec,
): FieldError[] {
  const field = "spec.activeDeadlineSeconds";
  if (value === undefined) {
    return old === undefined
      ? []
      : [invalid(field, null, "must not update from a positive integer to nil value")];
  }
  const range = checkRange(value, 0, MAX_INT32);
  if (range.length > 0) return invalidEach(field, value, range);
  return old !== undefined && old < value
    ? [invalid(field, value, "must be less than or equal to previous value")]
    : [];
}

function validateAdditions(spec: Spec, old: Spec): FieldError[] {
  const { tolerations = [], schedulingGates = [] } = spec;
  const errors: FieldError[] = [];
  const bare = (one: Unchecked<Toleration>) => withoutKey({ ...one }, "tolerationSeconds");
  const missing = (old.tolerations ?? []).some(
    (one) => !tolerations.some((other) => jsonEqual(bare(one), bare(other))),
  );
  if (missing) {
    const message = "existing toleration can not be modified except its tolerationSeconds";
    errors.push(forbidden("spec.tolerations", message));
  } else errors.push(...validateTolerations(tolerations, "spec.tolerations"));
  const gates = new Set((old.schedulingGates ?? []).map(({ name }) => name));
  for (const [index, { name = "" }] of schedulingGates.entries()) {
    if (gates.has(name)) continue;
    const message = `only deletion is allowed, but found new scheduling gate '${name}'`;
    errors.push(forbidden(`spec.schedulingGates[${index}].name`, message));
  }
  return errors;
}

type Containers = Spec["containers"];

function withImages(old: Containers, wanted: Containers): Containers {
  return old?.map((container, index) => {
    const image = wanted?.[index]?.image;
    return image === undefined ? withoutKey({ ...container }, "image") : { ...container, image };
  });
}

/** The old specification with everything of the new one that may be changed. */
function withAllowedChanges(old: Spec, spec: Spec): Spec {
  const containers = withImages(old.containers, spec.containers);
  const initContainers = withImages(old.initContainers, spec.initContainers);
  const { activeDeadlineSeconds, tolerations, schedulingGates, terminationGracePeriodSeconds: grace } = spec;
  const { activeDeadlineSeconds: _, tolerations: __, schedulingGates: ___, ...rest } = old;
  const isGated = (old.schedulingGates ?? []).length > 0;
  return {
    ...rest,
    ...(containers === undefined ? {} : { containers }),
    ...(initContainers === undefined ? {} : { initContainers }),
    ...(activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds }),
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(schedulingGates === undefined ? {} : { schedulingGates }),
    ...((old.terminationGracePeriodSeconds ?? 0) < 0 && grace === 1
      ? { terminationGracePeriodSeconds: 1 }
      : {}),
    ...(isGated ? gatedNodeSelector(old, spec) : {}),
  };
}

/** A pod that waits at a gate may be narrowed down to fewer nodes. */
function gatedNodeSelector({ nodeSelector: old = {} }: Spec, { nodeSelector: wanted }: Spec): Spec {
  const grows = wanted !== undefined && Object.entries(old).every(([key, value]) => wanted[key] === value);
  return grows ? { nodeSelector: wanted } : {};
}

/** Only additions (rule EC1). */
export function validateEphemeralContainersUpdate(pod: AnyPod, before: AnyPod): FieldError[] {
  const [list, old] = [pod.spec?.ephemeralContainers ?? [], before.spec?.ephemeralContainers ?? []];
  const path = "spec.ephemeralContainers";
  const errors = validateWhole(pod);
  const byName = new Map(list.map((container) => [container.name, container]));
  for (const container of old) {
    const { name = "" } = container;
    const now = byName.get(name);
    if (now === undefined) {
      errors.push(forbidden(path, `existing ephemeral containers "${name}" may not be removed\n`));
    } else if (!jsonEqual(now, container)) {
      const difference = describeDifference(container, now, name);
      errors.push(
        forbidden(path, `existing ephemeral containers "${name}" may not be changed\n${difference}`),
      );
    }
  }
  return errors;
}

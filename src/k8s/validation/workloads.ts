/** Checks of everything that makes pods from a template (apps and batch `validation.go`). */
import type { LabelSelector, PodTemplateSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { SelectorError } from "../label-requirement.ts";
import { jsonEqual } from "../patch/json.ts";
import { labelSelectorOf } from "../selectors.ts";
import { validateAnnotations, validateLabels, validateLabelSelector } from "./labels.ts";
import { validatePodSpec } from "./pod-spec.ts";
import type { Unchecked } from "./unchecked.ts";

type Template = Unchecked<PodTemplateSpec>;

export function validateTemplate(template: Template, path: string): FieldError[] {
  const { metadata = {}, spec = {} } = template;
  return [
    ...validateLabels(metadata.labels, `${path}.metadata.labels`),
    ...validateAnnotations(metadata.annotations, `${path}.metadata.annotations`),
    ...validatePodSpec(spec, { path: `${path}.spec`, isPod: false, podName: "" }),
  ];
}

/** An object with a specification of this shape. */
export interface Has<Spec> {
  readonly kind?: string;
  readonly spec?: Spec;
}

/** What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common. */
export interface ReplicatedSpec {
  readonly replicas?: number;
  readonly minReadySeconds?: number;
  readonly revisionHistoryLimit?: number;
  readonly progressDeadlineSeconds?: number;
  readonly selector?: LabelSelector;
  readonly template?: Template;
}

const COUNTS = ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] as const;

/** Upstream's Deployments name the ReplicaSet whose checks theirs are, and the other way round. */
const NAMED_FOR_EMPTY = { ReplicaSet: "deployment", StatefulSet: "statefulset", DaemonSet: "daemonset" };
type Kind = keyof typeof NAMED_FOR_EMPTY;

/** By path; what is absent is fine. */
export function validateNonNegative(values: Readonly<Record<string, number | undefined>>): FieldError[] {
  return Object.entries(values).flatMap(([path, value = 0]) =>
    value < 0 ? [invalid(path, value, "must be greater than or equal to 0")] : [],
  );
}

export function validateReplicated(
  { spec = {} }: Has<ReplicatedSpec>,
  kind: Kind = "ReplicaSet",
): FieldError[] {
  const { selector, template = {} } = spec;
  const errors: FieldError[] = [];
  for (const name of COUNTS) errors.push(...validateNonNegative({ [`spec.${name}`]: spec[name] }));
  if (selector === undefined) errors.push(required("spec.selector"));
  else errors.push(...validateSelector(selector, template, NAMED_FOR_EMPTY[kind]));
  errors.push(...validateTemplate(template, "spec.template"));
  const policy = template.spec?.restartPolicy ?? "Always";
  if (policy !== "Always") errors.push(notSupported("spec.template.spec.restartPolicy", policy, ["Always"]));
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    const field = "spec.template.spec.activeDeadlineSeconds";
    errors.push(forbidden(field, `activeDeadlineSeconds in ${kind} is not Supported`));
  }
  return errors;
}

/** A selector that is empty or misses the template's own pods would make pods for ever. */
function validateSelector(selector: LabelSelector, template: Template, kind: string): FieldError[] {
  const errors = validateLabelSelector(selector, "spec.selector");
  if (errors.length > 0) return errors;
  const isEmpty =
    Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
  if (isEmpty) return [invalid("spec.selector", selector, `empty selector is invalid for ${kind}`)];
  const labels = template.metadata?.labels ?? {};
  try {
    if (labelSelectorOf(selector).matches(labels)) return [];
    return [invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")];
  } catch (error) {
    if (error instanceof SelectorError) return [invalid("spec.selector", selector, "invalid label selector")];
    throw error;
  }
}

export function validateReplicatedUpdate(
  object: Has<ReplicatedSpec>,
  before: Has<ReplicatedSpec>,
  kind: Kind = "ReplicaSet",
): FieldError[] {
  const { selector } = object.spec ?? {};
  const errors = validateReplicated(object, kind);
  if (jsonEqual(selector, before.spec?.selector)) return errors;
  return [...errors, invalid("spec.selector", selector ?? null, "field is immutable")];
}

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
interface Has<Spec> {
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

export function validateReplicated({ spec = {} }: Has<ReplicatedSpec>): FieldError[] {
  const { selector, template = {} } = spec;
  const errors: FieldError[] = [];
  for (const name of COUNTS) {
    const value = spec[name] ?? 0;
    if (value < 0) errors.push(invalid(`spec.${name}`, value, "must be greater than or equal to 0"));
  }
  if (selector === undefined) errors.push(required("spec.selector"));
  else errors.push(...validateSelector(selector, template));
  errors.push(...validateTemplate(template, "spec.template"));
  const policy = template.spec?.restartPolicy ?? "Always";
  if (policy !== "Always") errors.push(notSupported("spec.template.spec.restartPolicy", policy, ["Always"]));
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    const field = "spec.template.spec.activeDeadlineSeconds";
    errors.push(forbidden(field, "activeDeadlineSeconds in ReplicaSet is not Supported"));
  }
  return errors;
}

/** A selector that is empty or misses the template's own pods would make pods for ever. */
function validateSelector(selector: LabelSelector, template: Template): FieldError[] {
  const errors = validateLabelSelector(selector, "spec.selector");
  if (errors.length > 0) return errors;
  const isEmpty =
    Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
  if (isEmpty) return [invalid("spec.selector", selector, "empty selector is invalid for deployment")];
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
): FieldError[] {
  const { selector } = object.spec ?? {};
  const errors = validateReplicated(object);
  if (jsonEqual(selector, before.spec?.selector)) return errors;
  return [...errors, invalid("spec.selector", selector ?? null, "field is immutable")];
}

export interface JobSpec {
  readonly parallelism?: number;
  readonly completions?: number;
  readonly backoffLimit?: number;
  readonly activeDeadlineSeconds?: number;
  readonly ttlSecondsAfterFinished?: number;
  readonly completionMode?: string;
  readonly template?: Template;
}

const JOB_COUNTS = [
  "parallelism",
  "completions",
  "backoffLimit",
  "activeDeadlineSeconds",
  "ttlSecondsAfterFinished",
] as const;

export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  const { template = {}, completionMode = "NonIndexed" } = spec;
  const errors: FieldError[] = [];
  for (const name of JOB_COUNTS) {
    const value = spec[name] ?? 0;
    if (value < 0) errors.push(invalid(`${path}.${name}`, value, "must be greater than or equal to 0"));
  }
  if (completionMode !== "NonIndexed" && completionMode !== "Indexed") {
    errors.push(notSupported(`${path}.completionMode`, completionMode, ["Indexed", "NonIndexed"]));
  }
  if (completionMode === "Indexed" && spec.completions === undefined) {
    errors.push(required(`${path}.completions`, "when completion mode is Indexed"));
  }
  errors.push(...validateTemplate(template, `${path}.template`));
  const policy = template.spec?.restartPolicy ?? "";
  if (policy !== "OnFailure" && policy !== "Never") {
    const field = `${path}.template.spec.restartPolicy`;
    const valid = ["OnFailure", "Never"];
    errors.push(
      policy === "" || policy === "Always"
        ? requiredPolicy(field, valid)
        : notSupported(field, policy, valid),
    );
  }
  return errors;
}

/** `Always` is what defaulting leaves when nothing was said: Kubernetes asks for a value then. */
function requiredPolicy(field: string, valid: readonly string[]): FieldError {
  return required(field, `valid values: ${valid.map((value) => `"${value}"`).join(", ")}`);
}

export function validateJobUpdate({ spec = {} }: Has<JobSpec>, before: Has<JobSpec>): FieldError[] {
  const errors = validateJobSpec(spec, "spec");
  if (jsonEqual(spec.template, before.spec?.template)) return errors;
  return [...errors, invalid("spec.template", spec.template ?? null, "field is immutable")];
}

export interface CronJobSpec {
  readonly schedule?: string;
  readonly concurrencyPolicy?: string;
  readonly timeZone?: string;
  readonly startingDeadlineSeconds?: number;
  readonly jobTemplate?: { readonly spec?: JobSpec };
}

const CONCURRENCY = ["Allow", "Forbid", "Replace"];

export function validateCronJob({ spec = {} }: Has<CronJobSpec>): FieldError[] {
  const { schedule = "", concurrencyPolicy = "", timeZone, startingDeadlineSeconds = 0, jobTemplate } = spec;
  const errors: FieldError[] = [];
  if (schedule === "") errors.push(required("spec.schedule"));
  else if (/TZ=/.test(schedule)) {
    errors.push(
      invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    );
  }
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    errors.push(invalid("spec.timeZone", timeZone, `unknown time zone ${timeZone}`));
  }
  if (startingDeadlineSeconds < 0) {
    errors.push(
      invalid("spec.startingDeadlineSeconds", startingDeadlineSeconds, "must be greater than or equal to 0"),
    );
  }
  if (!CONCURRENCY.includes(concurrencyPolicy)) {
    errors.push(notSupported("spec.concurrencyPolicy", concurrencyPolicy, CONCURRENCY));
  }
  return [...errors, ...validateJobSpec(jobTemplate?.spec ?? {}, "spec.jobTemplate.spec")];
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

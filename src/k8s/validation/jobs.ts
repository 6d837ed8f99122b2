/** Checks of Jobs (`pkg/apis/batch/validation`). */
import type { JobSpec, ObjectMeta } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, notSupported, required, tooLong } from "../field-error.ts";
import { CONTROLLER_UID, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME } from "../generated-selector.ts";
import { byteLength, checkDns1123Label } from "../names.ts";
import { validateDomainPath } from "./domain-path.ts";
import { validatePodFailurePolicy, validateSuccessPolicy } from "./job-policies.ts";
import { validateLabelSelector } from "./labels.ts";
import { validateCounts } from "./pod-amount.ts";
import type { Unchecked } from "./unchecked.ts";
import { mismatch, selects, validateTemplate } from "./workloads.ts";

export type AnyJobSpec = Unchecked<JobSpec>;

export interface AnyJob {
  readonly metadata?: ObjectMeta;
  readonly spec?: AnyJobSpec;
  readonly status?: unknown;
}

const COUNTS = [
  "parallelism",
  "completions",
  "activeDeadlineSeconds",
  "backoffLimit",
  "ttlSecondsAfterFinished",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;
const LONGEST_MANAGER = 63;
const MOST_PARALLEL = 100_000;
const MOST_FAILED = 100_000;
/** With more completions than `MOST_PARALLEL` and limits per index, so that the status stays small. */
const MOST_OF_MANY = 10_000;
const NEVER = "Never";

export function validateJob({ metadata = {}, spec = {} }: AnyJob): FieldError[] {
  const { name = "" } = metadata;
  const { completions = 0 } = spec;
  const errors = [...validateGeneratedSelector(metadata, spec), ...validateJobSpec(spec, "spec")];
  if (spec.completionMode !== "Indexed" || completions <= 0) return errors;
  const hostname = `${name}-${completions - 1}`;
  if (checkDns1123Label(hostname).length === 0) return errors;
  const why = `will not able to create pod with invalid DNS label: ${hostname}`;
  return [...errors, invalid("metadata.name", name, why)];
}

/** Without `manualSelector` nobody but the server may choose these labels. */
function validateGeneratedSelector({ name = "", uid = "" }: ObjectMeta, spec: AnyJobSpec): FieldError[] {
  const { selector, manualSelector = false, template } = spec;
  if (manualSelector || selector === undefined) return [];
  const errors: FieldError[] = uid === "" ? [required("metadata.uid")] : [];
  const expected = {
    [LEGACY_CONTROLLER_UID]: uid,
    [LEGACY_JOB_NAME]: name,
    [CONTROLLER_UID]: uid,
    [JOB_NAME]: name,
  };
  const labels = template?.metadata?.labels ?? {};
  for (const [key, value] of Object.entries(expected)) {
    const field = `spec.template.metadata.labels[${key}]`;
    if (!Object.hasOwn(labels, key)) errors.push(required(field, `must be '${value}'`));
    else if (labels[key] !== value) errors.push(invalid(field, labels, `must be '${value}'`));
  }
  if (selects(selector, expected) === false) {
    errors.push(invalid("spec.selector", selector, "`selector` not auto-generated"));
  }
  return errors;
}

/** With its selector, as a stored Job has it. */
export function validateJobSpec(spec: AnyJobSpec, path: string): FieldError[] {
  const { selector, template } = spec;
  const errors = validateUnselected(spec, path);
  if (selector === undefined) return [...errors, required(`${path}.selector`)];
  errors.push(...validateLabelSelector(selector, `${path}.selector`));
  if (selects(selector, template?.metadata?.labels) !== false) return errors;
  return [...errors, mismatch(template ?? {}, `${path}.template`)];
}

/** For a CronJob's template, which gets its selector when the Job is made. */
export function validateJobTemplateSpec(spec: AnyJobSpec, path: string): FieldError[] {
  const errors = validateUnselected(spec, path);
  if (spec.selector !== undefined) {
    errors.push(invalid(`${path}.selector`, spec.selector, "`selector` will be auto-generated"));
  }
  if (spec.manualSelector === true) {
    errors.push(notSupported(`${path}.manualSelector`, true, ["nil", "false"]));
  }
  return errors;
}

function validateUnselected(spec: AnyJobSpec, path: string): FieldError[] {
  const errors = validateCounts(spec, COUNTS, path);
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    errors.push(required(`${path}.backoffLimitPerIndex`, "when maxFailedIndexes is specified"));
  }
  if (spec.managedBy !== undefined) errors.push(...validateManager(spec.managedBy, `${path}.managedBy`));
  errors.push(...validateMode(spec, path));
  if (spec.podFailurePolicy !== undefined) errors.push(...validatePodFailurePolicy(spec, path));
  if (spec.successPolicy !== undefined) errors.push(...validateSuccessPolicy(spec, path));
  return [
    ...errors,
    ...validateReplacement(spec, `${path}.podReplacementPolicy`),
    ...validateTemplate(spec.template ?? {}, `${path}.template`),
    ...validateRestartPolicy(spec, `${path}.template.spec.restartPolicy`),
  ];
}

function validateManager(name: string, field: string): FieldError[] {
  const errors = validateDomainPath(name, field);
  return byteLength(name) > LONGEST_MANAGER ? [...errors, tooLong(field, LONGEST_MANAGER)] : errors;
}

function validateMode(spec: AnyJobSpec, path: string): FieldError[] {
  const { completionMode = "NonIndexed" } = spec;
  const errors: FieldError[] = [];
  if (completionMode === "Indexed") return validateIndexed(spec, path);
  if (completionMode !== "NonIndexed") {
    errors.push(notSupported(`${path}.completionMode`, completionMode, ["Indexed", "NonIndexed"]));
    return errors;
  }
  for (const name of ["backoffLimitPerIndex", "maxFailedIndexes"] as const) {
    const value = spec[name];
    if (value !== undefined) {
      errors.push(invalid(`${path}.${name}`, value, "requires indexed completion mode"));
    }
  }
  return errors;
}

function validateIndexed(spec: AnyJobSpec, path: string): FieldError[] {
  const { completions, parallelism = 0, maxFailedIndexes } = spec;
  const errors: FieldError[] = [];
  const limit = (name: "parallelism" | "maxFailedIndexes", why: string) =>
    errors.push(invalid(`${path}.${name}`, spec[name], why));
  if (completions === undefined) {
    errors.push(required(`${path}.completions`, "when completion mode is Indexed"));
  }
  if (parallelism > MOST_PARALLEL) {
    limit("parallelism", `must be less than or equal to ${MOST_PARALLEL} when completion mode is Indexed`);
  }
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions) {
    limit("maxFailedIndexes", "must be less than or equal to completions");
  }
  if (maxFailedIndexes !== undefined && maxFailedIndexes > MOST_FAILED) {
    limit("maxFailedIndexes", `must be less than or equal to ${MOST_FAILED}`);
  }
  if ((completions ?? 0) <= MOST_PARALLEL || spec.backoffLimitPerIndex === undefined) return errors;
  const why = `must be less than or equal to ${MOST_OF_MANY} when completions are above ${MOST_PARALLEL} and used with backoff limit per index`;
  if (maxFailedIndexes === undefined) {
    const detail = `must be specified when completions is above ${MOST_PARALLEL}`;
    errors.push(required(`${path}.maxFailedIndexes`, detail));
  } else if (maxFailedIndexes > MOST_OF_MANY) limit("maxFailedIndexes", why);
  if (parallelism > MOST_OF_MANY) limit("parallelism", why);
  return errors;
}

function validateReplacement(
  { podReplacementPolicy, podFailurePolicy }: AnyJobSpec,
  field: string,
): FieldError[] {
  if (podReplacementPolicy === undefined) return [];
  const valid = podFailurePolicy === undefined ? ["Failed", "TerminatingOrFailed"] : ["Failed"];
  return valid.includes(podReplacementPolicy) ? [] : [notSupported(field, podReplacementPolicy, valid)];
}

/** `Always` is what defaulting leaves when nothing was said: Kubernetes asks for a value then. */
function validateRestartPolicy(spec: AnyJobSpec, field: string): FieldError[] {
  const policy = spec.template?.spec?.restartPolicy ?? "";
  const errors: FieldError[] = [];
  if (policy === "" || policy === "Always") {
    errors.push(required(field, 'valid values: "OnFailure", "Never"'));
  } else if (policy !== "OnFailure" && policy !== NEVER) {
    errors.push(notSupported(field, policy, ["OnFailure", NEVER]));
  }
  for (const name of ["podFailurePolicy", "backoffLimitPerIndex"] as const) {
    if (spec[name] === undefined || policy === NEVER) continue;
    errors.push(invalid(field, policy, `only "${NEVER}" is supported when ${name} is specified`));
  }
  return errors;
}

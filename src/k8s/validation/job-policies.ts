/** Checks of a Job's podFailurePolicy and successPolicy (`validatePodFailurePolicy`, `validateSuccessPolicy`). */
import type {
  JobSpec,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyOnPodConditionsPattern,
  PodFailurePolicyRule,
  SuccessPolicyRule,
} from "../../../generated/kubernetes.ts";
import {
  duplicate,
  type FieldError,
  invalid,
  invalidEach,
  required,
  tooLong,
  tooMany,
} from "../field-error.ts";
import { checkIndexes } from "../job-indexes.ts";
import { byteLength, checkQualifiedName } from "../names.ts";
import { allowOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

type AnyJobSpec = Unchecked<JobSpec>;

const MOST_RULES = 20;
const MOST_EXIT_CODES = 255;
const LONGEST_INDEXES = 64 * 1024;
const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS = ["In", "NotIn"];
const STATUSES = ["False", "True", "Unknown"];

/** `path` is that of the Job's specification. */
export function validatePodFailurePolicy(spec: AnyJobSpec, path: string): FieldError[] {
  const field = `${path}.podFailurePolicy.rules`;
  const rules = spec.podFailurePolicy?.rules ?? [];
  if (rules.length > MOST_RULES) return [tooMany(field, rules.length, MOST_RULES)];
  const { containers = [], initContainers = [] } = spec.template?.spec ?? {};
  const names = new Set([...containers, ...initContainers].map(({ name = "" }) => name));
  const hasLimit = spec.backoffLimitPerIndex !== undefined;
  return rules.flatMap((rule, index) => validateRule(rule, { field: `${field}[${index}]`, names, hasLimit }));
}

interface RuleContext {
  readonly field: string;
  /** Of the template's containers. */
  readonly names: ReadonlySet<string>;
  readonly hasLimit: boolean;
}

function validateRule(rule: Unchecked<PodFailurePolicyRule>, { field, names, hasLimit }: RuleContext) {
  const { action = "", onExitCodes, onPodConditions = [] } = rule;
  const errors = oneOf(action, ACTIONS, `${field}.action`);
  if (action === "FailIndex" && !hasLimit) {
    errors.push(invalid(`${field}.action`, action, "requires the backoffLimitPerIndex to be set"));
  }
  if (onExitCodes !== undefined)
    errors.push(...validateExitCodes(onExitCodes, `${field}.onExitCodes`, names));
  if (onPodConditions.length > MOST_RULES) {
    errors.push(tooMany(`${field}.onPodConditions`, onPodConditions.length, MOST_RULES));
  } else {
    errors.push(
      ...onPodConditions.flatMap((one, index) => validatePattern(one, `${field}.onPodConditions[${index}]`)),
    );
  }
  const hasConditions = onPodConditions.length > 0;
  if (onExitCodes !== undefined && hasConditions) {
    errors.push(wrong(field, "specifying both OnExitCodes and OnPodConditions is not supported"));
  }
  if (onExitCodes === undefined && !hasConditions) {
    errors.push(wrong(field, "specifying one of OnExitCodes and OnPodConditions is required"));
  }
  return errors;
}

/** `field.Invalid` with `OmitValueType`. */
function wrong(field: string, detail: string): FieldError {
  return { type: "FieldValueInvalid", field, body: `Invalid value: ${detail}` };
}

function oneOf(value: string, valid: readonly string[], field: string): FieldError[] {
  if (value === "") {
    return [required(field, `valid values: ${valid.map((one) => `"${one}"`).join(", ")}`)];
  }
  return allowOneOf(value, valid, field);
}

function validateExitCodes(
  { operator = "", containerName, values = [] }: Unchecked<PodFailurePolicyOnExitCodesRequirement>,
  field: string,
  names: ReadonlySet<string>,
): FieldError[] {
  const errors = oneOf(operator, OPERATORS, `${field}.operator`);
  if (containerName !== undefined && !names.has(containerName)) {
    const why = "must be one of the container or initContainer names in the pod template";
    errors.push(invalid(`${field}.containerName`, containerName, why));
  }
  if (values.length === 0) {
    errors.push(invalid(`${field}.values`, values, "at least one value is required"));
  } else if (values.length > MOST_EXIT_CODES) {
    errors.push(tooMany(`${field}.values`, values.length, MOST_EXIT_CODES));
  }
  const seen = new Set<number>();
  for (const [index, value] of values.entries()) {
    const at = `${field}.values[${index}]`;
    if (seen.has(value)) errors.push(duplicate(at, value));
    else if (value === 0 && operator === "In") {
      errors.push(invalid(at, value, "must not be 0 for the In operator"));
    }
    seen.add(value);
  }
  if (values.some((value, index) => index > 0 && value < (values[index - 1] ?? value))) {
    errors.push(invalid(`${field}.values`, values, "must be ordered"));
  }
  return errors;
}

function validatePattern(
  { type = "", status = "" }: Unchecked<PodFailurePolicyOnPodConditionsPattern>,
  field: string,
): FieldError[] {
  return [
    ...invalidEach(`${field}.type`, type, checkQualifiedName(type)),
    ...oneOf(status, STATUSES, `${field}.status`),
  ];
}

/** `path` is that of the Job's specification. */
export function validateSuccessPolicy(spec: AnyJobSpec, path: string): FieldError[] {
  const { successPolicy, completionMode = "NonIndexed", completions = 0 } = spec;
  if (completionMode !== "Indexed") {
    return [invalid(`${path}.successPolicy`, successPolicy, "requires indexed completion mode")];
  }
  const field = `${path}.successPolicy.rules`;
  const rules = successPolicy?.rules ?? [];
  if (rules.length === 0) {
    return [required(field, "at least one rules must be specified when the successPolicy is specified")];
  }
  if (rules.length > MOST_RULES) return [tooMany(field, rules.length, MOST_RULES)];
  return rules.flatMap((rule, index) => validateSuccessRule(rule, `${field}[${index}]`, completions));
}

function validateSuccessRule(
  { succeededCount: count, succeededIndexes: indexes }: Unchecked<SuccessPolicyRule>,
  field: string,
  completions: number,
): FieldError[] {
  if (count === undefined && indexes === undefined) {
    return [required(field, "at least one of succeededCount or succeededIndexes must be specified")];
  }
  const errors: FieldError[] = [];
  let total: number | undefined;
  if (indexes !== undefined) {
    const at = `${field}.succeededIndexes`;
    if (byteLength(indexes) > LONGEST_INDEXES) errors.push(tooLong(at, LONGEST_INDEXES));
    const checked = checkIndexes(indexes, completions);
    if (checked.ok) total = checked.total;
    else errors.push(invalid(at, indexes, `error parsing succeededIndexes: ${checked.why}`));
  }
  if (count === undefined) return errors;
  const at = `${field}.succeededCount`;
  if (count < 0) errors.push(invalid(at, count, "must be greater than or equal to 0"));
  if (count > completions) {
    const why = `must be less than or equal to ${completions} (the number of specified completions)`;
    errors.push(invalid(at, count, why));
  }
  if (total !== undefined && count > total) {
    const why = `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`;
    errors.push(invalid(at, count, why));
  }
  return errors;
}

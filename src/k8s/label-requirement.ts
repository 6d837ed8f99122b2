/** One condition on labels, and when labels fulfil it (apimachinery `labels.Requirement`). */
import { type FieldError, formatFieldErrors, invalid } from "./field-error.ts";
import { checkLabelValue, checkQualifiedName } from "./names.ts";

export type LabelOperator = "in" | "notin" | "=" | "==" | "!=" | "gt" | "lt" | "exists" | "!";

export type Labels = Readonly<Record<string, string>>;

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted, without doubles. */
  readonly values: readonly string[];
}

/** The selector cannot be understood; the API answers BadRequest with this message. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

const INT64_MAX = (1n << 63n) - 1n;

function parseInt64(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  return value > INT64_MAX || value < -INT64_MAX - 1n ? undefined : value;
}

/** Throws `SelectorError`; `path` is where the key stands, for the message. */
export function validateLabelKey(key: string, path: string): void {
  const wrong = checkQualifiedName(key);
  if (wrong.length > 0) throw new SelectorError(formatFieldErrors([invalid(path, key, wrong.join("; "))]));
}

function checkCount({ operator, values }: LabelRequirement): FieldError[] {
  switch (operator) {
    case "in":
    case "notin":
      if (values.length > 0) return [];
      return [invalid("values", values, "for 'in', 'notin' operators, values set can't be empty")];
    case "=":
    case "==":
    case "!=":
      if (values.length === 1) return [];
      return [invalid("values", values, "exact-match compatibility requires one single value")];
    case "exists":
    case "!":
      if (values.length === 0) return [];
      return [invalid("values", values, "values set must be empty for exists and does not exist")];
    case "gt":
    case "lt":
    default:
      return values.flatMap((value, index) =>
        parseInt64(value) === undefined
          ? [invalid(`values[${index}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer")]
          : [],
      );
  }
}

/** `labels.NewRequirement`. Throws `SelectorError` with every fault. */
export function labelRequirement(requirement: LabelRequirement): LabelRequirement {
  const { key, values } = requirement;
  validateLabelKey(key, "key");
  const errors = checkCount(requirement);
  for (const [index, value] of values.entries()) {
    const wrong = checkLabelValue(value);
    if (wrong.length > 0) errors.push(invalid(`values[${index}][${key}]`, value, wrong.join("; ")));
  }
  if (errors.length > 0) throw new SelectorError(formatFieldErrors(errors));
  return requirement;
}

function compareNumbers(label: string, { operator, values }: LabelRequirement): boolean {
  const [actual, wanted] = [parseInt64(label), parseInt64(values[0] ?? "")];
  if (actual === undefined || wanted === undefined) return false;
  return operator === "gt" ? actual > wanted : actual < wanted;
}

/** `Requirement.Matches`: what forbids something is also met by labels that lack the key. */
export function fulfils(labels: Labels, requirement: LabelRequirement): boolean {
  const { key, operator, values } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "in":
    case "=":
    case "==":
      return value !== undefined && values.includes(value);
    case "notin":
    case "!=":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt":
    default:
      return value !== undefined && compareNumbers(value, requirement);
  }
}

const INFIX: Readonly<Record<LabelOperator, string>> = {
  in: " in ",
  notin: " notin ",
  "=": "=",
  "==": "==",
  "!=": "!=",
  gt: ">",
  lt: "<",
  exists: "",
  "!": "",
};

/** As kubectl and the SELECTOR columns print it. */
export function formatRequirement({ key, operator, values }: LabelRequirement): string {
  if (operator === "!") return `!${key}`;
  if (operator === "exists") return key;
  const list = values.join(",");
  return `${key}${INFIX[operator]}${operator === "in" || operator === "notin" ? `(${list})` : list}`;
}

/** Checks of labels, selectors and annotations, wherever they stand (meta `v1/validation`). */
import type { LabelSelector } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required, tooLong } from "../field-error.ts";
import { byteLength, checkLabelValue, checkQualifiedName } from "../names.ts";
import type { Unchecked } from "./unchecked.ts";

const MAX_ANNOTATION_BYTES = 256 * 1024;

type Labels = Readonly<Record<string, string>>;

export function validateLabels(labels: Labels | undefined, path: string): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...invalidEach(path, key, checkQualifiedName(key)),
    ...invalidEach(path, value, checkLabelValue(value)),
  ]);
}

/** Keys are qualified names whatever their case; values are free; all together at most 256 KiB. */
export function validateAnnotations(annotations: Labels | undefined, path: string): FieldError[] {
  const pairs = Object.entries(annotations ?? {});
  const errors = pairs.flatMap(([key]) => invalidEach(path, key, checkQualifiedName(key.toLowerCase())));
  const size = pairs.reduce((sum, [key, value]) => sum + byteLength(key) + byteLength(value), 0);
  return size > MAX_ANNOTATION_BYTES ? [...errors, tooLong(path, MAX_ANNOTATION_BYTES)] : errors;
}

export function validateLabelSelector(
  selector: Unchecked<LabelSelector> | undefined,
  path: string,
): FieldError[] {
  const expressions = (selector?.matchExpressions ?? []).flatMap((expression, index) =>
    validateExpression(expression, `${path}.matchExpressions[${index}]`),
  );
  return [...validateLabels(selector?.matchLabels, `${path}.matchLabels`), ...expressions];
}

type Expression = NonNullable<Unchecked<LabelSelector>["matchExpressions"]>[number];

function validateExpression(
  { key = "", operator = "", values = [] }: Expression,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) {
      errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (operator === "Exists" || operator === "DoesNotExist") {
    if (values.length > 0) {
      errors.push(
        forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
      );
    }
  } else errors.push(invalid(`${path}.operator`, operator, "not a valid selector operator"));
  errors.push(...invalidEach(`${path}.key`, key, checkQualifiedName(key)));
  for (const [index, value] of values.entries()) {
    errors.push(...invalidEach(`${path}.values[${index}]`, value, checkLabelValue(value)));
  }
  return errors;
}

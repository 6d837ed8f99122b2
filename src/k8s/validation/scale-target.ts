/** Checks of references to what an autoscaler scales or looks at (autoscaling `ValidateCrossVersionObjectReference`). */
import type { CrossVersionObjectReference } from "../../../generated/kubernetes.ts";
import { type FieldError, invalidEach, required } from "../field-error.ts";
import { checkPathSegment } from "../names.ts";
import type { Unchecked } from "./unchecked.ts";

export function validateScaleTarget(
  { kind = "", name = "" }: Unchecked<CrossVersionObjectReference>,
  path: string,
): FieldError[] {
  return Object.entries({ kind, name }).flatMap(([field, value]) => {
    const at = `${path}.${field}`;
    return value === "" ? [required(at)] : invalidEach(at, value, checkPathSegment(value));
  });
}

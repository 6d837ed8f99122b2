/** Checks of "so many pods, or so many percent of them" (apps `ValidatePositiveIntOrPercent` and its like). */
import { type FieldError, invalid, invalidEach } from "../field-error.ts";
import type { IntOrString } from "../int-or-string.ts";
import { checkPercent } from "../names.ts";

const NEGATIVE = "must be greater than or equal to 0";

export function validateAmount(value: IntOrString, field: string): FieldError[] {
  if (typeof value === "string") return invalidEach(field, value, checkPercent(value));
  return value < 0 ? [invalid(field, value, NEGATIVE)] : [];
}

/** `IsNotMoreThan100Percent`: a number may be as high as it likes. */
export function refuseOverAll(value: IntOrString, field: string): FieldError[] {
  const isOver = typeof value === "string" && checkPercent(value).length === 0 && numberIn(value) > 100;
  return isOver ? [invalid(field, value, "must not be greater than 100%")] : [];
}

/** `getIntOrPercentValue` is nothing; so is text that is no number. */
export function isNothing(value: IntOrString): boolean {
  return numberIn(value) === 0;
}

function numberIn(value: IntOrString): number {
  if (typeof value === "number") return value;
  return /^\d+%?$/.test(value) ? Number.parseInt(value, 10) : 0;
}

/** Numbers of a specification that may be absent but not negative (`ValidateNonnegativeField`). */
export function validateCounts<Name extends string>(
  spec: { readonly [Key in Name]?: number | undefined },
  names: readonly Name[],
  path: string,
): FieldError[] {
  return names.flatMap((name) => {
    const value = spec[name] ?? 0;
    return value < 0 ? [invalid(`${path}.${name}`, value, NEGATIVE)] : [];
  });
}

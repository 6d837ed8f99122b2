/** Checks of values that are one of a few. */
import { type FieldError, notSupported, required } from "../field-error.ts";

/** Of a field that has to be there; empty is absent. `supported` is printed in its order. */
export function requireOneOf(
  value: string | undefined,
  supported: readonly string[],
  field: string,
): FieldError[] {
  return value === undefined || value === "" ? [required(field)] : allowOneOf(value, supported, field);
}

/** Of a field that may be absent; empty is a value. */
export function allowOneOf(
  value: string | undefined,
  supported: readonly string[],
  field: string,
): FieldError[] {
  return value === undefined || supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

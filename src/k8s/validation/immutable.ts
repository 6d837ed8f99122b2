/** What stays as it was made (`ValidateImmutableField`). */
import { type FieldError, invalid } from "../field-error.ts";
import { jsonEqual } from "../patch/json.ts";

const IMMUTABLE = "field is immutable";

/** Absent on both sides is the same. */
export function validateImmutable(field: string, value: unknown, before: unknown): FieldError[] {
  return jsonEqual(value, before) ? [] : [invalid(field, value ?? null, IMMUTABLE)];
}

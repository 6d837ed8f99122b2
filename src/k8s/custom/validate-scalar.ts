/** Bounds of the strings and numbers of a custom resource, in the words of kube-openapi's validation. */
import { compileLinear, type LinearRegex, PatternError } from "../../lib/linear-regex.ts";
import { type FieldError, invalid, tooLong } from "../field-error.ts";
import type { CustomSchema } from "./custom-schema.ts";

export function validateString(value: string, path: string, schema: CustomSchema): FieldError[] {
  const { minLength = 0, maxLength, pattern } = schema;
  const length = Array.from(value).length; // Code points, as Go counts runes.
  const errors: FieldError[] = [];
  if (maxLength !== undefined && length > maxLength) errors.push(tooLong(path, maxLength));
  if (length < minLength) {
    errors.push(invalid(path, value, `${path} in body should be at least ${minLength} chars long`));
  }
  if (pattern !== undefined && pattern !== "" && !compiled(pattern).test(value)) {
    errors.push(invalid(path, value, `${path} in body should match '${pattern}'`));
  }
  return errors;
}

export function validateNumber(value: number, path: string, schema: CustomSchema): FieldError[] {
  const { minimum, maximum, multipleOf } = schema;
  const says = (what: string) => invalid(path, value, `${path} in body should be ${what}`);
  const errors: FieldError[] = [];
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true ? value >= maximum : value > maximum) {
      errors.push(says(`less than ${schema.exclusiveMaximum === true ? "" : "or equal to "}${maximum}`));
    }
  }
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true ? value <= minimum : value < minimum) {
      errors.push(says(`greater than ${schema.exclusiveMinimum === true ? "" : "or equal to "}${minimum}`));
    }
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    errors.push(says(`a multiple of ${multipleOf}`));
  }
  return errors;
}

/** What the engine says against a pattern of a schema; undefined for a good one. */
export function patternProblem(pattern: string): string | undefined {
  try {
    compiled(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}

const MAX_COMPILED = 1_000;
const patterns = new Map<string, LinearRegex>();

/** Go's regular expressions, as the real server's. Throws `PatternError`. */
function compiled(pattern: string): LinearRegex {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  const regex = compileLinear(pattern);
  if (patterns.size >= MAX_COMPILED) patterns.clear();
  patterns.set(pattern, regex);
  return regex;
}

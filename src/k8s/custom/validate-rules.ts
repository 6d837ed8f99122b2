/** Holds a custom resource against the CEL rules of its schema (`x-kubernetes-validations`). */
import type { FieldError } from "../field-error.ts";
import type { KubeObject } from "../object.ts";
import type { CustomSchema } from "./custom-schema.ts";

export interface RuleCheck {
  readonly object: KubeObject;
  /** What was stored, for updates. */
  readonly before: KubeObject | undefined;
  readonly schema: CustomSchema;
  /** What is wrong already. */
  readonly errors: readonly FieldError[];
}

export function validateRules(_check: RuleCheck): FieldError[] {
  return [];
}

/** Checks of ControllerRevisions: they are the way back, and so never change (apps `ValidateControllerRevisionUpdate`). */
import type { ControllerRevision } from "../../../generated/kubernetes.ts";
import { type FieldError, required } from "../field-error.ts";
import { validateImmutable } from "./immutable.ts";
import { validateCounts } from "./pod-amount.ts";

type Revision = Partial<ControllerRevision>;

export function validateControllerRevision(revision: Revision): FieldError[] {
  const { data = null, revision: number } = revision;
  const errors = data === null ? [required("data", "data is mandatory")] : [];
  return [...errors, ...validateCounts({ revision: number }, ["revision"], "").map(atRoot)];
}

/** `.revision` is `revision` at the root. */
function atRoot(error: FieldError): FieldError {
  return { ...error, field: error.field.slice(1) };
}

/** Its number may change: a rollback makes an old one the newest. */
export function validateControllerRevisionUpdate(revision: Revision, before: Revision): FieldError[] {
  return [...validateControllerRevision(revision), ...validateImmutable("data", revision.data, before.data)];
}

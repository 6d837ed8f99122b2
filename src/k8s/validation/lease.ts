/** Checks of Leases (coordination `ValidateLeaseSpec`). */
import type { LeaseSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid } from "../field-error.ts";
import { validateCounts } from "./pod-amount.ts";
import type { Has } from "./workloads.ts";

export function validateLease({ spec = {} }: Has<LeaseSpec>): FieldError[] {
  const { leaseDurationSeconds: seconds } = spec;
  const errors =
    seconds !== undefined && seconds <= 0
      ? [invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")]
      : [];
  return [...errors, ...validateCounts(spec, ["leaseTransitions"], "spec")];
}

/** Checks of how a Deployment replaces its pods (apps `ValidateDeploymentStrategy`). */
import type { DeploymentStrategy } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, notSupported } from "../field-error.ts";
import type { IntOrString } from "../int-or-string.ts";
import { checkPercent } from "../names.ts";

const PATH = "spec.strategy";

/** A count, or a share in percent. */
export function validateAmount(value: IntOrString, field: string): FieldError[] {
  if (typeof value === "string") return invalidEach(field, value, checkPercent(value));
  return value < 0 ? [invalid(field, value, "must be greater than or equal to 0")] : [];
}

/** A share that is no more than everything. */
export function validateShare(value: IntOrString, field: string): FieldError[] {
  const isMore = typeof value === "string" && /^\d+%$/.test(value) && Number.parseInt(value, 10) > 100;
  return isMore ? [invalid(field, value, "must not be greater than 100%")] : [];
}

export function isZeroAmount(value: IntOrString): boolean {
  return typeof value === "number" ? value === 0 : /^0+%$/.test(value);
}

export function validateStrategy({ type = "", rollingUpdate }: DeploymentStrategy): FieldError[] {
  if (type === "Recreate") {
    if (rollingUpdate === undefined) return [];
    return [forbidden(`${PATH}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")];
  }
  if (type !== "RollingUpdate") return [notSupported(`${PATH}.type`, type, ["Recreate", "RollingUpdate"])];
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate ?? {};
  const field = `${PATH}.rollingUpdate.maxUnavailable`;
  const errors = [
    ...validateAmount(maxUnavailable, field),
    ...validateAmount(maxSurge, `${PATH}.rollingUpdate.maxSurge`),
  ];
  if (isZeroAmount(maxUnavailable) && isZeroAmount(maxSurge)) {
    errors.push(invalid(field, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  return [...errors, ...validateShare(maxUnavailable, field)];
}

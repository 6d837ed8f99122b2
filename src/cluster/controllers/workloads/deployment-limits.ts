/** How many pods a Deployment may have and lack while it replaces them (`ResolveFenceposts`). */
import type { Deployment } from "../../../../generated/kubernetes.ts";
import { scaledValue } from "../../../k8s/int-or-string.ts";

export interface RolloutLimits {
  readonly desired: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** Surge rounds up, unavailable down; where both come to nothing, one may be missing, or nothing would ever move. */
export function rolloutLimits({ spec }: Deployment): RolloutLimits {
  const desired = spec?.replicas ?? 0;
  if (!isRolling(spec)) {
    return { desired, maxSurge: 0, maxUnavailable: 0 };
  }
  const { maxSurge = "25%", maxUnavailable = "25%" } = spec?.strategy?.rollingUpdate ?? {};
  const surge = scaledValue(maxSurge, { total: desired, roundUp: true });
  const unavailable = scaledValue(maxUnavailable, { total: desired, roundUp: false });
  const isStuck = surge === 0 && unavailable === 0;
  return { desired, maxSurge: surge, maxUnavailable: Math.min(isStuck ? 1 : unavailable, desired) };
}

export function isRollingUpdate({ spec }: Deployment): boolean {
  return isRolling(spec);
}

function isRolling(spec: Deployment["spec"]): boolean {
  return (spec?.strategy?.type ?? "RollingUpdate") === "RollingUpdate";
}

/** Desired and surge. */
export function mostReplicas(deployment: Deployment): number {
  const { desired, maxSurge } = rolloutLimits(deployment);
  return desired + maxSurge;
}

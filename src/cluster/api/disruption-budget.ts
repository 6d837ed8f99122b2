/** Whether a PodDisruptionBudget lets one more Pod go, computed from the Pods that are there now (controller/disruption). */
import type { Pod } from "../../../generated/kubernetes.ts";
import { type IntOrString, scaledValue } from "../../k8s/int-or-string.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { labelSelectorOf } from "../../k8s/selectors.ts";

export interface DisruptionBudget extends KubeObject {
  readonly spec?: {
    readonly minAvailable?: IntOrString;
    readonly maxUnavailable?: IntOrString;
    /** Absent selects nothing, empty selects every Pod of the namespace. */
    readonly selector?: Parameters<typeof labelSelectorOf>[0];
    readonly unhealthyPodEvictionPolicy?: string;
  };
}

/** The numbers of `PodDisruptionBudgetStatus`. */
export interface BudgetState {
  readonly currentHealthy: number;
  readonly desiredHealthy: number;
  readonly expectedPods: number;
  readonly disruptionsAllowed: number;
}

export function covers({ spec }: DisruptionBudget, { metadata }: Pod): boolean {
  return labelSelectorOf(spec?.selector).matches(metadata?.labels);
}

/** `pods` are those that the budget covers. Their owners' scale is taken to be their number. */
export function budgetState({ spec }: DisruptionBudget, pods: readonly Pod[]): BudgetState {
  const expectedPods = pods.length;
  const desiredHealthy = desired(spec ?? {}, expectedPods);
  const currentHealthy = pods.filter((pod) => isHealthy(pod)).length;
  const spare = Math.max(0, currentHealthy - desiredHealthy);
  return { currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed: expectedPods === 0 ? 0 : spare };
}

function desired(
  { minAvailable, maxUnavailable }: NonNullable<DisruptionBudget["spec"]>,
  total: number,
): number {
  const rounding = { total, roundUp: true };
  if (maxUnavailable !== undefined) return Math.max(0, total - scaledValue(maxUnavailable, rounding));
  return minAvailable === undefined ? 0 : scaledValue(minAvailable, rounding);
}

function isHealthy(pod: Pod): boolean {
  return pod.metadata?.deletionTimestamp === undefined && isReady(pod);
}

export function isReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");
}

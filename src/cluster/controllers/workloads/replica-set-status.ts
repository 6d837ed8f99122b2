/** What a ReplicaSet says of its pods (`calculateStatus`). */
import type { Pod, ReplicaSetCondition, ReplicaSetStatus } from "../../../../generated/kubernetes.ts";
import { isFinished, isPodReady } from "../../../k8s/pod.ts";
import { labelSelectorFromSet } from "../../../k8s/selectors.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";
import { availableInMs, isPodActive } from "./pod-condition.ts";
import type { ReplicaOwner } from "./replica-set-owner.ts";

/** Why the pods are not as many as they should be. */
export interface ReplicaFailure {
  readonly reason: "FailedCreate" | "FailedDelete";
  readonly message: string;
}

export interface StatusFacts {
  /** All that the owner controls, whatever state they are in. */
  readonly pods: readonly Pod[];
  readonly failure: ReplicaFailure | undefined;
  /** Unix milliseconds. */
  readonly now: number;
}

export function replicaStatus(owner: ReplicaOwner, { pods, failure, now }: StatusFacts): ReplicaSetStatus {
  const active = pods.filter(isPodActive);
  const hasAllLabels = labelSelectorFromSet(owner.template.metadata?.labels).matches;
  const { conditions: _, ...before } = owner.status ?? {};
  const conditions = conditionsOf(owner, failure, now);
  const generation = owner.object.metadata.generation;
  return {
    ...before,
    replicas: active.length,
    fullyLabeledReplicas: active.filter(({ metadata }) => hasAllLabels(metadata?.labels)).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: active.filter((pod) => availableInMs(pod, owner.minReadySeconds, now) === 0).length,
    terminatingReplicas: pods.filter(isTerminating).length,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

/** Not finished, but on its way out (`IsPodTerminating`). */
function isTerminating(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata?.deletionTimestamp !== undefined;
}

/** A failure keeps its first time until it is over. */
function conditionsOf(
  { status }: ReplicaOwner,
  failure: ReplicaFailure | undefined,
  now: number,
): ReplicaSetCondition[] {
  const known = status?.conditions ?? [];
  const others = known.filter(({ type }) => type !== "ReplicaFailure");
  if (failure === undefined) return others;
  const same = known.find(({ type, reason }) => type === "ReplicaFailure" && reason === failure.reason);
  if (same !== undefined) return known;
  const lastTransitionTime = formatTimestamp(now);
  return [...others, { type: "ReplicaFailure", status: "True", lastTransitionTime, ...failure }];
}

/** Milliseconds until the next pod becomes available by lapse of time; `undefined` when none waits for that. */
export function nextAvailableInMs(
  { minReadySeconds }: ReplicaOwner,
  pods: readonly Pod[],
  now: number,
): number | undefined {
  const waits = pods
    .filter(isPodActive)
    .map((pod) => availableInMs(pod, minReadySeconds, now) ?? 0)
    .filter((wait) => wait > 0);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

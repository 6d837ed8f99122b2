/** What a StatefulSet's status says about its pods (`updateStatus` and `completeRollingUpdate`, stateful_set_control.go). */
import type { StatefulSetStatus } from "../../../../generated/kubernetes.ts";
import { availableInMs } from "./pod-condition.ts";
import { type MemberPod, revisionOf, type StatefulSetObject } from "./stateful-set-identity.ts";
import { isRunningAndReady } from "./stateful-set-plan.ts";

export interface StatusFacts {
  readonly set: StatefulSetObject;
  readonly pods: readonly MemberPod[];
  readonly current: string;
  readonly update: string;
  readonly collisionCount: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function statefulSetStatus(facts: StatusFacts): StatefulSetStatus {
  const { set, pods, current, update, now } = facts;
  const ready = pods.filter(isRunningAndReady);
  const seconds = set.spec.minReadySeconds ?? 0;
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const at = (revision: string) => staying.filter((pod) => revisionOf(pod) === revision).length;
  const updatedReplicas = at(update);
  const { replicas = 1, updateStrategy } = set.spec;
  const isComplete =
    updateStrategy?.type !== "OnDelete" &&
    [updatedReplicas, pods.length, ready.length].every((count) => count === replicas);
  return {
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    replicas: pods.length,
    ...counts({
      readyReplicas: ready.length,
      currentReplicas: isComplete ? updatedReplicas : at(current),
      updatedReplicas,
    }),
    availableReplicas: ready.filter((pod) => availableInMs(pod, seconds, now) === 0).length,
    currentRevision: isComplete ? update : current,
    updateRevision: update,
    collisionCount: facts.collisionCount,
    ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
  };
}

/** On the wire, a count of nothing is left out. */
function counts(all: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
}

/** Milliseconds until the next pod becomes available by waiting alone. */
export function nextAvailableInMs({ spec }: StatefulSetObject, pods: readonly MemberPod[], now: number) {
  const waits = pods.flatMap((pod) => availableInMs(pod, spec.minReadySeconds ?? 0, now) ?? []);
  const positive = waits.filter((ms) => ms > 0);
  return positive.length === 0 ? undefined : Math.min(...positive);
}

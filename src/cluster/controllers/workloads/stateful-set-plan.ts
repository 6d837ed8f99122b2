/** What a StatefulSet does next: which ordinals it makes, which pods it removes (`updateStatefulSet`, stateful_set_control.go). */
import { scaledValue } from "../../../k8s/int-or-string.ts";
import { isFinished, isPodReady } from "../../../k8s/pod.ts";
import { availableInMs } from "./pod-condition.ts";
import {
  isInRange,
  type MemberPod,
  ordinalOf,
  ordinalRange,
  revisionOf,
  type StatefulSetObject,
} from "./stateful-set-identity.ts";

export interface StatefulState {
  readonly set: StatefulSetObject;
  /** Those that the set owns, whatever their state. */
  readonly pods: readonly MemberPod[];
  /** Names of the revisions that the set comes from and goes to. */
  readonly current: string;
  readonly update: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The claims of that ordinal belong to a pod that is gone, and will go too. */
  readonly isClaimStale: (ordinal: number) => boolean;
}

export interface StatefulPlan {
  readonly create: { readonly ordinal: number; readonly revision: string }[];
  readonly remove: MemberPod[];
}

interface Slot {
  readonly ordinal: number;
  readonly pod?: MemberPod;
}

/** `wait`: nothing comes after it in an ordered set. `stop`: nothing comes after it in any. */
type Progress = "go" | "wait" | "stop";

export function planStatefulSet(state: StatefulState): StatefulPlan {
  const { set } = state;
  const plan: StatefulPlan = { create: [], remove: [] };
  if (set.metadata.deletionTimestamp !== undefined) return plan;
  const isOrdered = set.spec.podManagementPolicy !== "Parallel";
  const { replicas, condemned } = arrange(state);
  const steps = [
    ...replicas.map((slot) => () => keep(state, slot, plan)),
    ...condemned.map((pod) => () => condemn(state, pod, { plan, all: [...replicas, ...condemned] })),
  ];
  let isStopped = false;
  for (const [index, step] of steps.entries()) {
    if (isStopped && index >= replicas.length) return plan;
    const progress = step();
    if (progress === "go") continue;
    if (isOrdered) return plan;
    isStopped ||= progress === "stop";
  }
  if (!isStopped && set.spec.updateStrategy?.type !== "OnDelete") replaceOutdated(state, replicas, plan);
  return plan;
}

/** Replicas from the lowest ordinal up, pods beyond them from the highest down. */
function arrange({ set, pods }: StatefulState): { replicas: Slot[]; condemned: Required<Slot>[] } {
  const range = ordinalRange(set);
  const placed = pods.flatMap((pod): Required<Slot>[] => {
    const ordinal = ordinalOf(set, pod);
    return ordinal === undefined ? [] : [{ ordinal, pod }];
  });
  const known = new Map(placed.map((slot) => [slot.ordinal, slot]));
  const replicas = Array.from({ length: range.end - range.start }, (_, index): Slot => {
    const ordinal = range.start + index;
    return known.get(ordinal) ?? { ordinal };
  });
  const condemned = placed
    .filter(({ ordinal }) => !isInRange(ordinal, range))
    .toSorted((a, b) => b.ordinal - a.ordinal);
  return { replicas, condemned };
}

/** `processReplica` */
function keep(state: StatefulState, { ordinal, pod }: Slot, { create, remove }: StatefulPlan): Progress {
  if (pod === undefined) {
    if (state.isClaimStale(ordinal)) return "stop";
    create.push({ ordinal, revision: revisionFor(state, ordinal) });
    return "wait";
  }
  if (isFinished(pod)) {
    // Its successor has the same name, and comes when it is gone.
    if (!isLeaving(pod)) remove.push(pod);
    return "stop";
  }
  return isAvailable(state, pod) && !isLeaving(pod) ? "go" : "wait";
}

/** `processCondemned`: of several pods in trouble the one with the lowest ordinal goes first, the others wait for it. */
function condemn(
  state: StatefulState,
  { pod }: Required<Slot>,
  { plan, all }: { readonly plan: StatefulPlan; readonly all: readonly Slot[] },
): Progress {
  if (isLeaving(pod)) return "wait";
  const isOrdered = state.set.spec.podManagementPolicy !== "Parallel";
  if (isOrdered && !isAvailable(state, pod) && pod !== firstUnhealthy(state, all)) return "wait";
  plan.remove.push(pod);
  return "wait";
}

function firstUnhealthy(state: StatefulState, all: readonly Slot[]): MemberPod | undefined {
  const { start, end } = ordinalRange(state.set);
  const rank = ({ ordinal }: Slot) => (isInRange(ordinal, { start, end }) ? ordinal - end : ordinal);
  return all
    .filter(({ pod }) => pod === undefined || !isHealthy(pod))
    .toSorted((a, b) => rank(a) - rank(b))[0]?.pod;
}

/** Below the partition a pod is made as it was (`newVersionedStatefulSetPod`). */
function revisionFor({ set, current, update }: StatefulState, ordinal: number): string {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  const isKept = type !== "OnDelete" && ordinal < ordinalRange(set).start + (rollingUpdate?.partition ?? 0);
  return isKept ? current : update;
}

/**
 * From the highest ordinal down to the partition. One at a time, unless `maxUnavailable` allows more
 * (`updateStatefulSetAfterInvariantEstablished`); replacing what is unavailable anyway costs nothing then.
 */
function replaceOutdated(state: StatefulState, replicas: readonly Slot[], { remove }: StatefulPlan): void {
  const { partition = 0, maxUnavailable } = state.set.spec.updateStrategy?.rollingUpdate ?? {};
  const targets = replicas.slice(partition).toReversed();
  const isUnavailable = ({ pod }: Slot) => pod === undefined || isLeaving(pod) || !isAvailable(state, pod);
  if (maxUnavailable === undefined) {
    for (const slot of targets) {
      if (slot.pod !== undefined && isOutdated(state, slot.pod)) {
        remove.push(slot.pod);
        return;
      }
      if (isUnavailable(slot)) return;
    }
    return;
  }
  const allowed = Math.max(1, scaledValue(maxUnavailable, { total: replicas.length, roundUp: false }));
  let budget = allowed - replicas.filter(isUnavailable).length;
  for (const slot of targets) {
    if (slot.pod === undefined || !isOutdated(state, slot.pod)) continue;
    if (isUnavailable(slot)) remove.push(slot.pod);
    else if (budget > 0) {
      remove.push(slot.pod);
      budget -= 1;
    }
  }
}

function isOutdated({ update }: StatefulState, pod: MemberPod): boolean {
  return revisionOf(pod) !== update && !isLeaving(pod);
}

function isLeaving({ metadata }: MemberPod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

export function isRunningAndReady(pod: MemberPod): boolean {
  return pod.status?.phase === "Running" && isPodReady(pod);
}

function isHealthy(pod: MemberPod): boolean {
  return isRunningAndReady(pod) && !isLeaving(pod);
}

function isAvailable({ set, now }: StatefulState, pod: MemberPod): boolean {
  return isRunningAndReady(pod) && availableInMs(pod, set.spec.minReadySeconds ?? 0, now) === 0;
}

/** What a DaemonSet does next on its nodes (`podsShouldBeOnNode` and `rollingUpdate`, controller/daemon). */
import { isPodReady } from "../../../k8s/pod.ts";
import { scaledValue } from "../../../k8s/int-or-string.ts";
import type { DaemonPod, DaemonSetObject, Suitability } from "./daemon-set-pod.ts";
import { REVISION_LABEL } from "./controller-revisions.ts";
import { availableInMs } from "./pod-condition.ts";

export interface DaemonNode extends Suitability {
  readonly name: string;
  /** Of the set on this node, oldest first, whatever their state. */
  readonly pods: readonly DaemonPod[];
}

export interface DaemonState {
  readonly set: DaemonSetObject;
  readonly nodes: readonly DaemonNode[];
  /** Of the newest revision, as pods have it in their label. */
  readonly hash: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface DaemonPlan {
  /** Names of nodes that get a pod. */
  readonly create: string[];
  readonly remove: DaemonPod[];
  /** Those of `remove` that have ended by themselves. */
  readonly ended: DaemonPod[];
}

/** Pods that are missing, superfluous or finished come first; only when there are none is the template rolled out. */
export function planDaemonSet(state: DaemonState): DaemonPlan {
  const plan: DaemonPlan = { create: [], remove: [], ended: [] };
  const { metadata, spec } = state.set;
  if (metadata.deletionTimestamp !== undefined) return plan;
  for (const node of state.nodes) settleNode(state, node, plan);
  if (plan.create.length + plan.remove.length > 0 || spec.updateStrategy?.type === "OnDelete") return plan;
  const limits = updateLimits(state);
  if (limits.maxSurge === 0) replaceOutdated(state, limits.maxUnavailable, plan);
  else surge(state, limits.maxSurge, plan);
  return plan;
}

/** Both are of the nodes that should have a pod, rounded up (`updatedDesiredNodeCounts`). */
function updateLimits({ set, nodes }: DaemonState) {
  const { maxUnavailable = 1, maxSurge = 0 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const rounding = { total: nodes.filter(({ shouldRun }) => shouldRun).length, roundUp: true };
  const limits = {
    maxUnavailable: scaledValue(maxUnavailable, rounding),
    maxSurge: scaledValue(maxSurge, rounding),
  };
  return limits.maxUnavailable + limits.maxSurge === 0 ? { ...limits, maxUnavailable: 1 } : limits;
}

/** A pod that is still going keeps its successor from coming. */
function settleNode(state: DaemonState, node: DaemonNode, { create, remove, ended }: DaemonPlan): void {
  const { shouldRun, mayStay, pods, name } = node;
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (!mayStay) remove.push(...staying);
  else if (pods.length === 0) {
    if (shouldRun) create.push(name);
  } else {
    const over = staying.filter(({ status }) => status?.phase === "Failed" || status?.phase === "Succeeded");
    ended.push(...over);
    const running = staying.filter((pod) => !over.includes(pod));
    remove.push(...over, ...superfluous(state, running));
  }
}

/** All but the oldest; while a surge is allowed, all but the oldest of either revision, as long as both are needed. */
function superfluous(state: DaemonState, running: readonly DaemonPod[]): readonly DaemonPod[] {
  if (!allowsSurge(state)) return running.slice(1);
  const [newest, ...moreNew] = running.filter((pod) => isUpdated(state, pod));
  const [old, ...moreOld] = running.filter((pod) => !isUpdated(state, pod));
  const rest = [...moreNew, ...moreOld];
  if (newest === undefined || old === undefined) return rest;
  const isOldNeeded = isPodReady(old) && !isAvailable(state, newest);
  return isOldNeeded ? rest : [...rest, old];
}

function allowsSurge(state: DaemonState): boolean {
  const isRolling = state.set.spec.updateStrategy?.type !== "OnDelete";
  return isRolling && updateLimits(state).maxSurge > 0;
}

/** Old pods that are not available are replaced at once, the others as `maxUnavailable` leaves room. */
function replaceOutdated(state: DaemonState, maxUnavailable: number, { remove }: DaemonPlan): void {
  const candidates: DaemonPod[] = [];
  let unavailable = 0;
  for (const { pods, shouldRun } of state.nodes) {
    if (!shouldRun && pods.length === 0) continue;
    const pod = pods.find(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (pod === undefined || !isAvailable(state, pod)) unavailable += 1;
    if (pod === undefined || isUpdated(state, pod)) continue;
    if (isAvailable(state, pod)) candidates.push(pod);
    else remove.push(pod);
  }
  remove.push(...candidates.slice(0, Math.max(0, maxUnavailable - unavailable)));
}

/** The new pod comes first; the old one goes when the new one is available, which `superfluous` sees to. */
function surge(state: DaemonState, maxSurge: number, { create }: DaemonPlan): void {
  const candidates: string[] = [];
  let surging = 0;
  for (const { name, pods, shouldRun } of state.nodes) {
    const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const old = staying.find((pod) => !isUpdated(state, pod));
    if (!shouldRun || old === undefined) continue;
    if (staying.some((pod) => isUpdated(state, pod))) surging += 1;
    else if (isAvailable(state, old)) candidates.push(name);
    else create.push(name);
  }
  create.push(...candidates.slice(0, Math.max(0, maxSurge - surging)));
}

export function isUpdated({ hash }: Pick<DaemonState, "hash">, { metadata }: DaemonPod): boolean {
  return metadata.labels?.[REVISION_LABEL] === hash;
}

export function isAvailable({ set, now }: Pick<DaemonState, "set" | "now">, pod: DaemonPod): boolean {
  return availableInMs(pod, set.spec.minReadySeconds ?? 0, now) === 0;
}

/** Whether a PodDisruptionBudget lets one more Pod go: the controller's status and the eviction's answer are this (controller/disruption). */
import type { Condition, OwnerReference, Pod } from "../../generated/kubernetes.ts";
import { type IntOrString, scaledValue } from "./int-or-string.ts";
import type { GroupResource, KubeObject, ObjectName } from "./object.ts";
import { isPodReady } from "./pod.ts";
import { labelSelectorOf } from "./selectors.ts";

export const BUDGETS = "poddisruptionbudgets.policy";

export interface DisruptionBudget extends KubeObject {
  readonly spec?: {
    readonly minAvailable?: IntOrString;
    readonly maxUnavailable?: IntOrString;
    /** Absent selects nothing, empty selects every Pod of the namespace. */
    readonly selector?: Parameters<typeof labelSelectorOf>[0];
    readonly unhealthyPodEvictionPolicy?: string;
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    /** When somebody began to evict them, by name: they do not count until they are gone. */
    readonly disruptedPods?: Readonly<Record<string, string>>;
  };
}

/** The numbers of `PodDisruptionBudgetStatus`. */
export interface BudgetState {
  readonly currentHealthy: number;
  readonly desiredHealthy: number;
  readonly expectedPods: number;
  readonly disruptionsAllowed: number;
  /** Those that still count as about to go. */
  readonly disruptedPods: Readonly<Record<string, string>>;
  /** Names of Pods that nobody controls, where their owners' scale is asked for. */
  readonly unmanaged: readonly string[];
}

export interface BudgetFacts {
  readonly budget: DisruptionBudget;
  /** Those that the budget covers. */
  readonly pods: readonly Pod[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Reads an owner. */
  readonly read: (resource: GroupResource, at: ObjectName) => KubeObject | undefined;
}

/** The owners' scale cannot be told; nothing may be disrupted then. */
export class BudgetError extends Error {
  override readonly name = "BudgetError";
}

/** How long an eviction may take until its Pod counts again (`DeletionTimeout`). */
const DISRUPTED_MS = 120_000;

export function covers({ spec }: DisruptionBudget, { metadata }: Pod): boolean {
  return labelSelectorOf(spec?.selector).matches(metadata?.labels);
}

/** Throws `BudgetError`. */
export function budgetState(facts: BudgetFacts): BudgetState {
  const { budget, pods, now } = facts;
  const { expectedPods, desiredHealthy, unmanaged } = expectation(facts);
  const disruptedPods = stillDisrupted(budget, pods, now);
  const healthy = pods.filter((pod) => isHealthy(pod) && !Object.hasOwn(disruptedPods, nameOf(pod)));
  const currentHealthy = healthy.length;
  const spare = Math.max(0, currentHealthy - desiredHealthy);
  const disruptionsAllowed = expectedPods === 0 ? 0 : spare;
  return { currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed, disruptedPods, unmanaged };
}

/** `getExpectedPodCount`: a number of Pods needs no owner, a share and `maxUnavailable` are of what owners want. */
function expectation(facts: BudgetFacts) {
  const { minAvailable, maxUnavailable } = facts.budget.spec ?? {};
  if (typeof minAvailable === "number")
    return { expectedPods: facts.pods.length, desiredHealthy: minAvailable, unmanaged: [] };
  if (minAvailable === undefined && maxUnavailable === undefined)
    return { expectedPods: facts.pods.length, desiredHealthy: 0, unmanaged: [] };
  const { total, unmanaged } = ownersScale(facts);
  const rounding = { total, roundUp: true };
  const desiredHealthy =
    maxUnavailable === undefined
      ? scaledValue(minAvailable ?? 0, rounding)
      : Math.max(0, total - scaledValue(maxUnavailable, rounding));
  return { expectedPods: total, desiredHealthy, unmanaged };
}

/** `getExpectedScale`: every owner once, and Pods without one not at all. */
function ownersScale({ pods, read }: BudgetFacts): {
  readonly total: number;
  readonly unmanaged: readonly string[];
} {
  const scales = new Map<string, number>();
  const unmanaged: string[] = [];
  for (const pod of pods) {
    const { namespace = "", ownerReferences } = pod.metadata ?? {};
    const owner = controllerIn(ownerReferences);
    if (owner === undefined) {
      unmanaged.push(nameOf(pod));
      continue;
    }
    const scaled = scaledOwner(owner, (resource, name) => read(resource, { namespace, name }));
    if (scaled === undefined) throw new BudgetError(`found no controllers for pod "${nameOf(pod)}"`);
    scales.set(scaled.uid, scaled.replicas);
  }
  return { total: [...scales.values()].reduce((sum, scale) => sum + scale, 0), unmanaged };
}

/** Kinds that have a scale. */
const SCALED: Readonly<Record<string, GroupResource>> = {
  "apps/v1 ReplicaSet": "replicasets.apps",
  "apps/v1 StatefulSet": "statefulsets.apps",
  "apps/v1 Deployment": "deployments.apps",
  "v1 ReplicationController": "replicationcontrollers",
};

/** The ReplicaSets of a Deployment share its scale. */
function scaledOwner(
  owner: OwnerReference,
  find: (resource: GroupResource, name: string) => KubeObject | undefined,
): { readonly uid: string; readonly replicas: number } | undefined {
  const kind = `${owner.apiVersion} ${owner.kind}`;
  const resource = Object.hasOwn(SCALED, kind) ? SCALED[kind] : undefined;
  const object: Scaled | undefined = resource === undefined ? undefined : find(resource, owner.name);
  if (object === undefined || object.metadata.uid !== owner.uid) return undefined;
  const above = owner.kind === "ReplicaSet" ? controllerIn(object.metadata.ownerReferences) : undefined;
  const deployment = above?.kind === "Deployment" ? scaledOwner(above, find) : undefined;
  return deployment ?? { uid: owner.uid, replicas: object.spec?.replicas ?? 1 };
}

interface Scaled extends KubeObject {
  readonly spec?: { readonly replicas?: number };
}

function controllerIn(owners: readonly OwnerReference[] = []): OwnerReference | undefined {
  return owners.find(({ controller }) => controller === true);
}

/** `buildDisruptedPodMap` */
function stillDisrupted({ status }: DisruptionBudget, pods: readonly Pod[], now: number) {
  const there = new Set(pods.filter(({ metadata }) => metadata?.deletionTimestamp === undefined).map(nameOf));
  const entries = Object.entries(status?.disruptedPods ?? {});
  return Object.fromEntries(
    entries.filter(([name, since]) => there.has(name) && Date.parse(since) + DISRUPTED_MS > now),
  );
}

/** Milliseconds until the next of them counts again. */
export function recheckInMs({ disruptedPods }: BudgetState, now: number): number | undefined {
  const ends = Object.values(disruptedPods).map((since) => Date.parse(since) + DISRUPTED_MS - now);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function nameOf({ metadata }: Pod): string {
  return metadata?.name ?? "";
}

function isHealthy(pod: Pod): boolean {
  return pod.metadata?.deletionTimestamp === undefined && isPodReady(pod);
}

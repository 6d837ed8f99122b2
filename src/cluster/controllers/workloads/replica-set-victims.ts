/** Which pods go first when a ReplicaSet has too many (`ActivePodsWithRanks`). */
import type { Pod } from "../../../../generated/kubernetes.ts";
import { isSidecar } from "../../../k8s/pod.ts";
import { readySince } from "./pod-condition.ts";

const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";

/**
 * The `count` pods that are missed least, that one first. `now` is Unix milliseconds. How many pods of the same owner a node
 * has does not count here: there is one node.
 */
export function chooseVictims<Some extends Pod>(
  pods: readonly Some[],
  { count, now }: { readonly count: number; readonly now: number },
): Some[] {
  if (count >= pods.length) return [...pods];
  return pods.toSorted((a, b) => compareVictims(a, b, now)).slice(0, Math.max(0, count));
}

const PHASE_RANK: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Negative when `a` goes before `b`. */
export function compareVictims(a: Pod, b: Pod, now: number): number {
  return (
    Number(isAssigned(a)) - Number(isAssigned(b)) ||
    phaseRank(a) - phaseRank(b) ||
    Number(readySince(a) !== undefined) - Number(readySince(b) !== undefined) ||
    deletionCost(a) - deletionCost(b) ||
    compareAges({ a, b, since: readySince, now }) ||
    compareRestarts(a, b) ||
    compareAges({ a, b, since: createdAt, now })
  );
}

function isAssigned({ spec }: Pod): boolean {
  return (spec?.nodeName ?? "") !== "";
}

function phaseRank({ status }: Pod): number {
  return PHASE_RANK[status?.phase ?? "Pending"] ?? 0;
}

/** What is no 32-bit number costs nothing. */
function deletionCost({ metadata }: Pod): number {
  const text = metadata?.annotations?.[DELETION_COST] ?? "";
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return Math.abs(cost) <= 0x7fffffff ? cost : 0;
}

interface Ages {
  readonly a: Pod;
  readonly b: Pod;
  readonly since: (pod: Pod) => number | undefined;
  readonly now: number;
}

/** The younger goes first. Ages of one order of magnitude count as the same, and then chance decides: the uid. */
function compareAges({ a, b, since, now }: Ages): number {
  const [first, second] = [since(a), since(b)];
  if (first === second) return 0;
  if (first === undefined || second === undefined) return first === undefined ? -1 : 1;
  return magnitude(now - first) - magnitude(now - second) || compareUids(a, b);
}

/** Upstream measures in nanoseconds, as `time.Duration` does. */
function magnitude(milliseconds: number): number {
  return milliseconds > 0 ? Math.floor(Math.log2(milliseconds * 1e6)) : -1;
}

function compareUids(a: Pod, b: Pod): number {
  const [first, second] = [a.metadata?.uid ?? "", b.metadata?.uid ?? ""];
  return first < second ? -1 : Number(first > second);
}

function createdAt({ metadata }: Pod): number | undefined {
  const created = Date.parse(metadata?.creationTimestamp ?? "");
  return Number.isNaN(created) ? undefined : created;
}

/** The main containers' restarts count first, then those of native sidecars. */
function compareRestarts(a: Pod, b: Pod): number {
  const [first, second] = [restarts(a), restarts(b)];
  return second.main - first.main || second.sidecars - first.sidecars;
}

function restarts({ spec, status }: Pod): { readonly main: number; readonly sidecars: number } {
  const sidecars = new Set((spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const most = (counts: readonly number[]) => Math.max(0, ...counts);
  return {
    main: most((status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)),
    sidecars: most(
      (status?.initContainerStatuses ?? [])
        .filter(({ name }) => sidecars.has(name))
        .map(({ restartCount }) => restartCount),
    ),
  };
}

/** The annotations by which a Deployment remembers its revisions, and by which kubectl finds them. */
import { LAST_APPLIED } from "../../../k8s/apply/last-applied.ts";
import type { KubeObject } from "../../../k8s/object.ts";

export const REVISION = "deployment.kubernetes.io/revision";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
/** With the surge. */
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";
/** Revision numbers that the ReplicaSet had before, comma-separated. */
const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
const LONGEST_HISTORY = 2000;

const NOT_HANDED_ON: ReadonlySet<string> = new Set([
  LAST_APPLIED,
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  "deprecated.deployment.rollback.to",
]);

export type Annotations = Readonly<Record<string, string>>;

/** What of a Deployment's annotations its ReplicaSets get. */
export function annotationsForReplicaSet(annotations: Annotations = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !NOT_HANDED_ON.has(key)));
}

/** 0 where there is none. */
export function revisionOf({ metadata }: KubeObject): number {
  return countIn(metadata.annotations, REVISION) ?? 0;
}

/** A number that was written as text; `undefined` for anything else. */
export function countIn(annotations: Annotations | undefined, key: string): number | undefined {
  const text = annotations?.[key] ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * Those of the ReplicaSet that is the newest now, again or still (`SetNewReplicaSetAnnotations`): a rollback gives an old one a
 * new number and remembers the former.
 */
export function newestAnnotations(
  set: KubeObject,
  deployment: KubeObject,
  revision: number,
): Record<string, string> {
  const { annotations = {} } = set.metadata;
  const next = { ...annotations, ...annotationsForReplicaSet(deployment.metadata.annotations) };
  const former = annotations[REVISION] ?? "";
  if (former !== "" && countIn(annotations, REVISION) === undefined) return next;
  if (revisionOf(set) >= revision) return next;
  next[REVISION] = String(revision);
  if (former !== "") next[REVISION_HISTORY] = withFormer(annotations[REVISION_HISTORY] ?? "", former);
  return next;
}

/** The oldest are forgotten when there are too many. */
function withFormer(history: string, former: string): string {
  let kept = history === "" ? [] : history.split(",");
  while (kept.length > 0 && [...kept, former].join(",").length > LONGEST_HISTORY) kept = kept.slice(1);
  return [...kept, former].join(",");
}

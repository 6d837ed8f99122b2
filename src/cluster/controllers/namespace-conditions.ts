/** Says in a namespace's status why it is still there (`pkg/controller/namespace/deletion`). */
import type { NamespaceCondition } from "../../../generated/kubernetes.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";

/** What is left of one resource. */
export interface Remaining {
  readonly resource: GroupResource;
  readonly objects: readonly KubeObject[];
}

type Finding = Pick<NamespaceCondition, "type" | "status" | "reason" | "message">;

/** The namespace with its conditions brought up to date; equal conditions keep their time of transition. */
export function remainingConditions(
  namespace: KubeObject,
  remaining: readonly Remaining[],
  now: number,
): KubeObject {
  const status = isJsonObject(namespace["status"]) ? namespace["status"] : {};
  const before: readonly NamespaceCondition[] = Array.isArray(status["conditions"])
    ? status["conditions"]
    : [];
  const conditions = findings(remaining).map((finding): NamespaceCondition => {
    const earlier = before.find(({ type }) => type === finding.type);
    const isSame = earlier?.status === finding.status && earlier.lastTransitionTime !== undefined;
    return {
      ...finding,
      lastTransitionTime: isSame ? (earlier.lastTransitionTime ?? "") : formatTimestamp(now),
    };
  });
  return { ...namespace, status: { ...status, conditions } };
}

function findings(remaining: readonly Remaining[]): readonly Finding[] {
  return [
    fine("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    fine(
      "NamespaceDeletionGroupVersionParsingFailure",
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ),
    fine(
      "NamespaceDeletionContentFailure",
      "ContentDeleted",
      "All content successfully deleted, may be waiting on finalization",
    ),
    contentRemaining(remaining),
    finalizersRemaining(remaining),
  ];
}

function fine(type: string, reason: string, message: string): Finding {
  return { type, status: "False", reason, message };
}

const ALL_GONE = "All content successfully removed";

function contentRemaining(remaining: readonly Remaining[]): Finding {
  const type = "NamespaceContentRemaining";
  if (remaining.length === 0) return fine(type, "ContentRemoved", ALL_GONE);
  const counts = remaining.map(({ resource, objects }) => {
    const qualified = resource.includes(".") ? resource : `${resource}.`;
    return `${qualified} has ${objects.length} resource instances`;
  });
  const message = `Some resources are remaining: ${counts.toSorted().join(", ")}`;
  return { type, status: "True", reason: "SomeResourcesRemain", message };
}

function finalizersRemaining(remaining: readonly Remaining[]): Finding {
  const type = "NamespaceFinalizersRemaining";
  const counts = new Map<string, number>();
  for (const { metadata } of remaining.flatMap(({ objects }) => objects)) {
    for (const finalizer of metadata.finalizers ?? [])
      counts.set(finalizer, (counts.get(finalizer) ?? 0) + 1);
  }
  if (counts.size === 0)
    return fine(type, "ContentHasNoFinalizers", "All content-preserving finalizers finished");
  const list = [...counts].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`);
  const message = `Some content in the namespace has finalizers remaining: ${list.toSorted().join(", ")}`;
  return { type, status: "True", reason: "SomeFinalizersRemain", message };
}

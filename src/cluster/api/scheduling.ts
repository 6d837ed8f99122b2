/** Assigns Pods to the single node: with no choice to make there is no scheduler, but there is its event. */
import type { Pod } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { Admit, ApiContext } from "./api-context.ts";
import { scheduledEvent } from "./scheduled-event.ts";

/** Admission step: a new Pod has its node at once, unless gates hold it back. */
export function scheduleOn(nodeName: string): Admit {
  return ({ info, object, operation }) => {
    if (info.groupResource !== "pods" || operation !== "CREATE" || !awaitsNode(object)) return object;
    return withNode(object, nodeName);
  };
}

/** Says where a new Pod went; one that came with a node was not scheduled by anybody. */
export function announceScheduled(context: ApiContext, given: KubeObject, created: KubeObject): void {
  if (created.kind === "Pod" && awaitsNode(given) && !awaitsNode(created)) announce(context, created);
}

/** The binding of a Pod whose last gate an update has taken away: a write of its own, as the scheduler's would be. */
export function bindFreed(context: ApiContext, pod: KubeObject): KubeObject {
  if (pod.kind !== "Pod" || !awaitsNode(pod)) return pod;
  const { namespace = "", name = "" } = pod.metadata;
  const bound = context.store.update("pods", { namespace, name }, (current) =>
    withNode(current, context.nodeName),
  );
  announce(context, bound);
  return bound;
}

function awaitsNode({ kind, spec }: Pod): boolean {
  if (kind !== "Pod" || spec === undefined) return false;
  return (spec.nodeName ?? "") === "" && (spec.schedulingGates ?? []).length === 0;
}

function withNode(pod: KubeObject, nodeName: string): KubeObject {
  return { ...pod, spec: { ...(pod as Pod).spec, nodeName } };
}

function announce({ store, clock }: ApiContext, pod: KubeObject): void {
  store.create("events", scheduledEvent(pod, clock.now()));
}

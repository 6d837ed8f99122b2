/** Assigns Pods to the single node: with no choice to make there is no scheduler, but there are its refusals and events. */
import type { Pod, PodCondition } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { Store } from "../store/store.ts";
import type { Admit, ApiContext } from "./api-context.ts";
import { whyUnfit } from "./node-fit.ts";
import { failedSchedulingEvent, scheduledEvent } from "./scheduled-event.ts";

interface Placement {
  readonly store: Store;
  readonly nodeName: string;
}

/** Admission step: a new Pod has its node at once, unless gates or the node hold it back. */
export function scheduleOn(placement: Placement): Admit {
  return ({ info, object, operation }) => {
    if (info.groupResource !== "pods" || operation !== "CREATE") return object;
    if (!awaitsNode(object) || refusalOf(placement, object) !== undefined) return object;
    return withNode(object, placement.nodeName);
  };
}

/** Says where a new Pod went, or why it waits; one that came with a node was not scheduled by anybody. */
export function announceScheduled(context: ApiContext, given: KubeObject, created: KubeObject): void {
  if (!awaitsNode(given)) return;
  if (!awaitsNode(created)) announce(context, created);
  else bindWaiting(context, created);
}

/** What a change sets free: the Pod whose last gate went, and every waiting Pod when the node changed. */
export function bindFreed(context: ApiContext, changed: KubeObject): KubeObject {
  if (changed.kind === "Node") for (const pod of context.store.list("pods").items) bindWaiting(context, pod);
  return changed.kind === "Pod" ? bindWaiting(context, changed) : changed;
}

/** The binding is a write of its own, as the scheduler's would be. */
function bindWaiting(context: ApiContext, pod: KubeObject): KubeObject {
  if (!awaitsNode(pod) || pod.metadata.deletionTimestamp !== undefined) return pod;
  const refusal = refusalOf(context, pod);
  if (refusal !== undefined) return refuse(context, pod, refusal);
  const bound = context.store.update("pods", keyOf(pod), (current) => withNode(current, context.nodeName));
  announce(context, bound);
  return bound;
}

function refusalOf({ store, nodeName }: Placement, pod: Pod): string | undefined {
  const node = store.get("nodes", { namespace: "", name: nodeName });
  return node === undefined ? undefined : whyUnfit(pod, node);
}

/** Said once for each reason: in the Pod's condition, and as an event. */
function refuse({ store, clock }: ApiContext, pod: KubeObject, message: string): KubeObject {
  const { conditions = [] } = (pod as Pod).status ?? {};
  const isScheduled = ({ type }: PodCondition) => type === "PodScheduled";
  if (conditions.find(isScheduled)?.message === message) return pod;
  const now = clock.now();
  const condition: PodCondition = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message,
    lastTransitionTime: formatTimestamp(now),
  };
  const withCondition = (current: KubeObject): KubeObject => {
    const { status } = current as Pod;
    const others = (status?.conditions ?? []).filter((one) => !isScheduled(one));
    return { ...current, status: { ...status, conditions: [...others, condition] } };
  };
  const updated = store.update("pods", keyOf(pod), withCondition, { subresource: "status" });
  store.create("events", failedSchedulingEvent(updated, { now, message }));
  return updated;
}

function awaitsNode({ kind, spec }: Pod): boolean {
  if (kind !== "Pod" || spec === undefined) return false;
  return (spec.nodeName ?? "") === "" && (spec.schedulingGates ?? []).length === 0;
}

function withNode(pod: KubeObject, nodeName: string): KubeObject {
  return { ...pod, spec: { ...(pod as Pod).spec, nodeName } };
}

function keyOf({ metadata: { namespace = "", name = "" } }: KubeObject) {
  return { namespace, name };
}

function announce({ store, clock }: ApiContext, pod: KubeObject): void {
  store.create("events", scheduledEvent(pod, { now: clock.now() }));
}

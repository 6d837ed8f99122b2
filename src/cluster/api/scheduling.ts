/** Assigns Pods to the single node: with no choice to make there is no scheduler, but there are its refusals and events. */
import type { Pod, PodCondition, PodSpec } from "../../../generated/kubernetes.ts";
import { takenHostPort } from "../../k8s/host-ports.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { placeOf } from "../../k8s/object-name.ts";
import { isFinished } from "../../k8s/pod.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { Store } from "../store/store.ts";
import type { Admit, ApiContext } from "./api-context.ts";
import { whyUnclaimed } from "./claim-fit.ts";
import { PORTS_TAKEN, refusalOfPod, whyUnfit } from "../../k8s/node-fit.ts";
import { failedSchedulingEvent, scheduledEvent } from "./scheduled-event.ts";

/** What scheduling needs of the API. */
export type SchedulingContext = Pick<ApiContext, "store" | "clock" | "nodeName">;

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
export function announceScheduled(context: SchedulingContext, given: KubeObject, created: KubeObject): void {
  if (!awaitsNode(given)) return;
  if (!awaitsNode(created)) announce(context, created);
  else bindWaiting(context, created);
}

/** What a change sets free: the Pod whose last gate went, and every waiting Pod when the node changed. */
export function bindFreed(context: SchedulingContext, changed: KubeObject): KubeObject {
  if (changed.kind === "Node") for (const pod of context.store.list("pods").items) bindWaiting(context, pod);
  return changed.kind === "Pod" ? bindWaiting(context, changed) : changed;
}

/** The binding is a write of its own, as the scheduler's would be. */
function bindWaiting(context: SchedulingContext, pod: KubeObject): KubeObject {
  if (!awaitsNode(pod) || pod.metadata.deletionTimestamp !== undefined) return pod;
  const refusal = refusalOf(context, pod);
  if (refusal !== undefined) return refuse(context, pod, refusal);
  const bound = context.store.update("pods", placeOf(pod), (current) => withNode(current, context.nodeName));
  announce(context, bound);
  return bound;
}

/** Tries Pods that wait again when a claim or another Pod changes, until the returned function is called. */
export function followWaiting(context: SchedulingContext): () => void {
  const { store } = context;
  const waiting = new Map<string, { readonly namespace: string; readonly name: string }>();
  const retry = () => {
    for (const at of waiting.values()) {
      const pod = store.get("pods", at);
      if (pod !== undefined) bindWaiting(context, pod);
    }
  };
  const stops = [
    store.watch("pods", {}, ({ type, object }) => {
      if (type === "BOOKMARK") return;
      const key = object.metadata.uid ?? "";
      if (type !== "DELETED" && awaitsNode(object)) waiting.set(key, placeOf(object));
      else {
        waiting.delete(key);
        if (waiting.size > 0 && (type === "DELETED" || isFinished(object))) retry();
      }
    }),
    ...["persistentvolumeclaims", "storageclasses.storage.k8s.io"].map((resource) =>
      store.watch(resource, { sendInitialEvents: false }, retry),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** Empty: it waits, and there is nothing to say. */
function refusalOf({ store, nodeName }: Placement, pod: Pod): string | undefined {
  const unclaimed = whyUnclaimed(store, pod);
  if (unclaimed !== undefined) return unclaimed === "" ? "" : refusalOfPod(unclaimed);
  const node = store.get("nodes", { namespace: "", name: nodeName });
  const unfit = node === undefined ? undefined : whyUnfit(pod, node);
  if (unfit !== undefined || pod.spec === undefined) return unfit;
  const taken = takenHostPort(pod.spec, () => specsOn({ store, nodeName }, pod));
  return taken === undefined ? undefined : PORTS_TAKEN;
}

/** Of the Pods that have the node and have not ended. */
function specsOn({ store, nodeName }: Placement, { metadata }: Pod): PodSpec[] {
  return store.list("pods").items.flatMap((object) => {
    const { spec, metadata: other } = object as Pod;
    const counts = spec?.nodeName === nodeName && other?.uid !== metadata?.uid && !isFinished(object);
    return counts ? [spec] : [];
  });
}

/** Said once for each reason: in the Pod's condition, and as an event. */
function refuse({ store, clock }: SchedulingContext, pod: KubeObject, message: string): KubeObject {
  if (message === "") return pod;
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
  const updated = store.update("pods", placeOf(pod), withCondition, { subresource: "status" });
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

function announce({ store, clock }: SchedulingContext, pod: KubeObject): void {
  store.create("events", scheduledEvent(pod, { now: clock.now() }));
}

/** Keeps one pod of each DaemonSet on every node that is meant for it (controller/daemon). */
import type { KubeObject } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { createEventRecorder, type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import { keyOf, placeOf, placeOfKey } from "../../../k8s/object-name.ts";
import type { ControllerParts } from "../controller.ts";
import { createWorkQueue } from "../work-queue.ts";
import { claimObjects } from "./claim-objects.ts";
import { followPods } from "./follow-pods.ts";
import {
  type ControllerRevision,
  ensureRevision,
  REVISION_LABEL,
  REVISIONS,
  type Revised,
  surplusRevisions,
} from "./controller-revisions.ts";
import { type DaemonNode, type DaemonPlan, type DaemonState, planDaemonSet } from "./daemon-set-plan.ts";
import {
  type DaemonPod,
  daemonPod,
  type DaemonSetObject,
  suitability,
  targetNode,
} from "./daemon-set-pod.ts";
import { daemonSetStatus } from "./daemon-set-status.ts";
import { availableInMs } from "./pod-condition.ts";

export const DAEMON_SETS = "daemonsets.apps";
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15 * 60_000;

/** When pods of a set failed on a node, so that it does not fight with a kubelet that refuses them. */
interface Failure {
  readonly until: number;
  readonly pauseMs: number;
}

interface Context extends ControllerParts {
  readonly events: EventRecorder;
  /** By set and node. */
  readonly failures: Map<string, Failure>;
}

/** Until the returned function is called. */
export function startDaemonSetController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const events = createEventRecorder({ store, clock, component: "daemonset-controller", host: "" });
  const context: Context = { ...parts, events, failures: new Map() };
  const queue = createWorkQueue(clock, async (key) => {
    const waitMs = await sync(context, key);
    if (waitMs !== undefined) queue.addAfter(key, waitMs);
  });
  const addAll = (namespace: string, isMeant: (set: DaemonSetObject) => boolean) => {
    for (const set of store.list(DAEMON_SETS, { namespace }).items as DaemonSetObject[])
      if (isMeant(set)) queue.add(keyOf(set.metadata));
  };
  const stops = [
    store.watch(DAEMON_SETS, {}, ({ object, type }) => {
      if (type !== "BOOKMARK") queue.add(keyOf(object.metadata));
    }),
    followPods({
      store,
      resource: DAEMON_SETS,
      kind: "DaemonSet",
      selectorOf: (object) => (object as DaemonSetObject).spec.selector,
      wake: (key) => queue.add(key),
    }),
    store.watch("nodes", { sendInitialEvents: false }, () => addAll("", () => true)),
  ];
  return () => {
    for (const stop of stops) stop();
    queue.stop();
  };
}

/** Milliseconds after which it wants to be looked at again, if time alone changes something. */
async function sync(context: Context, key: string): Promise<number | undefined> {
  const { store, clock } = context;
  const set = store.get(DAEMON_SETS, placeOfKey(key)) as DaemonSetObject | undefined;
  if (set === undefined) {
    for (const known of context.failures.keys())
      if (known.startsWith(`${key}/`)) context.failures.delete(known);
    return undefined;
  }
  const revised = await revise(context, set);
  const state = stateOf(context, set, revised);
  let failure: unknown;
  let waits: number[] = [];
  try {
    waits = await carryOut(context, state, planDaemonSet(state));
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    failure = error;
  }
  const after = stateOf(context, set, revised);
  writeStatus(context, after, revised.collisionCount);
  truncate(context, after, revised);
  if (failure !== undefined) throw failure;
  const seconds = set.spec.minReadySeconds ?? 0;
  const pods = after.nodes.flatMap((node) => node.pods);
  waits.push(...pods.flatMap((pod) => availableInMs(pod, seconds, clock.now()) ?? []));
  const later = waits.filter((ms) => ms > 0);
  return later.length === 0 ? undefined : Math.min(...later);
}

async function revise({ store, create }: Context, set: DaemonSetObject): Promise<Revised> {
  const { selector } = set.spec;
  const revisions = claimObjects({
    store,
    resource: REVISIONS,
    owner: set,
    selector,
  }) as ControllerRevision[];
  const { collisionCount = 0 } = set.status ?? {};
  return ensureRevision({ store, create, owner: set, revisions, hashLabel: REVISION_LABEL, collisionCount });
}

function stateOf({ store, clock }: Context, set: DaemonSetObject, { revision }: Revised): DaemonState {
  const { selector } = set.spec;
  const pods: DaemonPod[] = claimObjects({ store, resource: "pods", owner: set, selector });
  const created = ({ metadata }: KubeObject) => metadata.creationTimestamp ?? "";
  const sorted = pods.toSorted((a, b) => created(a).localeCompare(created(b)));
  const on = (name: string) => sorted.filter((pod) => targetNode(pod) === name);
  const nodes = store.list("nodes").items.map((node): DaemonNode => {
    const { name = "" } = node.metadata;
    return { ...suitability(set, node), name, pods: on(name) };
  });
  // Nothing may stay on a node that is gone.
  const known = new Set(nodes.map(({ name }) => name));
  const lost = [...new Set(sorted.map((pod) => targetNode(pod) ?? ""))].filter((name) => !known.has(name));
  const gone = lost.map((name) => ({
    shouldRun: false,
    mayStay: false,
    name,
    pods: sorted.filter((pod) => (targetNode(pod) ?? "") === name),
  }));
  const hash = revision.metadata.labels?.[REVISION_LABEL] ?? "";
  return { set, nodes: [...nodes, ...gone], hash, now: clock.now() };
}

/** Milliseconds until failed pods may be removed that have to wait for that. */
async function carryOut(context: Context, state: DaemonState, plan: DaemonPlan): Promise<number[]> {
  const waits: number[] = [];
  for (const pod of plan.remove) {
    const waitMs = plan.ended.includes(pod) ? tellEnded(context, state.set, pod) : 0;
    if (waitMs > 0) waits.push(waitMs);
    else remove(context, state.set, pod);
  }
  for (const node of plan.create) await createOn(context, state, node);
  return waits;
}

/** Milliseconds that a failed pod is left, growing with every failure on that node (`failedPodsBackoff`). */
function tellEnded({ events, failures, clock }: Context, set: DaemonSetObject, pod: DaemonPod): number {
  const node = targetNode(pod) ?? "";
  const what = `${pod.metadata.namespace}/${pod.metadata.name} on node ${node}`;
  const about = referenceTo(set);
  if (pod.status?.phase === "Succeeded") {
    const message = `Found succeeded daemon pod ${what}, will try to delete it`;
    events.record({ about, type: "Normal", reason: "SucceededDaemonPod", message });
    return 0;
  }
  const key = `${keyOf(set.metadata)}/${node}`;
  const now = clock.monotonic();
  const known = failures.get(key);
  if (known !== undefined && now < known.until) return known.until - now;
  // Long without failure: all is forgiven.
  const isRecent = known !== undefined && now < known.until + 2 * LONGEST_PAUSE_MS;
  const pauseMs = isRecent ? Math.min(known.pauseMs * 2, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
  failures.set(key, { until: now + pauseMs, pauseMs });
  const message = `Found failed daemon pod ${what}, will try to kill it`;
  events.record({ about, type: "Warning", reason: "FailedDaemonPod", message });
  return 0;
}

function remove({ store, events }: Context, set: DaemonSetObject, pod: DaemonPod): void {
  const { uid, name = "" } = pod.metadata;
  const preconditions = uid === undefined ? {} : { uid };
  try {
    store.delete("pods", placeOf(pod), { preconditions });
  } catch (error) {
    if (error instanceof StatusError && (error.reason === "NotFound" || error.reason === "Conflict")) return;
    throw error;
  }
  const message = `Deleted pod: ${name}`;
  events.record({ about: referenceTo(set), type: "Normal", reason: "SuccessfulDelete", message });
}

async function createOn(
  { create, events }: Context,
  { set, hash }: DaemonState,
  node: string,
): Promise<void> {
  const about = referenceTo(set);
  try {
    const { metadata } = await create("pods", daemonPod(set, node, hash));
    const message = `Created pod: ${metadata.name ?? ""}`;
    events.record({ about, type: "Normal", reason: "SuccessfulCreate", message });
  } catch (error) {
    if (error instanceof StatusError) {
      const message = `Error creating: ${error.message}`;
      events.record({ about, type: "Warning", reason: "FailedCreate", message });
    }
    throw error;
  }
}

function writeStatus({ store }: Context, state: DaemonState, collisionCount: number): void {
  const { set } = state;
  if (store.get(DAEMON_SETS, placeOf(set))?.metadata.uid !== set.metadata.uid) return;
  const status = daemonSetStatus(state, collisionCount);
  store.update(DAEMON_SETS, placeOf(set), (current) => ({ ...current, status }), { subresource: "status" });
}

/** The limit is for those before the newest. */
function truncate({ store }: Context, { set, nodes }: DaemonState, { revision, revisions }: Revised): void {
  if (set.metadata.deletionTimestamp !== undefined) return;
  const labels = nodes.flatMap(({ pods }) => pods.map(({ metadata }) => metadata.labels?.[REVISION_LABEL]));
  const isLive = (one: ControllerRevision) =>
    one.metadata.name === revision.metadata.name || labels.includes(one.metadata.labels?.[REVISION_LABEL]);
  for (const one of surplusRevisions(revisions, isLive, set.spec.revisionHistoryLimit ?? 10))
    store.delete(REVISIONS, placeOf(one));
}

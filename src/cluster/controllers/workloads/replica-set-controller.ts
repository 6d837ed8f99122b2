/** Keeps as many pods alive as each ReplicaSet and ReplicationController asks for (`pkg/controller/replicaset`). */
import type { Pod } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { labelSelectorOf } from "../../../k8s/selectors.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { createEventRecorder, type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import { keyOf, placeOf, placeOfKey } from "../../../k8s/object-name.ts";
import { controllerOf, type ControllerParts } from "../controller.ts";
import { createWorkQueue } from "../work-queue.ts";
import { claimObjects } from "./claim-objects.ts";
import { followPods } from "./follow-pods.ts";
import { isPodActive } from "./pod-condition.ts";
import { podFromTemplate } from "./pod-from-template.ts";
import {
  REPLICA_SET_KIND,
  REPLICATION_CONTROLLER_KIND,
  type ReplicaKind,
  type ReplicaOwner,
  replicaOwner,
} from "./replica-set-owner.ts";
import { nextAvailableInMs, type ReplicaFailure, replicaStatus } from "./replica-set-status.ts";
import { chooseVictims } from "./replica-set-victims.ts";

/** How many pods one look creates or deletes at most (`BurstReplicas`); the pods' own events bring the next look. */
const MOST_AT_ONCE = 500;

type StoredPod = KubeObject & Pod;

/** Watches until the returned function is called. */
export function startReplicaSetController(parts: ControllerParts): () => void {
  return startReplicaController(parts, REPLICA_SET_KIND);
}

/** The same for the older kind. */
export function startReplicationController(parts: ControllerParts): () => void {
  return startReplicaController(parts, REPLICATION_CONTROLLER_KIND);
}

function startReplicaController(parts: ControllerParts, kind: ReplicaKind): () => void {
  const { store, clock } = parts;
  const events = createEventRecorder({ store, clock, component: kind.component, host: "" });
  const queue = createWorkQueue(clock, (key) => sync({ ...parts, kind, events, queue }, key));
  const stops = [
    store.watch(kind.resource, {}, ({ object }) => queue.add(keyOf(object.metadata))),
    followPods({
      store,
      ...kind,
      selectorOf: (object) => replicaOwner(object).selector,
      wake: (key) => queue.add(key),
    }),
  ];
  return () => {
    queue.stop();
    for (const stop of stops) stop();
  };
}

interface Replication extends ControllerParts {
  readonly kind: ReplicaKind;
  readonly events: EventRecorder;
  readonly queue: { addAfter(key: string, milliseconds: number): void };
}

async function sync(replication: Replication, key: string): Promise<void> {
  const { store, clock, kind, queue } = replication;
  const owner = read(replication, key);
  if (owner === undefined) return;
  const pods = claimPods(replication, owner);
  const failure =
    owner.object.metadata.deletionTimestamp === undefined
      ? await manageReplicas(replication, owner, pods)
      : undefined;
  const current = read(replication, key);
  if (current === undefined || current.object.metadata.uid !== owner.object.metadata.uid) return;
  // What has just been made and deleted counts already.
  const now = clock.now();
  const known = controlledPods(replication, current);
  const status = replicaStatus(current, { pods: known, failure: failure?.shown, now });
  store.update(kind.resource, placeOf(current.object), (object) => ({ ...object, status }), {
    subresource: "status",
  });
  if (failure !== undefined) throw failure.error;
  const wait = nextAvailableInMs(current, known, now);
  if (wait !== undefined) queue.addAfter(key, wait);
}

function read({ store, kind }: Replication, key: string): ReplicaOwner | undefined {
  const object = store.get(kind.resource, placeOfKey(key));
  return object === undefined ? undefined : replicaOwner(object);
}

function claimPods({ store }: Replication, { object, selector }: ReplicaOwner): StoredPod[] {
  return claimObjects({ store, resource: "pods", owner: object, selector });
}

function controlledPods({ store }: Replication, { object }: ReplicaOwner): StoredPod[] {
  const { namespace = "", uid } = object.metadata;
  const matches = (pod: KubeObject) => controllerOf(pod)?.uid === uid;
  return [...store.list("pods", { namespace, matches }).items] as StoredPod[];
}

interface Failed {
  readonly error: StatusError;
  /** What the status says of it; nothing in a namespace that is going. */
  readonly shown: ReplicaFailure;
}

async function manageReplicas(
  replication: Replication,
  owner: ReplicaOwner,
  pods: readonly StoredPod[],
): Promise<Failed | undefined> {
  const active = pods.filter(isPodActive);
  const missing = Math.min(owner.replicas - active.length, MOST_AT_ONCE);
  // A pod that its owner's selector misses would be released at once, and another one made, for ever.
  const isSelected = labelSelectorOf(owner.selector).matches(owner.template.metadata?.labels);
  if (missing > 0) return isSelected ? await createPods(replication, owner, missing) : undefined;
  const count = Math.min(-missing, MOST_AT_ONCE);
  for (const pod of chooseVictims(active, { count, now: replication.clock.now() })) {
    deletePod(replication, owner, pod);
  }
  return undefined;
}

/** One, then two, then four, ...: where the first is refused, the others need not be tried (`slowStartBatch`). */
async function createPods(
  replication: Replication,
  owner: ReplicaOwner,
  count: number,
): Promise<Failed | undefined> {
  let left = count;
  for (let size = 1; left > 0; size *= 2) {
    const batch = Math.min(size, left);
    const tries = Array.from({ length: batch }, () => createPod(replication, owner));
    const error = (await Promise.all(tries)).find((failed) => failed !== undefined);
    if (error !== undefined) return { error, shown: { reason: "FailedCreate", message: error.message } };
    left -= batch;
  }
  return undefined;
}

/** What it was refused with, if it was; in a namespace that is going that is nobody's concern. */
async function createPod(
  { create, events }: Replication,
  owner: ReplicaOwner,
): Promise<StatusError | undefined> {
  const about = referenceTo(owner.object);
  try {
    const { metadata } = await create("pods", podFromTemplate(owner.object, owner.template));
    events.record({
      about,
      type: "Normal",
      reason: "SuccessfulCreate",
      message: `Created pod: ${metadata.name ?? ""}`,
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    if (error.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating") === true)
      return undefined;
    events.record({
      about,
      type: "Warning",
      reason: "FailedCreate",
      message: `Error creating: ${error.message}`,
    });
    return error;
  }
}

function deletePod({ store, events }: Replication, { object }: ReplicaOwner, pod: StoredPod): void {
  const { namespace = "", name = "", uid = "" } = pod.metadata;
  try {
    store.delete("pods", { namespace, name }, { preconditions: { uid } });
  } catch (error) {
    // Somebody was faster.
    if (error instanceof StatusError && (error.reason === "NotFound" || error.reason === "Conflict")) return;
    throw error;
  }
  const message = `Deleted pod: ${name}`;
  events.record({ about: referenceTo(object), type: "Normal", reason: "SuccessfulDelete", message });
}

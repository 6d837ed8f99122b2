/** Keeps StatefulSets' pods in their order, with their names and their claims (controller/statefulset). */
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { createEventRecorder, type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import { keyOf, placeOf, placeOfKey } from "../../../k8s/object-name.ts";
import { controllerOf, type ControllerParts } from "../controller.ts";
import { createWorkQueue } from "../work-queue.ts";
import { claimObjects } from "./claim-objects.ts";
import { followPods } from "./follow-pods.ts";
import {
  type ControllerRevision,
  ensureRevision,
  REVISIONS,
  type Revised,
  surplusRevisions,
  templateOf,
} from "./controller-revisions.ts";
import { CLAIMS, hasStaleClaim, retainClaims } from "./stateful-set-claims.ts";
import { createNamePause, type NamePause } from "./name-pause.ts";
import {
  claimsFor,
  identityLabels,
  type MemberPod,
  ordinalOf,
  podFor,
  POD_NAME_LABEL,
  revisionOf,
  type StatefulSetObject,
} from "./stateful-set-identity.ts";
import { planStatefulSet, type StatefulPlan } from "./stateful-set-plan.ts";
import { nextAvailableInMs, statefulSetStatus } from "./stateful-set-status.ts";

export const STATEFUL_SETS = "statefulsets.apps";
/** `history.ControllerRevisionHashLabel` */
const HASH_LABEL = "controller.kubernetes.io/hash";

interface Context extends ControllerParts {
  readonly events: EventRecorder;
  readonly pause: NamePause;
}

/** Until the returned function is called. */
export function startStatefulSetController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const context = {
    ...parts,
    pause: createNamePause(clock),
    events: createEventRecorder({ store, clock, component: "statefulset-controller", host: "" }),
  };
  const queue = createWorkQueue(clock, async (key) => {
    const waitMs = await sync(context, key);
    if (waitMs !== undefined) queue.addAfter(key, waitMs);
  });
  const addAll = (namespace: string, isMeant: (set: StatefulSetObject) => boolean) => {
    for (const set of store.list(STATEFUL_SETS, { namespace }).items as StatefulSetObject[])
      if (isMeant(set)) queue.add(keyOf(set.metadata));
  };
  const stops = [
    store.watch(STATEFUL_SETS, {}, ({ object, type }) => {
      if (type !== "BOOKMARK") queue.add(keyOf(object.metadata));
    }),
    followPods({
      store,
      resource: STATEFUL_SETS,
      kind: "StatefulSet",
      selectorOf: (object) => (object as StatefulSetObject).spec.selector,
      wake: (key) => queue.add(key),
      observe: ({ type, object }) => {
        if (type === "DELETED" && controllerOf(object)?.kind === "StatefulSet") context.pause.gone(object);
      },
    }),
    // Some wait for the claims of their predecessors to be gone.
    store.watch(CLAIMS, { sendInitialEvents: false }, ({ object, type }) => {
      if (type === "DELETED")
        addAll(object.metadata.namespace ?? "", ({ spec }) => (spec.volumeClaimTemplates ?? []).length > 0);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    queue.stop();
  };
}

/** Milliseconds after which it wants to be looked at again, if time alone changes something. */
async function sync(context: Context, key: string): Promise<number | undefined> {
  const { store, clock } = context;
  const set = store.get(STATEFUL_SETS, placeOfKey(key)) as StatefulSetObject | undefined;
  if (set === undefined) return undefined;
  const revised = await revise(context, set);
  const current = currentRevision(set, revised);
  const pods = membersOf(context, set);
  const plan = planStatefulSet({
    set,
    pods,
    current: current.metadata.name ?? "",
    update: revised.revision.metadata.name ?? "",
    now: clock.now(),
    isClaimStale: (ordinal) => hasStaleClaim(store, set, ordinal),
  });
  let failure: unknown;
  let pauseMs: number | undefined;
  try {
    if (set.metadata.deletionTimestamp === undefined) await restore(context, set, pods);
    pauseMs = await carryOut(context, { set, plan, revised });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    failure = error;
  }
  const after = membersOf(context, set);
  writeStatus(context, set, { revised, current, pods: after });
  truncate(context, set, { revised, current, pods: after });
  if (failure !== undefined) throw failure;
  const waits = [pauseMs, nextAvailableInMs(set, after, clock.now())].filter((ms) => ms !== undefined);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

/** Only pods named after the set are taken. */
function membersOf({ store }: Context, set: StatefulSetObject): MemberPod[] {
  const isCandidate = (object: KubeObject) => ordinalOf(set, object) !== undefined;
  return claimObjects({ store, resource: "pods", owner: set, selector: set.spec.selector, isCandidate });
}

async function revise({ store, create }: Context, set: StatefulSetObject): Promise<Revised> {
  const revisions = claimObjects({
    store,
    resource: REVISIONS,
    owner: set,
    selector: set.spec.selector,
  }) as ControllerRevision[];
  const { collisionCount = 0 } = set.status ?? {};
  return ensureRevision({ store, create, owner: set, revisions, hashLabel: HASH_LABEL, collisionCount });
}

/** Of a new set, or one whose revision is gone, it is the newest. */
function currentRevision({ status }: StatefulSetObject, { revision, revisions }: Revised) {
  return revisions.find(({ metadata }) => metadata.name === status?.currentRevision) ?? revision;
}

/** What somebody has changed on pods and claims that are there (`UpdateStatefulPod`). */
async function restore(context: Context, set: StatefulSetObject, pods: readonly MemberPod[]): Promise<void> {
  const { store } = context;
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
    const labels = identityLabels(set, ordinal);
    if (pod.metadata.labels?.[POD_NAME_LABEL] !== labels[POD_NAME_LABEL])
      store.update("pods", placeOf(pod), (current) => ({
        ...current,
        metadata: { ...current.metadata, labels: { ...current.metadata.labels, ...labels } },
      }));
    if (pod.status?.phase === "Pending") await createClaims(context, set, ordinal);
  }
  retainClaims(store, set, pods);
}

interface Work {
  readonly set: StatefulSetObject;
  readonly plan: StatefulPlan;
  readonly revised: Revised;
}

/** Milliseconds until a name is free for a pod that is still to be made. */
async function carryOut(context: Context, { set, plan, revised }: Work): Promise<number | undefined> {
  const { store, create, pause } = context;
  const say = announcerOf(context, set);
  for (const pod of plan.remove) {
    await say("delete", `Pod ${pod.metadata.name ?? ""}`, () => {
      pause.deleting(pod);
      store.delete("pods", placeOf(pod), { preconditions: preconditionsOf(pod) });
    });
  }
  let waitMs: number | undefined;
  for (const { ordinal, revision } of plan.create) {
    const of = revised.revisions.find(({ metadata }) => metadata.name === revision);
    const template = (of === undefined ? undefined : templateOf(of)) ?? set.spec.template;
    const pod = podFor(set, template, { ordinal, revision });
    const leftMs = pause.leftMs(pod);
    if (leftMs > 0) {
      waitMs = Math.min(leftMs, waitMs ?? leftMs);
      continue;
    }
    await createClaims(context, set, ordinal);
    await say("create", `Pod ${pod.metadata.name ?? ""}`, () => create("pods", pod));
  }
  return waitMs;
}

function preconditionsOf({ metadata: { uid } }: KubeObject): { readonly uid?: string } {
  return uid === undefined ? {} : { uid };
}

/** Those that are missing; one that is there is the pod's, whoever made it. */
async function createClaims(context: Context, set: StatefulSetObject, ordinal: number): Promise<void> {
  const { store, create } = context;
  const pod = podFor(set, set.spec.template, { ordinal, revision: "" }).metadata.name ?? "";
  for (const claim of claimsFor(set, ordinal)) {
    if (store.get(CLAIMS, placeOf(claim)) !== undefined) continue;
    const what = `Claim ${claim.metadata.name ?? ""} Pod ${pod}`;
    await announcerOf(context, set, "success")("create", what, () => create(CLAIMS, claim));
  }
}

/** Does something, and says in the set's events how it went (`recordPodEvent`, `recordClaimEvent`). */
function announcerOf({ events }: Context, set: StatefulSetObject, success = "successful") {
  return async (verb: "create" | "delete", what: string, act: () => unknown): Promise<void> => {
    const about = referenceTo(set);
    const kind = verb === "create" ? "Create" : "Delete";
    const sentence = `${verb} ${what} in StatefulSet ${set.metadata.name ?? ""}`;
    try {
      await act();
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (verb === "delete" && (error.reason === "NotFound" || error.reason === "Conflict")) return;
      const message = `${sentence} failed error: ${error.message}`;
      events.record({ about, type: "Warning", reason: `Failed${kind}`, message });
      throw error;
    }
    const message = `${sentence} ${success}`;
    events.record({ about, type: "Normal", reason: `Successful${kind}`, message });
  };
}

interface Outcome {
  readonly revised: Revised;
  readonly current: ControllerRevision;
  readonly pods: readonly MemberPod[];
}

function writeStatus({ store, clock }: Context, set: StatefulSetObject, outcome: Outcome): void {
  const { revised, current, pods } = outcome;
  const facts = {
    set,
    pods,
    current: current.metadata.name ?? "",
    update: revised.revision.metadata.name ?? "",
    collisionCount: revised.collisionCount,
    now: clock.now(),
  };
  update(store, STATEFUL_SETS, set, (now) => ({ ...now, status: statefulSetStatus(facts) }));
}

/** Nothing when the object has gone, or is another by now. */
function update(
  store: Context["store"],
  resource: GroupResource,
  object: KubeObject,
  change: (current: KubeObject) => KubeObject,
): void {
  const at = placeOf(object);
  if (store.get(resource, at)?.metadata.uid !== object.metadata.uid) return;
  store.update(resource, at, change, { subresource: "status" });
}

/** Revisions that nothing is of, beyond the limit, are forgotten. */
function truncate({ store }: Context, set: StatefulSetObject, { revised, current, pods }: Outcome): void {
  if (set.metadata.deletionTimestamp !== undefined) return;
  const live = new Set([
    current.metadata.name,
    revised.revision.metadata.name,
    ...pods.map((pod) => revisionOf(pod)),
  ]);
  const limit = set.spec.revisionHistoryLimit ?? 10;
  const isLive = ({ metadata }: ControllerRevision) => live.has(metadata.name);
  for (const revision of surplusRevisions(revised.revisions, isLive, limit))
    store.delete(REVISIONS, placeOf(revision));
}

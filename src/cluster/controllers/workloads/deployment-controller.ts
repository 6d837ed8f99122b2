/** Rolls Deployments out: the effects of what the plans of the other files say (`pkg/controller/deployment`). */
import type { DeploymentStatus, Pod } from "../../../../generated/kubernetes.ts";
import { isFinished } from "../../../k8s/pod.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { labelSelectorOf } from "../../../k8s/selectors.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { createEventRecorder } from "../../store/event-recorder.ts";
import type { Store } from "../../store/store.ts";
import { keyOf, placeOfKey } from "../../../k8s/object-name.ts";
import { controllerOf, type ControllerParts } from "../controller.ts";
import { createWorkQueue } from "../work-queue.ts";
import { claimObjects } from "./claim-objects.ts";
import { pauseClaim, withCondition } from "./deployment-conditions.ts";
import { revisionsToForget } from "./deployment-history.ts";
import { isRollingUpdate } from "./deployment-limits.ts";
import { createNewest, type DeploymentParts, refreshNewest } from "./deployment-newest.ts";
import { DEPLOYMENTS, type Revisions, sortRevisions, type StoredDeployment } from "./deployment-revision.ts";
import { isScaled, planScaling } from "./deployment-scale.ts";
import { isComplete, plainStatus, progressLeftMs, rolloutStatus } from "./deployment-status.ts";
import { planRecreate, planRollingUpdate, type RecreateStep } from "./deployment-steps.ts";
import { applyScalings, writeStatus } from "./deployment-writes.ts";
import { type Ownership, ownersOf } from "./follow-pods.ts";
import { REPLICA_SETS, type StoredReplicaSet } from "./replica-set-owner.ts";

/** A deadline is looked at when it has passed for certain: times in a status are whole seconds. */
const AFTER_DEADLINE_MS = 1000;

/** Watches until the returned function is called. */
export function startDeploymentController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const events = createEventRecorder({ store, clock, component: "deployment-controller", host: "" });
  const queue = createWorkQueue(clock, (key) => sync({ ...parts, events, queue }, key));
  const ownership: Ownership = {
    store,
    resource: DEPLOYMENTS,
    kind: "Deployment",
    selectorOf: (object) => (object as StoredDeployment).spec?.selector,
  };
  const wakeOwners = (set: KubeObject) => {
    for (const { metadata } of ownersOf(ownership, set)) queue.add(keyOf(metadata));
  };
  const stops = [
    store.watch(DEPLOYMENTS, {}, ({ object }) => queue.add(keyOf(object.metadata))),
    store.watch(REPLICA_SETS, {}, ({ object }) => wakeOwners(object)),
    // What a Recreate waits for.
    store.watch("pods", {}, ({ type, object }) => {
      if (type !== "DELETED" && !isFinished(object)) return;
      const { namespace = "" } = object.metadata;
      const owner = controllerOf(object);
      if (owner?.kind !== "ReplicaSet") return;
      const set = store.get(REPLICA_SETS, { namespace, name: owner.name });
      if (set !== undefined) wakeOwners(set);
    }),
  ];
  return () => {
    queue.stop();
    for (const stop of stops) stop();
  };
}

/** `syncDeployment`. */
async function sync(parts: DeploymentParts, key: string): Promise<void> {
  const { store, clock } = parts;
  const found = read(store, key);
  if (found === undefined) return;
  const selector = found.spec?.selector;
  const sets = claimObjects({ store, resource: REPLICA_SETS, owner: found, selector }) as StoredReplicaSet[];
  const now = clock.now();
  if (found.metadata.deletionTimestamp !== undefined) {
    writeStatus(store, found, plainStatus(sortRevisions(found, sets), now));
    return;
  }
  const deployment = markPause(store, found, now);
  const revisions = refreshNewest(parts, sortRevisions(deployment, sets));
  const isPaused = deployment.spec?.paused === true;
  if (isPaused || isScaled(revisions)) {
    const scaled = applyScalings(parts, revisions, planScaling(revisions));
    if (isPaused) forgetRevisions(store, scaled);
    writeStatus(store, scaled.deployment, plainStatus(scaled, now));
    return;
  }
  const step = isRollingUpdate(deployment) ? rollingStep(revisions) : recreateStep(store, revisions);
  if (step === "create") {
    // What was created wakes this up again.
    await createNewest(parts, revisions);
    return;
  }
  finishStep(parts, key, { revisions, step });
}

interface Step {
  readonly revisions: Revisions;
  readonly step: Exclude<RecreateStep, "create">;
}

function finishStep(parts: DeploymentParts, key: string, { revisions, step }: Step): void {
  const { store, clock, queue } = parts;
  const now = clock.now();
  const scalings = step === "wait" ? [] : step;
  const after = applyScalings(parts, revisions, scalings);
  if (
    scalings.length === 0 &&
    step !== "wait" &&
    isComplete(after.deployment, after.deployment.status ?? {})
  ) {
    forgetRevisions(store, after);
  }
  const status: DeploymentStatus = rolloutStatus(after, now);
  writeStatus(store, after.deployment, status);
  const left = progressLeftMs(after.deployment, status, now);
  if (left !== undefined) queue.addAfter(key, Math.max(0, left) + AFTER_DEADLINE_MS);
}

function read(store: Store, key: string): StoredDeployment | undefined {
  return store.get(DEPLOYMENTS, placeOfKey(key));
}

function markPause(store: Store, deployment: StoredDeployment, now: number): StoredDeployment {
  const claim = pauseClaim(deployment);
  if (claim === undefined) return deployment;
  const conditions = [...withCondition(deployment.status?.conditions ?? [], claim, now)];
  return writeStatus(store, deployment, { ...deployment.status, conditions });
}

function rollingStep(revisions: Revisions): RecreateStep {
  return revisions.newest === undefined ? "create" : planRollingUpdate(revisions);
}

function recreateStep(store: Store, revisions: Revisions): RecreateStep {
  return planRecreate(revisions, isOldPodThere(store, revisions));
}

/** Pods of old ReplicaSets, those that are still ending too; finished ones run nothing any more (`oldPodsRunning`). */
function isOldPodThere(store: Store, { deployment, newest, old }: Revisions): boolean {
  const { namespace = "" } = deployment.metadata;
  const selected = labelSelectorOf(deployment.spec?.selector);
  const known = new Set(old.map(({ metadata }) => metadata.uid));
  return store
    .list("pods", { namespace })
    .items.filter((pod) => {
      const owner = controllerOf(pod)?.uid;
      if (owner !== undefined && known.has(owner)) return true;
      return owner !== newest?.metadata.uid && selected.matches(pod.metadata.labels);
    })
    .some((pod: Pod) => !isFinished(pod));
}

function forgetRevisions(store: Store, revisions: Revisions): void {
  for (const { metadata } of revisionsToForget(revisions)) {
    const { namespace = "", name = "", uid = "" } = metadata;
    try {
      store.delete(REPLICA_SETS, { namespace, name }, { preconditions: { uid } });
    } catch (error) {
      if (!(error instanceof StatusError && error.reason === "NotFound")) throw error;
    }
  }
}

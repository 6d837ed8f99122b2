/** Makes the ReplicaSet of a Deployment's template, or takes up the one that is there (`getNewReplicaSet`). */
import { StatusError } from "../../../k8s/status-error.ts";
import { type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import type { Store } from "../../store/store.ts";
import { controllerOf, type ControllerParts } from "../controller.ts";
import { newestAnnotations, REVISION } from "./deployment-annotations.ts";
import {
  type Claim,
  conditionOf,
  progressDeadline,
  PROGRESSING,
  withCondition,
} from "./deployment-conditions.ts";
import { isRollingUpdate, rolloutLimits } from "./deployment-limits.ts";
import {
  DEPLOYMENTS,
  isSameTemplate,
  newReplicaSet,
  nextRevision,
  type Revisions,
  type StoredDeployment,
} from "./deployment-revision.ts";
import { rollingSize } from "./deployment-steps.ts";
import { recordScaling, updateSet, writeStatus } from "./deployment-writes.ts";
import { REPLICA_SETS, type StoredReplicaSet } from "./replica-set-owner.ts";

export interface DeploymentParts extends ControllerParts {
  readonly events: EventRecorder;
  readonly queue: { addAfter(key: string, milliseconds: number): void };
}

/** The one that is there gets its number, annotations and `minReadySeconds`; both then name one revision. */
export function refreshNewest({ store, clock }: DeploymentParts, revisions: Revisions): Revisions {
  const { deployment, newest, old } = revisions;
  if (newest === undefined) return revisions;
  const annotations = newestAnnotations(newest, deployment, nextRevision(old));
  const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
  const refreshed = updateSet(store, newest, (current) => ({
    ...current,
    metadata: { ...current.metadata, annotations },
    spec: { ...withMinReady(current, minReadySeconds) },
  }));
  const numbered = withRevision(store, deployment, refreshed);
  const isKnown = conditionOf(numbered.status, PROGRESSING) !== undefined;
  return {
    deployment: isKnown
      ? numbered
      : claimProgress({ store, now: clock.now() }, numbered, {
          reason: "FoundNewReplicaSet",
          message: `Found new replica set "${refreshed.metadata.name ?? ""}"`,
        }),
    newest: refreshed,
    old,
  };
}

function withMinReady({ spec }: StoredReplicaSet, seconds: number): NonNullable<StoredReplicaSet["spec"]> {
  const { minReadySeconds = 0, ...rest } = spec ?? { selector: {} };
  if (minReadySeconds === seconds && spec !== undefined) return spec;
  return seconds === 0 ? rest : { ...rest, minReadySeconds: seconds };
}

/** The annotation is written with the status, as upstream writes it: it is no new generation. */
function withRevision(store: Store, deployment: StoredDeployment, set: StoredReplicaSet): StoredDeployment {
  const { namespace = "", name = "", annotations = {} } = deployment.metadata;
  const revision = set.metadata.annotations?.[REVISION];
  if (revision === undefined || annotations[REVISION] === revision) return deployment;
  return store.update(
    DEPLOYMENTS,
    { namespace, name },
    ({ metadata, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, annotations: { ...metadata.annotations, [REVISION]: revision } },
    }),
    { subresource: "status" },
  );
}

interface Writing {
  readonly store: Store;
  readonly now: number;
}

function claimProgress(
  { store, now }: Writing,
  deployment: StoredDeployment,
  claim: Pick<Claim, "reason" | "message"> & { readonly status?: Claim["status"] },
): StoredDeployment {
  if (progressDeadline(deployment) === undefined) return deployment;
  const before = deployment.status?.conditions ?? [];
  const conditions = withCondition(before, { type: PROGRESSING, status: "True", ...claim }, now);
  return writeStatus(store, deployment, { ...deployment.status, conditions: [...conditions] });
}

/** Throws the `StatusError` that it was refused with, after having told of it. */
export async function createNewest(parts: DeploymentParts, revisions: Revisions): Promise<void> {
  const { store, clock, events } = parts;
  const { deployment, old } = revisions;
  const limits = rolloutLimits(deployment);
  const replicas = isRollingUpdate(deployment) ? rollingSize(limits, old, 0) : limits.desired;
  const wanted = newReplicaSet(revisions, replicas);
  const name = wanted.metadata.name ?? "";
  try {
    const created = (await parts.create(REPLICA_SETS, wanted)) as StoredReplicaSet;
    if (replicas > 0) recordScaling(events, deployment, { set: created, before: 0, replicas });
    const current = reread(store, deployment);
    if (current === undefined) return;
    const message = `Created new replica set "${name}"`;
    const told = claimProgress({ store, now: clock.now() }, current, {
      reason: "NewReplicaSetCreated",
      message,
    });
    withRevision(store, told, created);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    if (error.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating") === true) return;
    if (error.reason === "AlreadyExists") avoidCollision(store, deployment, wanted);
    else tellFailure(parts, deployment, `Failed to create new replica set "${name}": ${error.message}`);
    throw error;
  }
}

/** It may have changed, or have gone, while webhooks were asked. */
function reread(store: Store, { metadata }: StoredDeployment): StoredDeployment | undefined {
  const { namespace = "", name = "", uid } = metadata;
  const current = store.get(DEPLOYMENTS, { namespace, name });
  return current?.metadata.uid === uid ? current : undefined;
}

/** Somebody else's ReplicaSet has the name: the next attempt will make another one. */
function avoidCollision(store: Store, deployment: StoredDeployment, wanted: StoredReplicaSet): void {
  const { namespace = "", name = "" } = wanted.metadata;
  const taken: StoredReplicaSet | undefined = store.get(REPLICA_SETS, { namespace, name });
  const current = reread(store, deployment);
  if (taken === undefined || current === undefined) return;
  const isOwn = controllerOf(taken)?.uid === deployment.metadata.uid;
  if (isOwn && isSameTemplate(taken.spec?.template, wanted.spec?.template)) return;
  const collisionCount = (current.status?.collisionCount ?? 0) + 1;
  writeStatus(store, current, { ...current.status, collisionCount });
}

function tellFailure(
  { store, clock, events }: DeploymentParts,
  deployment: StoredDeployment,
  message: string,
): void {
  const reason = "ReplicaSetCreateError";
  events.record({ about: referenceTo(deployment), type: "Warning", reason, message });
  const current = reread(store, deployment);
  if (current === undefined) return;
  claimProgress({ store, now: clock.now() }, current, { status: "False", reason, message });
}

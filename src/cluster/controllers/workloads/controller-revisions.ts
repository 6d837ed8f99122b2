/** What a StatefulSet's or DaemonSet's template was at each revision, so that it can be told of and gone back to (controller/history). */
import type { PodTemplateSpec } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { jsonEqual } from "../../../k8s/patch/json.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { isJsonObject } from "../../../lib/frozen-json.ts";
import { type ControllerParts, controllerReference } from "../controller.ts";
import { templateHash } from "./deployment-hash.ts";

export const REVISIONS = "controllerrevisions.apps";
/** `apps.ControllerRevisionHashLabelKey`: on pods, which revision they are of. */
export const REVISION_LABEL = "controller-revision-hash";
const LONGEST_PREFIX = 223;

export interface ControllerRevision extends KubeObject {
  /** Grows with every change; the highest one is the newest. */
  readonly revision?: number;
  /** A strategic merge patch of the owner: what `kubectl rollout undo` sends. */
  readonly data?: unknown;
}

export interface RevisedOwner extends KubeObject {
  readonly spec?: { readonly template: PodTemplateSpec };
}

export interface Revising extends Pick<ControllerParts, "store" | "create"> {
  readonly owner: RevisedOwner;
  /** Of the owner, as `claimObjects` gives them. */
  readonly revisions: readonly ControllerRevision[];
  /** The label of a revision that holds its hash. */
  readonly hashLabel: string;
  readonly collisionCount: number;
}

export interface Revised {
  /** The revision of the owner's template, which is the newest now. */
  readonly revision: ControllerRevision;
  /** With `revision`, oldest first. */
  readonly revisions: readonly ControllerRevision[];
  readonly collisionCount: number;
}

export function numberOf({ revision = 0 }: ControllerRevision): number {
  return revision;
}

/** Finds or makes the revision of the owner's template; one that it had before becomes the newest again. */
export async function ensureRevision(revising: Revising): Promise<Revised> {
  const { store, owner, collisionCount } = revising;
  const revisions = revising.revisions.toSorted((a, b) => numberOf(a) - numberOf(b));
  const data = revisionData(owner);
  const newest = numberOf(revisions.at(-1) ?? owner);
  const equal = revisions.findLast((one) => jsonEqual(one.data, data));
  if (equal === undefined) {
    const made = await make(revising, { data, revision: newest + 1, collisionCount });
    return { ...made, revisions: [...revisions, made.revision] };
  }
  if (numberOf(equal) === newest) return { revision: equal, revisions, collisionCount };
  const { namespace = "", name = "" } = equal.metadata;
  const raised: ControllerRevision = store.update(REVISIONS, { namespace, name }, (current) => ({
    ...current,
    revision: newest + 1,
  }));
  return {
    revision: raised,
    revisions: [...revisions.filter((one) => one !== equal), raised],
    collisionCount,
  };
}

interface Making {
  readonly data: unknown;
  readonly revision: number;
  readonly collisionCount: number;
}

/** A name that something else has is a collision of hashes: another one is tried (`CreateControllerRevision`). */
async function make(
  revising: Revising,
  making: Making,
): Promise<Pick<Revised, "revision" | "collisionCount">> {
  const { create, store, owner, hashLabel } = revising;
  const { data, revision, collisionCount } = making;
  const hash = templateHash(owner.spec?.template ?? {}, collisionCount);
  const { name: ownerName = "", namespace = "", annotations } = owner.metadata;
  const name = `${ownerName.slice(0, LONGEST_PREFIX)}-${hash}`;
  try {
    const created = await create(REVISIONS, {
      apiVersion: "apps/v1",
      kind: "ControllerRevision",
      metadata: {
        name,
        namespace,
        labels: { ...owner.spec?.template.metadata?.labels, [hashLabel]: hash },
        ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
        ownerReferences: [controllerReference(owner)],
      },
      data,
      revision,
    });
    return { revision: created, collisionCount };
  } catch (error) {
    if (!(error instanceof StatusError) || error.reason !== "AlreadyExists") throw error;
    const taken: ControllerRevision | undefined = store.get(REVISIONS, { namespace, name });
    if (taken !== undefined && jsonEqual(taken.data, data)) return { revision: taken, collisionCount };
    return make(revising, { ...making, collisionCount: collisionCount + 1 });
  }
}

/** The patch that makes an owner's template what it is now, keys sorted as Go's encoder writes them. */
export function revisionData({ spec }: RevisedOwner): unknown {
  return { spec: { template: sorted({ ...spec?.template, $patch: "replace" }) } };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}

/** The template of that revision; undefined when the data is not what this controller writes. */
export function templateOf({ data }: ControllerRevision): PodTemplateSpec | undefined {
  const spec = isJsonObject(data) ? data["spec"] : undefined;
  const template = isJsonObject(spec) ? spec["template"] : undefined;
  if (!isJsonObject(template)) return undefined;
  const { $patch: _, ...rest } = template;
  return rest;
}

/** The oldest of those that no pod is of, beyond the limit. `revisions` are sorted, oldest first. */
export function surplusRevisions(
  revisions: readonly ControllerRevision[],
  isLive: (revision: ControllerRevision) => boolean,
  limit: number,
): readonly ControllerRevision[] {
  const idle = revisions.filter((one) => !isLive(one));
  return idle.slice(0, Math.max(0, idle.length - limit));
}

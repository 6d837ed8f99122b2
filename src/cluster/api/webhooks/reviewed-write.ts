/** Writes that webhooks have to see first: nothing is held while they are asked, so that a write that was overtaken begins again. */
import type { GroupResource, KubeObject, ObjectMeta, ObjectName } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import type { AdmissionAttributes } from "../../../k8s/webhooks/match-webhook.ts";
import { conflict, OPTIMISTIC_LOCK } from "../../store/api-errors.ts";
import type { DeleteOptions, Store, UpdateOptions } from "../../store/store.ts";
import type { Asking, MutationRequest, Webhooks } from "./run-webhooks.ts";

/** How often a write begins again that others have overtaken. */
const MOST_ATTEMPTS = 5;

export interface ReviewedWrite {
  readonly webhooks: Webhooks;
  readonly store: Store;
  readonly resource: GroupResource;
  readonly asking: Asking;
}

/** For writes that have an object. */
interface Decoding {
  readonly decode: MutationRequest["decode"];
}

export interface ReviewedCreate extends ReviewedWrite, Decoding {
  readonly attributes: AdmissionAttributes & { readonly object: KubeObject };
  /** The built-in admission steps, once more. */
  readonly again: (object: KubeObject) => KubeObject;
  /** Gives it what only one object can have; throws for what another has got. Changes nothing that is settled. */
  readonly settle: (object: KubeObject) => KubeObject;
  /** What is to be stored of a settled object, checked. */
  readonly finish: (object: KubeObject) => KubeObject;
  /** Told of the new object at once, and of what was left of the request's. */
  readonly announce: (given: KubeObject, created: KubeObject) => void;
}

/** Stores the new object. Rejects with a `StatusError`. */
export async function createReviewed(write: ReviewedCreate): Promise<KubeObject> {
  const { webhooks, store, resource, asking, attributes, again, decode, settle, finish, announce } = write;
  const mutated = (await webhooks.mutate({ ...asking, attributes, again, decode })) ?? attributes.object;
  for (let attempt = 1; ; attempt += 1) {
    const fresh = finish(settle(mutated));
    const { named, shown } = rehearse(fresh, () => store.create(resource, fresh, { dryRun: true }));
    await webhooks.validate({ ...attributes, object: shown }, asking);
    if (attempt < MOST_ATTEMPTS && !isStillFree(named, settle)) continue;
    const created = store.create(resource, named, { dryRun: attributes.dryRun });
    announce(mutated, created);
    return created;
  }
}

/** Who judges an object sees the name that it will have. The uid is another one in the end, unless it was chosen. */
function rehearse(
  fresh: KubeObject,
  store: () => KubeObject,
): { readonly named: KubeObject; readonly shown: KubeObject } {
  const stored = stage(store) ?? fresh;
  const { uid: _, ...metadata } = stored.metadata;
  const { uid } = fresh.metadata;
  return {
    named: { ...fresh, metadata: { ...fresh.metadata, ...nameOf(stored) } },
    shown: { ...stored, metadata: { ...metadata, ...(uid === undefined ? {} : { uid }) } },
  };
}

function nameOf({ metadata: { name } }: KubeObject): Pick<ObjectMeta, "name"> {
  return name === undefined ? {} : { name };
}

/** Undefined for what is there already: webhooks may still have something against it, before the store says so. */
function stage(store: () => KubeObject): KubeObject | undefined {
  try {
    return store();
  } catch (error) {
    if (error instanceof StatusError && error.reason === "AlreadyExists") return undefined;
    throw error;
  }
}

/** What it was given may have gone to another object while webhooks were asked. */
function isStillFree(object: KubeObject, settle: ReviewedCreate["settle"]): boolean {
  try {
    settle(object);
    return true;
  } catch (error) {
    if (error instanceof StatusError) return false;
    throw error;
  }
}

export interface ReviewedChange extends ReviewedWrite, Decoding {
  readonly at: ObjectName;
  readonly attributes: AdmissionAttributes;
  readonly options: UpdateOptions;
  /**
   * What the request makes of the current object, through the built-in admission steps; undefined for what the store has to
   * refuse. Called once per attempt.
   */
  readonly draft: (current: KubeObject) => KubeObject | undefined;
  /** The change as a whole, as it is without webhooks: has the store refuse it in its own words. */
  readonly refuse: () => KubeObject;
  readonly again: (object: KubeObject, current: KubeObject) => KubeObject;
  /** What is to be stored of it, checked. */
  readonly finish: (object: KubeObject, current: KubeObject) => KubeObject;
  /** Where clients see a part of the object as an object of its own. @default all of it */
  readonly view?: ObjectView;
}

/** `scale`: another kind, made of an object, and what it changes of it. */
export interface ObjectView {
  readonly show: (object: KubeObject) => KubeObject;
  readonly take: (object: KubeObject, shown: KubeObject) => KubeObject;
}

const WHOLE: ObjectView = { show: (object) => object, take: (_, shown) => shown };

/** Stores the changed object. Rejects with a `StatusError`: `Conflict` for one that was overtaken again and again. */
export async function changeReviewed(write: ReviewedChange): Promise<KubeObject> {
  const { webhooks, store, resource, at, asking, options, view = WHOLE } = write;
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
    const current = store.get(resource, at);
    const object = current === undefined ? undefined : write.draft(current);
    if (current === undefined || object === undefined) return write.refuse();
    const attributes = { ...write.attributes, object: view.show(object), oldObject: view.show(current) };
    const isOvertaken = () => !isSameVersion(store.get(resource, at), current);
    const again = (one: KubeObject) => (view === WHOLE ? write.again(one, current) : one);
    const shown = await webhooks.mutate({ ...asking, attributes, again, decode: write.decode });
    if (isOvertaken()) continue;
    const next = write.finish(shown === undefined ? object : view.take(object, shown), current);
    const after = store.update(resource, at, () => next, { ...options, dryRun: true });
    await webhooks.validate({ ...attributes, object: view.show(after) }, asking);
    if (!isOvertaken()) return store.update(resource, at, () => next, options);
  }
  throw conflict(resource, at.name, OPTIMISTIC_LOCK);
}

/** Every write gives an object another resourceVersion. */
function isSameVersion(now: KubeObject | undefined, before: KubeObject): boolean {
  const { uid, resourceVersion } = before.metadata;
  return now?.metadata.uid === uid && now?.metadata.resourceVersion === resourceVersion;
}

export interface ReviewedDelete extends ReviewedWrite {
  readonly at: ObjectName;
  readonly attributes: AdmissionAttributes;
  readonly options: DeleteOptions;
}

/** Deletes the object. Rejects with a `StatusError`. */
export async function deleteReviewed(write: ReviewedDelete): Promise<ReturnType<Store["delete"]>> {
  const { webhooks, store, resource, at, asking, options } = write;
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
    const oldObject = store.get(resource, at);
    // What the store would refuse is nobody's business.
    store.delete(resource, at, { ...options, dryRun: true });
    if (oldObject === undefined) break;
    const attributes = { ...write.attributes, oldObject };
    const same = (object: unknown) => object as KubeObject;
    await webhooks.mutate({ ...asking, attributes, again: same, decode: same });
    await webhooks.validate(attributes, asking);
    if (isSameVersion(store.get(resource, at), oldObject)) return store.delete(resource, at, options);
  }
  throw conflict(resource, at.name, OPTIMISTIC_LOCK);
}

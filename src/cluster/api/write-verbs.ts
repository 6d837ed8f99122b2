/** POST and PUT: decode, default, admit, validate, store. */
import type { Pod } from "../../../generated/kubernetes.ts";
import { applyDefaults } from "../../k8s/defaults.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { type ResourceInfo, resourceOf } from "../../k8s/catalogue.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { decodeObject, enforceFieldValidation, type ExpectedKind } from "../../k8s/strict-decode.ts";
import {
  refuseInvalidChange,
  refuseInvalidEphemeralContainers,
  refuseInvalidStatus,
} from "../../k8s/validation.ts";
import type { ApiContext, NamedRequest, ResourceRequest, WriteOperation } from "./api-context.ts";
import { readObjectBody } from "./decode-body.ts";
import { type Answer, type ApiRequest, objectAnswer, type User } from "./exchange.ts";
import { withUpdatedOwners } from "./field-owners.ts";
import { refuseInvalidFresh, withFirstStatus } from "./object-rules.ts";
import { presenterOf } from "./read-verbs.ts";
import { type FieldValidation, writeOptions } from "./request-options.ts";
import { answerReview } from "./reviews.ts";
import { announceScheduled, bindFreed } from "./scheduling.ts";

/** 201 with the new object. */
export async function createObject(resource: ResourceRequest): Promise<Answer> {
  const { context, request, target } = resource;
  const options = writeOptions(request.query, "CreateOptions");
  const object = await decodeRequest(request, target.info, options.fieldValidation);
  const review = answerReview(target.info, object, {
    user: request.user,
    namespace: target.namespace,
    authorizer: context.authorizer,
    now: context.clock.now(),
    verifyToken: context.verifyToken,
  });
  if (review !== undefined) return objectAnswer(review, 201);
  const created = storeNew(resource, { object, dryRun: options.dryRun });
  return objectAnswer(presenterOf(resource).object(created), 201);
}

interface Creation {
  readonly object: KubeObject;
  readonly dryRun: boolean;
  /** Who owns the new object's fields; absent: who has sent them. Gets the object with its defaults. */
  readonly own?: (object: KubeObject) => KubeObject;
}

/** Everything that happens to a new object, however it was sent. */
export function storeNew(resource: ResourceRequest, { object, dryRun, own }: Creation): KubeObject {
  const { context, request, target } = resource;
  warnIfInert(target.info, request);
  return admitNew(context, {
    info: target.info,
    placed: inPlace(object, target),
    own: own ?? ((fresh) => withUpdatedOwners(resource, undefined, fresh)),
    dryRun,
    user: request.user,
    warn: request.warn,
  });
}

/** How controllers create: what a client's objects go through, theirs go through too, but nobody owns their fields. */
export function creatorFor(
  context: ApiContext,
): (resource: GroupResource, object: KubeObject) => Promise<KubeObject> {
  return async (resource, placed) => {
    const info = resourceOf(resource);
    if (info === undefined) throw new Error(`There is no resource ${resource}`);
    return admitNew(context, { info, placed, own: (fresh) => fresh, dryRun: false, warn: () => {} });
  };
}

interface NewObject {
  readonly info: ResourceInfo;
  /** In its namespace. */
  readonly placed: KubeObject;
  readonly own: (object: KubeObject) => KubeObject;
  readonly dryRun: boolean;
  /** Absent for controllers. */
  readonly user?: User;
  readonly warn: (text: string) => void;
}

function admitNew(context: ApiContext, { placed, own, ...given }: NewObject): KubeObject {
  const { info, dryRun } = given;
  const admitted = admit(context, { ...given, object: own(applyDefaults(placed)), operation: "CREATE" });
  const fresh = withFirstStatus(info, admitted);
  refuseInvalidFresh(info, fresh);
  const created = context.store.create(info.groupResource, fresh, { dryRun });
  if (!dryRun) announceScheduled(context, placed, created);
  return created;
}

/** 200 with the changed object; 201 where a PUT may create. */
export async function replaceObject(named: NamedRequest): Promise<Answer> {
  const { context, request, target } = named;
  const { info, name, namespace } = target;
  const options = writeOptions(request.query, "UpdateOptions");
  const object = await decodeRequest(request, info, options.fieldValidation);
  checkName(object, target);
  if (CREATED_BY_UPDATE.has(info.groupResource) && target.subresource === undefined) {
    if (context.store.get(info.groupResource, { namespace, name }) === undefined) {
      return objectAnswer(
        presenterOf(named).object(storeNew(named, { object, dryRun: options.dryRun })),
        201,
      );
    }
  }
  const updated = storeChange(named, { change: () => object, dryRun: options.dryRun });
  return objectAnswer(presenterOf(named).object(updated));
}

/** Resources whose strategy has `AllowCreateOnUpdate`. */
const CREATED_BY_UPDATE: ReadonlySet<string> = new Set([
  "endpoints",
  "events",
  "services",
  "limitranges",
  "leases.coordination.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
]);

interface Change {
  /** The decoded new object; may be called once per attempt. */
  readonly change: (current: KubeObject) => KubeObject;
  readonly dryRun: boolean;
  /** An apply: `change` has settled who owns what. */
  readonly isApply?: boolean;
}

/** Everything that happens to a changed object, however the change was sent. */
export function storeChange(named: NamedRequest, { change, dryRun, isApply = false }: Change): KubeObject {
  const { context, request, target } = named;
  const { info, name, namespace, subresource } = target;
  const part =
    subresource?.name === "status" || subresource?.name === "finalize" ? subresource.name : undefined;
  const isVisit = subresource?.name === "ephemeralcontainers";
  const own = (current: KubeObject, next: KubeObject) =>
    isApply ? next : withUpdatedOwners(named, current, next);
  if (part === undefined) warnIfInert(info, request);
  const updated = context.store.update(
    info.groupResource,
    { namespace, name },
    (current) => {
      const next = inPlace(change(current), target);
      checkName(next, target);
      if (meansAnother(current, next)) return next;
      if (part !== undefined) {
        refuseInvalidStatus(next, current);
        return own(current, next);
      }
      const admitted = admit(context, {
        info,
        object: own(current, applyDefaults(isVisit ? withVisitors(current, next) : next)),
        before: current,
        operation: "UPDATE",
        dryRun,
        user: request.user,
        warn: request.warn,
      });
      (isVisit ? refuseInvalidEphemeralContainers : refuseInvalidChange)(admitted, current);
      return admitted;
    },
    { dryRun, ...(part === undefined ? {} : { subresource: part }) },
  );
  return part === undefined && !dryRun ? bindFreed(context, updated) : updated;
}

/** Only ephemeral containers change here; whatever else a client sent is not looked at (`dropNonEphemeralContainerUpdates`). */
function withVisitors(current: KubeObject, next: KubeObject): KubeObject {
  const { ephemeralContainers } = (next as Pod).spec ?? {};
  const { ephemeralContainers: _, ...spec } = (current as Pod).spec ?? { containers: [] };
  const { resourceVersion } = next.metadata;
  return {
    ...current,
    metadata: { ...current.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: { ...spec, ...(ephemeralContainers === undefined ? {} : { ephemeralContainers }) },
  };
}

/** For a stale object: the store says so, before anybody looks at what is in it. */
function meansAnother(
  current: KubeObject,
  { metadata: { uid = "", resourceVersion = "" } }: KubeObject,
): boolean {
  const isStale = !["", "0", current.metadata.resourceVersion].includes(resourceVersion);
  return isStale || !["", current.metadata.uid].includes(uid);
}

/** The object in a request's body; warns or refuses what its kind does not know, as the request wishes. */
export async function decodeRequest(
  request: ApiRequest,
  info: ExpectedKind,
  fieldValidation: FieldValidation,
): Promise<KubeObject> {
  const { value, duplicates } = await readObjectBody(request, info);
  const { object, strictErrors } = decodeObject(value, info, duplicates);
  for (const text of enforceFieldValidation(strictErrors, fieldValidation, info)) request.warn(text);
  return object;
}

interface Admission {
  readonly info: ResourceInfo;
  readonly object: KubeObject;
  readonly before?: KubeObject;
  readonly operation: WriteOperation;
  readonly dryRun: boolean;
  readonly user?: User;
  readonly warn: (text: string) => void;
}

function admit({ admit: steps }: ApiContext, admission: Admission): KubeObject {
  const admitted = steps.reduce((object, step) => step({ ...admission, object }), admission.object);
  // What a step has added has defaults of its own.
  return admitted === admission.object ? admitted : applyDefaults(admitted);
}

/** Fills the namespace from the path, or takes it away where there is none (`EnsureObjectNamespaceMatchesRequestNamespace`). */
function inPlace(object: KubeObject, { info, namespace }: ResourceRequest["target"]): KubeObject {
  const { namespace: given = "", ...metadata } = object.metadata;
  if (!info.namespaced) return { ...object, metadata };
  if (given === "" || given === namespace) return { ...object, metadata: { ...metadata, namespace } };
  throw new StatusError(
    "BadRequest",
    "the namespace of the provided object does not match the namespace sent on the request",
  );
}

function checkName(object: KubeObject, { name }: { readonly name: string }): void {
  const given = object.metadata.name ?? "";
  if (given === name) return;
  throw new StatusError(
    "BadRequest",
    given === ""
      ? `the name of the object (${name} based on URL) was undeterminable: name must be provided`
      : `the name of the object (${given}) does not match the name on the URL (${name})`,
  );
}

function warnIfInert({ actedOn, kind }: ResourceInfo, { warn }: ApiRequest): void {
  if (!actedOn) warn(`pillion: ${kind} objects are stored, but nothing acts on them yet`);
}

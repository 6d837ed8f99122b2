/** Stores new objects: defaults, admission, webhooks where there are some, checks. */
import { type ResourceInfo, resourceOf } from "../../k8s/catalogue.ts";
import { applyDefaults } from "../../k8s/defaults.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { decodeObject } from "../../k8s/strict-decode.ts";
import { admit, inPlace, warnIfInert } from "./admission-steps.ts";
import type { Admit, ApiContext, NamedRequest, ResourceRequest } from "./api-context.ts";
import type { ApiRequest } from "./exchange.ts";
import { withUpdatedOwners } from "./field-owners.ts";
import { refuseInvalidFresh, withFirstStatus } from "./object-rules.ts";
import { announceScheduled } from "./scheduling.ts";
import { attributesOf, controllerOf, optionsOf } from "./webhooks/admission-attributes.ts";
import { createReviewed } from "./webhooks/reviewed-write.ts";

export interface Creation {
  readonly object: KubeObject;
  readonly dryRun: boolean;
  /** Who owns the new object's fields; absent: who has sent them. Gets the object with its defaults. */
  readonly own?: (object: KubeObject) => KubeObject;
}

/** Everything that happens to a new object, however it was sent. */
export async function storeNew(
  resource: ResourceRequest,
  { object, dryRun, own }: Creation,
): Promise<KubeObject> {
  const { context, request, target } = resource;
  warnIfInert(target.info, request);
  return await admitNew(context, {
    info: target.info,
    placed: inPlace(object, target),
    own: own ?? ((fresh) => withUpdatedOwners(resource, undefined, fresh)),
    dryRun,
    request,
    warn: request.warn,
  });
}

/** For requests that create what is not there. Undefined for what is, also when it came while webhooks were asked. */
export async function storeMissing(named: NamedRequest, creation: Creation): Promise<KubeObject | undefined> {
  const { info, namespace, name } = named.target;
  const isThere = () => named.context.store.get(info.groupResource, { namespace, name }) !== undefined;
  if (isThere()) return undefined;
  try {
    return await storeNew(named, creation);
  } catch (error) {
    if (error instanceof StatusError && error.reason === "AlreadyExists" && isThere()) return undefined;
    throw error;
  }
}

/** How controllers create: what a client's objects go through, theirs go through too, but nobody owns their fields. */
export function creatorFor(
  context: ApiContext,
): (resource: GroupResource, object: KubeObject) => Promise<KubeObject> {
  return async (resource, placed) => {
    const info = resourceOf(resource);
    if (info === undefined) throw new Error(`There is no resource ${resource}`);
    return await admitNew(context, { info, placed, own: (fresh) => fresh, dryRun: false, warn: () => {} });
  };
}

interface NewObject {
  readonly info: ResourceInfo;
  /** In its namespace. */
  readonly placed: KubeObject;
  readonly own: (object: KubeObject) => KubeObject;
  readonly dryRun: boolean;
  /** Absent for controllers. */
  readonly request?: ApiRequest;
  readonly warn: (text: string) => void;
}

async function admitNew(context: ApiContext, given: NewObject): Promise<KubeObject> {
  const { info, placed, own, dryRun } = given;
  const { store, webhooks } = context;
  const { through, finish, announce } = creationSteps(context, given);
  const draft = own(applyDefaults(placed));
  const isConcerned = webhooks.concern({ operation: "CREATE", info, subresource: "" });
  if (!isConcerned || !hasPlace(context, placed)) {
    const fresh = finish(through([...context.admit, ...context.settle], draft));
    const created = store.create(info.groupResource, fresh, { dryRun });
    announce(placed, created);
    return created;
  }
  const { namespace = "" } = placed.metadata;
  return await createReviewed({
    webhooks,
    store,
    resource: info.groupResource,
    asking: { warn: given.warn, signal: given.request?.signal },
    attributes: { ...attributesOfNew(given), object: through(context.admit, draft) },
    again: (object) => through(context.admit, object),
    decode: (value) => applyDefaults(decodeObject(value, info).object),
    settle: (object) => through(context.settle, inPlace(object, { info, namespace })),
    finish,
    announce,
  });
}

function creationSteps(context: ApiContext, { info, dryRun, request, warn }: NewObject) {
  const user = request === undefined ? {} : { user: request.user };
  return {
    through: (steps: readonly Admit[], object: KubeObject) =>
      admit(steps, { info, dryRun, warn, ...user, object, operation: "CREATE" }),
    finish(this: void, object: KubeObject) {
      const fresh = withFirstStatus(info, object);
      refuseInvalidFresh(info, fresh);
      return fresh;
    },
    announce(this: void, object: KubeObject, created: KubeObject) {
      if (!dryRun) announceScheduled(context, object, created);
    },
  };
}

function attributesOfNew({ info, placed, dryRun, request }: NewObject) {
  const { namespace = "", name = "" } = placed.metadata;
  const user = request?.user ?? controllerOf(placed);
  const options = optionsOf("CreateOptions", request?.query);
  return attributesOf({ operation: "CREATE", info, namespace, name, dryRun, user, options });
}

/** False where the store will say that the namespace is not there, or is going: nobody else's business (`NamespaceLifecycle`). */
function hasPlace({ store }: ApiContext, { metadata: { namespace = "" } }: KubeObject): boolean {
  if (namespace === "") return true;
  const owner = store.get("namespaces", { namespace: "", name: namespace });
  return owner !== undefined && owner.metadata.deletionTimestamp === undefined;
}

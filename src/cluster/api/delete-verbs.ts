/** DELETE of one object and of a collection. */
import { type FieldError, forbidden, notSupported } from "../../k8s/field-error.ts";
import type { GroupResource, KubeObject, ObjectName } from "../../k8s/object.ts";
import { decodeObject } from "../../k8s/strict-decode.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { DeleteOptions, Preconditions, Store } from "../store/store.ts";
import type { NamedRequest, ResourceRequest } from "./api-context.ts";
import { objectTypeOf, parseObjectBody } from "./decode-body.ts";
import { type Answer, type ApiRequest, objectAnswer } from "./exchange.ts";
import { presenterOf, selectionOf } from "./read-verbs.ts";
import { asBoolean, dryRunErrors, integer, listOptions, refuse } from "./request-options.ts";
import { attributesOf } from "./webhooks/admission-attributes.ts";
import { deleteReviewed } from "./webhooks/reviewed-write.ts";

const OPTIONS_KIND = { group: "", version: "v1", kind: "DeleteOptions" } as const;

/** Resources whose registry has `ReturnDeletedObject`; the others answer with a `Status` once the object is gone. */
const RETURNS_OBJECT: ReadonlySet<GroupResource> = new Set([
  "pods",
  "persistentvolumes",
  "persistentvolumeclaims",
  "podtemplates",
  "resourcequotas",
  "serviceaccounts",
  "services",
  "csidrivers.storage.k8s.io",
  "csinodes.storage.k8s.io",
  "storageclasses.storage.k8s.io",
  "volumeattachments.storage.k8s.io",
]);

/** Deleting these leaves their dependents, unless the client says otherwise (`DefaultGarbageCollectionPolicy`). */
const ORPHANS_BY_DEFAULT: ReadonlySet<GroupResource> = new Set(["jobs.batch", "replicationcontrollers"]);

export async function deleteObject(named: NamedRequest): Promise<Answer> {
  const { request, target } = named;
  const { info, namespace, name } = target;
  const { given, options } = await deleteOptions(request, info.groupResource);
  const { object, gone } = await removeObject(named, { at: { namespace, name }, name, given, options });
  if (gone && !RETURNS_OBJECT.has(info.groupResource)) return objectAnswer(successStatus(named, object));
  return objectAnswer(presenterOf(named).object(object));
}

/** Deletes what the selectors select, one after the other, and answers with the list of it. */
export async function deleteCollection(resource: ResourceRequest): Promise<Answer> {
  const { context, request, target } = resource;
  const { groupResource } = target.info;
  const { given, options } = await deleteOptions(request, groupResource);
  const list = listOptions(request.query);
  const { items, resourceVersion } = context.store.list(groupResource, selectionOf(resource, list));
  const deleted: KubeObject[] = [];
  for (const { metadata } of items) {
    const at = { namespace: metadata.namespace ?? "", name: metadata.name ?? "" };
    // Gone meanwhile: another delete's finalizer or owner took it along.
    if (context.store.get(groupResource, at) === undefined) continue;
    // Webhooks hear of a collection's objects without a name of their own, as the real server asks for them.
    deleted.push((await removeObject(resource, { at, name: "", given, options })).object);
  }
  return objectAnswer(presenterOf(resource).list({ items: deleted, resourceVersion }));
}

interface Removal {
  readonly at: ObjectName;
  /** As the request names it. */
  readonly name: string;
  readonly given: Given;
  readonly options: DeleteOptions;
}

/** Asks webhooks where there are some. */
async function removeObject(
  { context, request, target }: ResourceRequest,
  { at, name, given, options }: Removal,
): Promise<ReturnType<Store["delete"]>> {
  const { store, webhooks } = context;
  const { info } = target;
  const { groupResource: resource } = info;
  if (!webhooks.concern({ operation: "DELETE", info, subresource: "" })) {
    return store.delete(resource, at, options);
  }
  const attributes = attributesOf({
    operation: "DELETE",
    info,
    namespace: at.namespace,
    name,
    user: request.user,
    dryRun: options.dryRun === true,
    options: { ...given, kind: "DeleteOptions", apiVersion: "meta.k8s.io/v1" },
  });
  return await deleteReviewed({ webhooks, store, resource, at, asking: request, attributes, options });
}

function successStatus({ target: { info, name } }: NamedRequest, { metadata }: KubeObject): object {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name,
      ...(info.group === "" ? {} : { group: info.group }),
      kind: info.plural,
      uid: metadata.uid,
    },
  };
}

type Given = Readonly<Record<string, unknown>>;

/** From the body where there is one, else from the query (`DeleteResource` of the real server). */
async function deleteOptions(
  request: ApiRequest,
  resource: GroupResource,
): Promise<{ readonly given: Given; readonly options: DeleteOptions }> {
  const bytes = await request.readBody();
  const given = bytes.length === 0 ? queryOptions(request.query) : bodyOptions(request, bytes);
  return { given, options: deleteOptionsOf(given, resource) };
}

/** Of the fields of a `DeleteOptions`. Throws `Invalid`. */
export function deleteOptionsOf(given: Given, resource: GroupResource): DeleteOptions {
  const dryRun = Array.isArray(given["dryRun"]) ? given["dryRun"] : [];
  refuse("DeleteOptions", optionErrors(given, dryRun));
  const { gracePeriodSeconds, preconditions } = given;
  const propagationPolicy = policyOf(given, resource);
  return {
    dryRun: dryRun.length > 0,
    ...(typeof gracePeriodSeconds === "number" ? { gracePeriodSeconds } : {}),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(isJsonObject(preconditions) ? { preconditions: preconditionsOf(preconditions) } : {}),
  };
}

function bodyOptions(request: ApiRequest, bytes: Uint8Array): Given {
  const { value, duplicates } = parseObjectBody(bytes, objectTypeOf(request), OPTIONS_KIND);
  return { ...decodeObject(value, OPTIONS_KIND, duplicates).object };
}

function queryOptions(query: URLSearchParams): Given {
  const gracePeriodSeconds = integer(query, "gracePeriodSeconds");
  const propagationPolicy = query.get("propagationPolicy") ?? "";
  const orphanDependents = query.get("orphanDependents");
  return {
    dryRun: query.getAll("dryRun"),
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === "" ? {} : { propagationPolicy }),
    ...(orphanDependents === null ? {} : { orphanDependents: asBoolean(orphanDependents) }),
  };
}

const POLICIES = ["Foreground", "Background", "Orphan"] as const;

/** apimachinery `ValidateDeleteOptions`. */
function optionErrors(
  { propagationPolicy, orphanDependents }: Given,
  dryRun: readonly unknown[],
): FieldError[] {
  const errors: FieldError[] = [];
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    errors.push(
      forbidden("propagationPolicy", "orphanDependents and deletionPropagation cannot be both set"),
    );
  }
  if (propagationPolicy !== undefined && !POLICIES.some((known) => known === propagationPolicy)) {
    errors.push(notSupported("propagationPolicy", propagationPolicy, [...POLICIES, "nil"]));
  }
  return [...errors, ...dryRunErrors(dryRun)];
}

function policyOf(
  { propagationPolicy, orphanDependents }: Given,
  resource: GroupResource,
): DeleteOptions["propagationPolicy"] {
  const known = POLICIES.find((policy) => policy === propagationPolicy);
  if (known !== undefined) return known;
  if (typeof orphanDependents === "boolean") return orphanDependents ? "Orphan" : "Background";
  return ORPHANS_BY_DEFAULT.has(resource) ? "Orphan" : undefined;
}

function preconditionsOf({ uid, resourceVersion }: Given): Preconditions {
  return {
    ...(typeof uid === "string" ? { uid } : {}),
    ...(typeof resourceVersion === "string" ? { resourceVersion } : {}),
  };
}

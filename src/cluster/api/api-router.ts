/** Sends each request to the verb, page or stream that answers it. */
import { StatusError } from "../../k8s/status-error.ts";
import type { ApiContext, NamedRequest, ResourceRequest } from "./api-context.ts";
import { authorizeRequest } from "./authorize.ts";
import { checkDefinition } from "./custom/check-definition.ts";
import { servedAt, servedResources } from "./custom/served-resources.ts";
import { versionedStore } from "./custom/versioned-store.ts";
import { deleteCollection, deleteObject } from "./delete-verbs.ts";
import { documentAnswer } from "./documents.ts";
import type { Answer, ApiRequest } from "./exchange.ts";
import { type ApiExtension, extensionAnswer } from "./extension.ts";
import { METRICS_GROUP, metricsAnswer } from "./metrics/metrics-answer.ts";
import { patchObject } from "./patch-verb.ts";
import { bindPod } from "./pod-binding.ts";
import { evictPod } from "./pod-eviction.ts";
import { podLogAnswer } from "./pod-log.ts";
import { findObject, getObject, listOrWatch } from "./read-verbs.ts";
import { type ResourceTarget, resolveResource, unknownPath } from "./resource-path.ts";
import { serveScale } from "./scale.ts";
import { requestToken } from "./token-request.ts";
import { createObject, replaceObject } from "./write-verbs.ts";

export interface RouterParts {
  readonly context: ApiContext;
  readonly extensions: readonly ApiExtension[];
}

export async function routeRequest(request: ApiRequest, parts: RouterParts): Promise<Answer> {
  authorizeRequest(request, parts.context.authorizer);
  const extension = parts.extensions.find(({ prefix }) => request.path.startsWith(prefix));
  if (extension !== undefined) return await extensionAnswer(extension, request);
  const { store } = parts.context;
  const document = documentAnswer(request, () => servedResources(store));
  if (document !== undefined) {
    if (request.method !== "GET") throw methodNotAllowed();
    return document;
  }
  const target = resolveResource(request.segments, (at) => servedAt(store, at));
  if (target.info.custom !== undefined) checkDefinition(request, target);
  return await routeResource({ context: contextFor(parts.context, target), request, target });
}

/** A custom resource's verbs see its objects in the version that the path names. */
function contextFor(context: ApiContext, { info }: ResourceTarget): ApiContext {
  if (info.custom === undefined) return context;
  return { ...context, store: versionedStore(context.store, info, info.custom) };
}

export function methodNotAllowed(): StatusError {
  return new StatusError(
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
  );
}

const VERB_OF_METHOD: Readonly<Record<string, { readonly one?: string; readonly all?: string }>> = {
  GET: { one: "get", all: "list" },
  POST: { all: "create" },
  PUT: { one: "update" },
  PATCH: { one: "patch" },
  DELETE: { one: "delete", all: "deletecollection" },
};

async function routeResource(resource: ResourceRequest): Promise<Answer> {
  const { request, target } = resource;
  if (target.subresource !== undefined) return await routeSubresource(resource, target.subresource.name);
  const verbs = VERB_OF_METHOD[request.method];
  const verb = isNamed(resource) ? verbs?.one : verbs?.all;
  if (verb === undefined || !target.info.verbs.includes(verb)) throw methodNotAllowed();
  // Without a namespace a namespaced object has no place to be written to.
  if (verb === "create" && target.info.namespaced && target.namespace === "") throw methodNotAllowed();
  if (verb === "deletecollection" && target.info.namespaced && target.namespace === "")
    throw methodNotAllowed();
  if (target.info.group === METRICS_GROUP) return await metricsAnswer(resource);
  if (!isNamed(resource)) {
    if (verb === "list") return listOrWatch(resource);
    if (verb !== "create") return await deleteCollection(resource);
    return await (target.info.groupResource === "bindings" ? bindPod : createObject)(resource);
  }
  return await namedVerb(resource, verb);
}

async function namedVerb(named: NamedRequest, verb: string): Promise<Answer> {
  switch (verb) {
    case "get":
      return getObject(named);
    case "update":
      return await replaceObject(named);
    case "patch":
      return await patchObject(named);
    default:
      return await deleteObject(named);
  }
}

async function routeSubresource(resource: ResourceRequest, subresource: string): Promise<Answer> {
  if (!isNamed(resource)) throw unknownPath();
  const { request, target } = resource;
  const verb = request.method === "POST" ? "create" : VERB_OF_METHOD[request.method]?.one;
  const isOffered = verb !== undefined && target.subresource?.verbs.includes(verb) === true;
  const serve = SUBRESOURCES[subresource];
  if (serve === undefined) throw notServed(target.info.plural, subresource);
  if (!isOffered) throw methodNotAllowed();
  return await serve(resource, verb);
}

const SUBRESOURCES: Readonly<Record<string, (named: NamedRequest, verb: string) => Promise<Answer>>> = {
  status: namedVerb,
  finalize: namedVerb,
  ephemeralcontainers: namedVerb,
  log: (named) => podLogAnswer(findObject(named), named.context.kubelet, named.request),
  exec: withoutUpgrade,
  attach: withoutUpgrade,
  portforward: withoutUpgrade,
  token: requestToken,
  eviction: evictPod,
  scale: serveScale,
  binding: bindPod,
  resize: async (named, verb) => {
    if (verb === "get") return getObject(named);
    throw new StatusError(
      "MethodNotAllowed",
      "pillion: pods/resize is not supported: change the resources in the manifest and create the pod again",
    );
  },
};

/** Whoever comes here has not asked for an upgrade: that is what the checks of a stream end with, if not with something else. */
async function withoutUpgrade(named: NamedRequest): Promise<Answer> {
  const { kubelet, clock } = named.context;
  const { query, headers } = named.request;
  const [{ streamPlanOf }, { upgradeRequired }] = await Promise.all([
    import("./streaming/stream-plans.ts"),
    import("./streaming/upgrade-protocol.ts"),
  ]);
  streamPlanOf(named.target)?.({ pod: findObject(named), query, headers, kubelet, clock });
  throw upgradeRequired();
}

/** Listed by discovery, since clients look for it there, but not there yet. */
function notServed(plural: string, subresource: string): StatusError {
  return new StatusError("MethodNotAllowed", `pillion: ${plural}/${subresource} is not served yet`);
}

function isNamed(resource: ResourceRequest): resource is NamedRequest {
  const target: ResourceTarget = resource.target;
  return target.name !== undefined;
}

/** Requests that webhooks see although they store no object of their own: evictions, bindings, tokens, connections. */
import { decodeObject } from "../../../k8s/strict-decode.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { ResourceRequest } from "../api-context.ts";
import type { Asking } from "./run-webhooks.ts";
import { attributesOf, optionsOf } from "./admission-attributes.ts";

export interface DressedRequest {
  readonly operation: "CREATE" | "CONNECT";
  /** The request itself, as an object. */
  readonly object: KubeObject;
  readonly dryRun: boolean;
}

/** A request whose query and user are all that is needed of it. */
export interface Dressing extends Pick<ResourceRequest, "context" | "target"> {
  readonly request: Pick<ResourceRequest["request"], "user" | "query"> & Asking;
}

/** The object as the webhooks want it. Rejects with a `StatusError`. */
export async function reviewRequest(
  { context, request, target }: Dressing,
  { operation, object, dryRun }: DressedRequest,
): Promise<KubeObject> {
  const { webhooks } = context;
  const { info, subresource, namespace, name = object.metadata?.name ?? "" } = target;
  if (!webhooks.concern({ operation, info, subresource: subresource?.name ?? "" })) return object;
  const { options, ...asked } = attributesOf({
    operation,
    info,
    subresource,
    namespace,
    name,
    dryRun,
    user: request.user,
    options: optionsOf("CreateOptions", request.query),
  });
  const attributes = {
    ...asked,
    object,
    ...(operation === "CONNECT" || options === undefined ? {} : { options }),
  };
  const asking = { warn: request.warn, signal: request.signal };
  const mutated = await webhooks.mutate({
    ...asking,
    attributes,
    again: (one) => one,
    decode: (value) => applyDefaults(decodeObject(value, subresource ?? info).object),
  });
  await webhooks.validate({ ...attributes, object: mutated ?? object }, asking);
  return mutated ?? object;
}

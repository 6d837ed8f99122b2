/** GET: one object, a list of them, or a watch. */
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import { parseFieldSelector } from "../../k8s/field-selectors.ts";
import { SelectorError } from "../../k8s/label-requirement.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { parseLabelSelector } from "../../k8s/selectors.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { notFound } from "../store/api-errors.ts";
import type { Selection } from "../store/store.ts";
import { negotiate } from "./accept.ts";
import type { NamedRequest, ResourceRequest } from "./api-context.ts";
import { untilRedefined } from "./custom/until-redefined.ts";
import { type Answer, objectAnswer } from "./exchange.ts";
import { type Presenter, presenterFor } from "./present.ts";
import { listOptions, type ListRequestOptions } from "./request-options.ts";
import { openWatch } from "./watch-stream.ts";

/** `NotFound` when there is none. */
export function findObject({ context, target }: Pick<NamedRequest, "context" | "target">): KubeObject {
  const { info, namespace, name } = target;
  const object = context.store.get(info.groupResource, { namespace, name });
  if (object === undefined) throw notFound(info.groupResource, name);
  return object;
}

export function getObject(named: NamedRequest): Answer {
  return objectAnswer(presenterOf(named).object(findObject(named)));
}

export function listOrWatch(resource: ResourceRequest): Answer {
  const options = listOptions(resource.request.query);
  return options.watch ? watch(resource, options) : list(resource, options);
}

export function presenterOf({ context, request, target }: ResourceRequest): Presenter {
  return presenterFor({
    info: target.info,
    accepted: negotiate(request.headers.accept),
    includeObject: request.query.get("includeObject"),
    now: () => context.clock.now(),
  });
}

function list(resource: ResourceRequest, options: ListRequestOptions): Answer {
  const { context, target } = resource;
  const { limit, continue: token, resourceVersion, resourceVersionMatch } = options;
  const result = context.store.list(target.info.groupResource, {
    ...selectionOf(resource, options),
    ...(limit === undefined ? {} : { limit }),
    ...(token === undefined ? {} : { continue: token }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(resourceVersionMatch === undefined ? {} : { resourceVersionMatch }),
  });
  return objectAnswer(presenterOf(resource).list(result));
}

function watch(resource: ResourceRequest, options: ListRequestOptions): Answer {
  const { context, request, target } = resource;
  const { info } = target;
  const { resourceVersion, sendInitialEvents, timeoutSeconds } = options;
  const presenter = presenterOf(resource);
  return openWatch({
    store: context.store,
    clock: context.clock,
    resource: info.groupResource,
    query: {
      ...selectionOf(resource, options),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(sendInitialEvents === undefined ? {} : { sendInitialEvents }),
    },
    allowBookmarks: options.allowWatchBookmarks,
    timeoutSeconds,
    present: presenter.event,
    bookmark: (version) => ({
      kind: info.kind,
      apiVersion: apiVersionOf(info),
      metadata: { resourceVersion: version },
    }),
    signal:
      info.custom === undefined ? request.signal : untilRedefined(context.store, info.custom, request.signal),
  });
}

/** What a definition offers beside the metadata; undefined for built-in resources, which are known. */
function selectableFields({ custom }: ResourceInfo): readonly string[] | undefined {
  return (
    custom?.version.selectableFields?.map(({ jsonPath }) => jsonPath.replace(/^\./, "")) ?? (custom && [])
  );
}

/** The compiled selectors. `BadRequest` in the words of the real server. */
export function selectionOf(
  { target: { info, namespace } }: ResourceRequest,
  { labelSelector, fieldSelector }: Pick<ListRequestOptions, "labelSelector" | "fieldSelector">,
): Selection {
  try {
    const labels = labelSelector === "" ? undefined : parseLabelSelector(labelSelector);
    const fields =
      fieldSelector === ""
        ? undefined
        : parseFieldSelector(fieldSelector, info.groupResource, selectableFields(info));
    const inNamespace = namespace === "" ? {} : { namespace };
    if (labels === undefined && fields === undefined) return inNamespace;
    const matches = (object: KubeObject) =>
      (labels?.matches(object.metadata.labels) ?? true) && (fields?.matches(object) ?? true);
    return { ...inNamespace, matches };
  } catch (error) {
    if (error instanceof SelectorError) throw new StatusError("BadRequest", error.message);
    throw error;
  }
}

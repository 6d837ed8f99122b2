/** Stores changed objects: defaults, admission, webhooks where there are some, checks. */
import type { Pod } from "../../../generated/kubernetes.ts";
import type { SubresourceInfo } from "../../k8s/catalogue.ts";
import { applyDefaults } from "../../k8s/defaults.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { decodeObject } from "../../k8s/strict-decode.ts";
import {
  refuseInvalidChange,
  refuseInvalidEphemeralContainers,
  refuseInvalidStatus,
} from "../../k8s/validation.ts";
import { admit, checkName, inPlace, warnIfInert } from "./admission-steps.ts";
import type { UpdateOptions } from "../store/store.ts";
import type { Admit, NamedRequest } from "./api-context.ts";
import { withUpdatedOwners } from "./field-owners.ts";
import { bindFreed } from "./scheduling.ts";
import { attributesOf, optionsOf } from "./webhooks/admission-attributes.ts";
import { changeReviewed, type ObjectView } from "./webhooks/reviewed-write.ts";

export interface Change {
  /** The decoded new object; may be called once per attempt. */
  readonly change: (current: KubeObject) => KubeObject;
  readonly dryRun: boolean;
  /** An apply: `change` has settled who owns what. */
  readonly isApply?: boolean;
  /** The part that the request writes, where that is an object of its own. */
  readonly part?: ObjectView & { readonly subresource: SubresourceInfo };
}

/** Everything that happens to a changed object, however the change was sent. */
export async function storeChange(named: NamedRequest, asked: Change): Promise<KubeObject> {
  const { context, request, target } = named;
  const { info, namespace, name } = target;
  const steps = changeSteps(named, asked);
  if (!steps.isStatus) warnIfInert(info, request);
  const options = { dryRun: asked.dryRun, ...(steps.part === undefined ? {} : { subresource: steps.part }) };
  const storePlain = () =>
    context.store.update(info.groupResource, { namespace, name }, steps.plain, options);
  const subresource = asked.part?.subresource ?? target.subresource;
  const operation = "UPDATE";
  const isConcerned = context.webhooks.concern({ operation, info, subresource: subresource?.name ?? "" });
  const updated = isConcerned
    ? await changeReviewed({ ...reviewOf(named, asked), ...steps, options, refuse: storePlain })
    : storePlain();
  return !steps.isStatus && !asked.dryRun ? bindFreed(context, updated) : updated;
}

/** Who is asked about a change, and what. */
function reviewOf({ context, request, target }: NamedRequest, { dryRun, part }: Change) {
  const { store, webhooks } = context;
  const { info, namespace, name } = target;
  const subresource = part?.subresource ?? target.subresource;
  return {
    webhooks,
    store,
    resource: info.groupResource,
    at: { namespace, name },
    asking: request,
    attributes: attributesOf({
      operation: "UPDATE",
      info,
      subresource,
      namespace,
      name,
      dryRun,
      user: request.user,
      options: optionsOf("UpdateOptions", request.query),
    }),
    decode: (value: unknown) => applyDefaults(decodeObject(value, part?.subresource ?? info).object),
    ...(part === undefined ? {} : { view: part }),
  };
}

function changeSteps(named: NamedRequest, asked: Change) {
  const { admit: first, settle } = named.context;
  const { part, isStatus, isVisit, wanted, owned, through, checked } = partsOfChange(named, asked);
  return {
    part,
    isStatus,
    /** All at once, where nobody is to be asked in between. */
    plain: (current: KubeObject) => {
      const next = wanted(current);
      if (meansAnother(current, next)) return next;
      return checked(through([...first, ...settle], owned(current, next), current), current);
    },
    draft: (current: KubeObject) => {
      const next = wanted(current);
      return meansAnother(current, next) ? undefined : through(first, owned(current, next), current);
    },
    again: (object: KubeObject, current: KubeObject) => through(first, object, current),
    finish: (object: KubeObject, current: KubeObject) => {
      const settled = through(settle, object, current);
      return checked(isVisit ? withVisitors(current, settled) : settled, current);
    },
  };
}

function partsOfChange(named: NamedRequest, { change, dryRun, isApply = false, part: view }: Change) {
  const { request, target } = named;
  const { info, subresource } = target;
  // Who writes a part of the object is another owner than who writes all of it.
  const writer =
    view === undefined ? named : { ...named, target: { ...target, subresource: view.subresource } };
  const part: UpdateOptions["subresource"] =
    subresource?.name === "status" || subresource?.name === "finalize" ? subresource.name : undefined;
  const isStatus = part !== undefined;
  const isVisit = subresource?.name === "ephemeralcontainers";
  const wanted = (current: KubeObject) => {
    const next = inPlace(change(current), target);
    checkName(next, target);
    return next;
  };
  const owned = (current: KubeObject, next: KubeObject) => {
    const whole = isVisit ? withVisitors(current, next) : next;
    const complete = isStatus ? whole : applyDefaults(whole);
    return isApply ? complete : withUpdatedOwners(writer, current, complete);
  };
  const through = (steps: readonly Admit[], object: KubeObject, before: KubeObject) => {
    const { user, warn } = request;
    return isStatus
      ? object
      : admit(steps, { info, object, before, operation: "UPDATE", dryRun, user, warn });
  };
  const checked = (object: KubeObject, current: KubeObject) => {
    if (isStatus) refuseInvalidStatus(object, current, info);
    else if (isVisit) refuseInvalidEphemeralContainers(object, current);
    else refuseInvalidChange(object, current, info);
    return object;
  };
  return { part, isStatus, isVisit, wanted, owned, through, checked };
}

/** Only ephemeral containers change here; whatever else a client sent is not looked at (`dropNonEphemeralContainerUpdates`). */
function withVisitors(current: KubeObject, next: KubeObject): KubeObject {
  const { ephemeralContainers } = (next as Pod).spec ?? {};
  const { ephemeralContainers: _, ...spec } = (current as Pod).spec ?? { containers: [] };
  const { resourceVersion, managedFields } = next.metadata;
  return {
    ...current,
    metadata: {
      ...current.metadata,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(managedFields === undefined ? {} : { managedFields }),
    },
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

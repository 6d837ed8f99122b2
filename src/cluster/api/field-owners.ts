/** Keeps `metadata.managedFields` as writes come in: reads the writer from the request, asks for the new ownership, puts it into the object. */
import { applyFields } from "../../k8s/apply/apply-fields.ts";
import { appliedFields } from "../../k8s/apply/applied-fields.ts";
import { emptyObject } from "../../k8s/apply/empty-object.ts";
import { type FieldSet, isEmptySet } from "../../k8s/apply/field-set.ts";
import { LAST_APPLIED, lastApplied, withLastApplied } from "../../k8s/apply/last-applied.ts";
import { ownedPart, type WrittenPart } from "../../k8s/apply/owned-part.ts";
import { type Owner, type Owners, readOwners, withOwner, writeOwners } from "../../k8s/apply/owners.ts";
import { presentFields } from "../../k8s/apply/present-fields.ts";
import { updateOwners } from "../../k8s/apply/update-owners.ts";
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import { customMergeType } from "../../k8s/custom/custom-merge-type.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { MergeType } from "../../k8s/patch/merge-schema.ts";
import { mergeTypeOf, UNTYPED_OBJECT } from "../../k8s/patch/merge-type.ts";
import { schemaOf } from "../../k8s/schema.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import type { ResourceRequest } from "./api-context.ts";
import type { ApiRequest } from "./exchange.ts";

const MAX_MANAGER_BYTES = 128;

/** Owns what an object had before its first apply, if nobody did. */
const BEFORE_FIRST_APPLY = "before-first-apply";

/** The only manager for which `kubectl apply` of old is a predecessor, not another owner. */
const KUBECTL = "kubectl";

/** How lists and maps of a kind merge. */
export function applyTypeOf(info: ResourceInfo): MergeType {
  if (info.custom !== undefined) return customMergeType(info.custom.version.schema?.openAPIV3Schema);
  return mergeTypeOf(apiVersionOf(info), info.kind) ?? UNTYPED_OBJECT;
}

/** The new object with ownership after a write that is no apply; `current` is undefined for what is created. */
export function withUpdatedOwners(
  resource: ResourceRequest,
  current: KubeObject | undefined,
  next: KubeObject,
): KubeObject {
  const { context, target } = resource;
  const owners = ownersBefore(current, next, target.subresource !== undefined);
  // What has no owners gets the first by an apply (`skipNonAppliedManager`).
  if (current !== undefined && owners.length === 0) return withOwners(next, [], current);
  const part = partOf(target);
  const after = updateOwners(
    owners,
    {
      before: ownedPart(current ?? emptyOf(target.info), part),
      after: ownedPart(next, part),
      type: applyTypeOf(target.info),
    },
    { owner: ownerOf(resource, "Update"), time: formatTimestamp(context.clock.now()) },
  );
  return withOwners(next, after, current);
}

/** A client may write ownership itself, but not by a subresource; what cannot be read counts as not sent (`decodeLiveOrNew`). */
function ownersBefore(current: KubeObject | undefined, next: KubeObject, isSubresource: boolean): Owners {
  const live = () => readOwners(current?.metadata.managedFields) ?? [];
  const { managedFields = [] } = next.metadata;
  if (isSubresource || managedFields === current?.metadata.managedFields) return live();
  const [first] = managedFields;
  if (managedFields.length === 1 && first !== undefined && Object.keys(first).length === 0) return [];
  const given = readOwners(managedFields) ?? [];
  return given.length === 0 ? live() : given;
}

function emptyOf(info: ResourceInfo): JsonObject {
  return emptyObject(schemaOf(apiVersionOf(info), info.kind));
}

function partOf({ info, subresource }: ResourceRequest["target"]): WrittenPart {
  if (subresource?.name === "status") return "status";
  return info.hasStatus ? "main" : "all";
}

function ownerOf({ request, target }: ResourceRequest, operation: Owner["operation"]): Owner {
  return {
    manager: managerName(request),
    operation,
    apiVersion: apiVersionOf(target.info),
    subresource: target.subresource?.name ?? "",
  };
}

/** The query's `fieldManager`, else what the client calls itself (`managerOrUserAgent`). */
function managerName({ query, headers }: ApiRequest): string {
  const given = query.get("fieldManager") ?? "";
  if (given !== "") return given;
  const agent = (headers["user-agent"] ?? "").split("/", 1)[0] ?? "";
  let name = "";
  for (const character of agent.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "")) {
    if (Buffer.byteLength(name + character) > MAX_MANAGER_BYTES) break;
    name += character;
  }
  return name === "" ? "unknown" : name;
}

function withOwners(object: KubeObject, owners: Owners, current: KubeObject | undefined): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  if (owners.length === 0) return { ...object, metadata };
  const before = current?.metadata.managedFields;
  const managedFields = writeOwners(owners);
  const isSame = before !== undefined && Bun.deepEquals(before, managedFields);
  return { ...object, metadata: { ...metadata, managedFields: isSame ? before : managedFields } };
}

/** The current object for a write that brings nothing but later times of owners (`IgnoreManagedFieldsTimestampsTransformer`). */
export function withoutNewTimes(next: KubeObject, current: KubeObject): KubeObject {
  const timeless = ({ metadata }: KubeObject) =>
    (metadata.managedFields ?? []).map((entry) => ({ ...entry, time: undefined }));
  if (!Bun.deepEquals(timeless(next), timeless(current))) return next;
  const { managedFields } = current.metadata;
  const kept = {
    ...next,
    metadata: { ...next.metadata, ...(managedFields === undefined ? {} : { managedFields }) },
  };
  return Bun.deepEquals(kept, current) ? current : next;
}

/** A manifest to apply: as it was sent, with values as they are stored. */
export interface AppliedConfig {
  readonly config: JsonObject;
  readonly force: boolean;
}

/** What a first apply creates belongs to the applier as far as the manifest says it; defaults are nobody's. */
export function withFirstOwner(
  resource: ResourceRequest,
  object: KubeObject,
  { config }: AppliedConfig,
): KubeObject {
  const { context, target } = resource;
  const fields = appliedFields(ownConfig(config, partOf(target)), applyTypeOf(target.info));
  const time = formatTimestamp(context.clock.now());
  return withOwners(object, withOwner([], { ...ownerOf(resource, "Apply"), time, fields }), undefined);
}

/** The current object with the manifest applied, ownership included. Throws `Conflict`. */
export function appliedOver(
  resource: ResourceRequest,
  current: KubeObject,
  { config, force }: AppliedConfig,
): KubeObject {
  const { context, target } = resource;
  const part = partOf(target);
  const type = applyTypeOf(target.info);
  const time = formatTimestamp(context.clock.now());
  const live = ownedPart(current, part);
  const owner = ownerOf(resource, "Apply");
  const isKubectl = owner.manager === KUBECTL && target.subresource === undefined;
  const applied = applyFields({
    live,
    config: ownConfig(config, part),
    type,
    owners: ownersOf(resource, current, { live, time }),
    owner,
    time,
    force,
    ...(isKubectl ? { allowed: formerlyApplied(current, part, type) } : {}),
  });
  const object = assemble(current, applied.object, { part, config });
  return withOwners(isKubectl ? withLastApplied(object, config) : object, applied.owners, current);
}

function ownersOf(
  resource: ResourceRequest,
  current: KubeObject,
  { live, time }: { readonly live: JsonObject; readonly time: string },
): Owners {
  const { target } = resource;
  const owners = readOwners(current.metadata.managedFields) ?? [];
  if (owners.length > 0) return withoutStale(owners, current, applyTypeOf(target.info));
  const owner: Owner = { ...ownerOf(resource, "Update"), manager: BEFORE_FIRST_APPLY };
  const before = ownedPart(emptyOf(target.info), partOf(target));
  return updateOwners([], { before, after: live, type: applyTypeOf(target.info) }, { owner, time });
}

/** Nobody is in the way with what the cluster itself has taken out since. */
function withoutStale(owners: Owners, current: KubeObject, type: MergeType): Owners {
  const object = ownedPart(current, "all");
  return owners
    .map((one) => ({ ...one, fields: presentFields(one.fields, object, type) }))
    .filter(({ fields }) => !isEmptySet(fields));
}

/** An empty metadata says nothing, and is not to be owned. */
function ownConfig(config: JsonObject, part: WrittenPart): JsonObject {
  const { metadata, ...rest } = ownedPart(config, part);
  return isJsonObject(metadata) && Object.keys(metadata).length > 0 ? { ...rest, metadata } : rest;
}

/** What `kubectl apply` has written on the client's side is not in the way of `kubectl apply --server-side`. */
function formerlyApplied(current: KubeObject, part: WrittenPart, type: MergeType): FieldSet {
  const former = lastApplied(current);
  if (former === undefined) return {};
  const fields = appliedFields(ownConfig(former, part), type);
  const annotation: FieldSet = { "f:metadata": { "f:annotations": { [`f:${LAST_APPLIED}`]: {} } } };
  return { ...annotation, ...fields };
}

/** Metadata by which a manifest says which object it means. */
const MEANT = ["name", "namespace", "uid", "resourceVersion"] as const;

function assemble(
  current: KubeObject,
  object: JsonObject,
  { part, config }: { readonly part: WrittenPart; readonly config: JsonObject },
): KubeObject {
  if (part === "status") return { ...current, status: object["status"] };
  const { metadata } = object;
  const given = isJsonObject(config["metadata"]) ? config["metadata"] : {};
  const ownMetadata = Object.keys(ownedPart(current, "main")["metadata"] ?? {});
  const servers = Object.entries(current.metadata).filter(([name]) => !ownMetadata.includes(name));
  const meant = MEANT.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]));
  return {
    apiVersion: current.apiVersion,
    kind: current.kind,
    ...object,
    metadata: {
      ...Object.fromEntries(servers),
      ...(isJsonObject(metadata) ? metadata : {}),
      ...Object.fromEntries(meant),
    },
    ...(part === "main" && current["status"] !== undefined ? { status: current["status"] } : {}),
  };
}

/** `scale`: how many pods a Deployment, ReplicaSet, StatefulSet or ReplicationController has, as `autoscaling/v1` Scale. */
import type { ObjectMeta } from "../../../generated/kubernetes.ts";
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import { DecodeError } from "../../k8s/decode-scalar.ts";
import { invalid, invalidObject } from "../../k8s/field-error.ts";
import { JsonTextError, parseJsonText } from "../../k8s/json-text.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { applyJsonPatch } from "../../k8s/patch/json-patch.ts";
import { applyMergePatch } from "../../k8s/patch/merge-patch.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { decodeObject, enforceFieldValidation, type ExpectedKind } from "../../k8s/strict-decode.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { NamedRequest } from "./api-context.ts";
import { contentTypeOf, parseObjectBody, unsupportedMediaType } from "./decode-body.ts";
import { type Answer, objectAnswer } from "./exchange.ts";
import { appliedOver, withoutNewTimes } from "./field-owners.ts";
import { findObject, presenterOf } from "./read-verbs.ts";
import { patchOptions, type WriteRequestOptions, writeOptions } from "./request-options.ts";
import { scalePartsOf, withReplicas } from "./scale-parts.ts";
import { type Change, storeChange } from "./store-change.ts";
import type { ObjectView } from "./webhooks/reviewed-write.ts";
import { SCALES } from "./tables/workload-tables.ts";
import { decodeRequest } from "./write-verbs.ts";

const KIND: ExpectedKind = { group: "autoscaling", version: "v1", kind: "Scale" };
const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
const APPLY_PATCH = "application/apply-patch+yaml";
const PATCH_TYPES: readonly string[] = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH, STRATEGIC_PATCH];

type Scale = KubeObject & {
  readonly spec?: { readonly replicas?: number };
  readonly status: { readonly replicas: number; readonly selector?: string };
};

/** 200 with the Scale: as it is, or as it has become. */
export async function serveScale(named: NamedRequest, verb: string): Promise<Answer> {
  if (verb === "get") return objectAnswer(presentScale(named, scaleOf(findObject(named), named.target.info)));
  return verb === "update" ? await replaceScale(named) : await patchScale(named);
}

/** As it is, or as its own kind's Table. */
function presentScale(named: NamedRequest, scale: Scale): object {
  const { custom: _, ...owner } = named.target.info;
  const info = { ...owner, groupResource: SCALES };
  return presenterOf({ ...named, target: { ...named.target, info } }).object(scale);
}

/** `ScaleFromDeployment` and its like. */
function scaleOf(object: KubeObject, info: ResourceInfo): Scale {
  const { replicas, observed, selector } = scalePartsOf(object, info);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const metadata: ObjectMeta = Object.fromEntries(
    Object.entries({ name, namespace, uid, resourceVersion, creationTimestamp }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  return {
    apiVersion: "autoscaling/v1",
    kind: KIND.kind,
    metadata,
    // Go leaves a zero out.
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: observed, selector },
  };
}

async function replaceScale(named: NamedRequest): Promise<Answer> {
  const options = writeOptions(named.request.query, "UpdateOptions");
  const scale = await decodeRequest(named.request, KIND, options.fieldValidation);
  checkName(scale, named.target.name);
  return await writeScale(named, options, () => scale);
}

async function patchScale(named: NamedRequest): Promise<Answer> {
  const { request } = named;
  const type = contentTypeOf(request);
  if (!PATCH_TYPES.includes(type)) throw unsupportedMediaType(PATCH_TYPES);
  const options = patchOptions(request.query, type === APPLY_PATCH);
  const bytes = await request.readBody();
  if (type === APPLY_PATCH) return await applyScale(named, options, bytes);
  const { value, duplicates } = parsePatch(bytes, type);
  return await writeScale(named, options, (current) => {
    // A Scale has no lists, so that a strategic patch means what a merge patch does.
    const patched = type === JSON_PATCH ? applyJsonPatch(current, value) : applyMergePatch(current, value);
    return decodePatched(named, { patched, duplicates }, options);
  });
}

interface Parsed {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

function parsePatch(bytes: Uint8Array, type: string): Parsed {
  try {
    const parsed = parseJsonText(new TextDecoder().decode(bytes));
    if (type === JSON_PATCH || isJsonObject(parsed.value)) return parsed;
    throw new JsonTextError("json: cannot unmarshal into Go value of type map[string]interface {}");
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new StatusError("BadRequest", `error decoding patch: ${error.message}`);
  }
}

function decodePatched(
  { request, target }: NamedRequest,
  { patched, duplicates }: { readonly patched: unknown; readonly duplicates: readonly string[] },
  { fieldValidation }: WriteRequestOptions,
): KubeObject {
  try {
    const { object, strictErrors } = decodeObject(patched, KIND, duplicates);
    for (const text of enforceFieldValidation(strictErrors, fieldValidation, KIND)) request.warn(text);
    checkName(object, target.name);
    return object;
  } catch (error) {
    if (error instanceof DecodeError) throw new StatusError("BadRequest", error.message);
    throw error;
  }
}

function checkName({ metadata }: KubeObject, name: string): void {
  const given = metadata.name ?? "";
  if (given === "" || given === name) return;
  throw new StatusError(
    "BadRequest",
    `the name of the object (${given}) does not match the name on the URL (${name})`,
  );
}

/** What webhooks are shown, and what they can change. */
function viewOf(info: ResourceInfo): ObjectView {
  return {
    show: (object) => scaleOf(object, info),
    take: (object, shown) => withReplicas(object, (shown as Pick<Scale, "spec">).spec?.replicas ?? 0, info),
  };
}

/** Only the number of replicas is taken from a Scale, and which object its sender means. */
async function writeScale(
  named: NamedRequest,
  { dryRun }: WriteRequestOptions,
  next: (current: Scale) => KubeObject,
): Promise<Answer> {
  const { info } = named.target;
  const change = (current: KubeObject): KubeObject => {
    const { metadata, spec } = next(scaleOf(current, info)) as KubeObject & Pick<Scale, "spec">;
    const replicas = spec?.replicas ?? 0;
    refuseNegative(replicas, named.target);
    const changed = withReplicas(current, replicas, info);
    return { ...changed, metadata: { ...changed.metadata, ...meantBy(metadata) } };
  };
  return await storeScale(named, { change, dryRun });
}

/** Which object the sender of a Scale means, where he says so. */
function meantBy({ uid = "", resourceVersion = "" }: ObjectMeta): ObjectMeta {
  return {
    ...(uid === "" ? {} : { uid }),
    ...(resourceVersion === "" ? {} : { resourceVersion }),
  };
}

function refuseNegative(replicas: number, { name }: { readonly name: string }): void {
  if (replicas >= 0) return;
  const why = invalid("spec.replicas", replicas, "must be greater than or equal to 0");
  throw invalidObject({ group: KIND.group, kind: KIND.kind, name }, [why]);
}

/** Server-side apply of a Scale owns the replicas of the object (apimachinery `ScaleHandler`). */
async function applyScale(
  named: NamedRequest,
  { fieldValidation, force = false, dryRun }: WriteRequestOptions,
  bytes: Uint8Array,
): Promise<Answer> {
  const { request, target } = named;
  const { info, name } = target;
  const { value, duplicates } = parseObjectBody(bytes, "application/yaml", KIND);
  const { object, strictErrors } = decodeObject(value, KIND, duplicates);
  for (const text of enforceFieldValidation(strictErrors, fieldValidation, KIND)) request.warn(text);
  if (object.metadata.managedFields !== undefined)
    throw new StatusError("BadRequest", "metadata.managedFields must be nil");
  checkName(object, name);
  const metadata = meantBy(object.metadata);
  const replicas = saidReplicas(value);
  if (replicas !== undefined) refuseNegative(replicas, target);
  const bare = { apiVersion: object.apiVersion, kind: object.kind, metadata };
  const said = replicas === undefined ? bare : withReplicas(bare, replicas, info);
  const { apiVersion: _a, kind: _k, ...config } = said;
  const change = (current: KubeObject): KubeObject => {
    const applied = appliedOver(named, current, { config, force });
    // None at all where nobody says how many: a Scale without replicas is one of zero.
    const complete = withReplicas(applied, scalePartsOf(applied, info).replicas, info);
    return withoutNewTimes(complete, current);
  };
  return await storeScale(named, { change, dryRun, isApply: true });
}

/** A zero that is written down counts. */
function saidReplicas(manifest: unknown): number | undefined {
  const spec = isJsonObject(manifest) ? manifest["spec"] : undefined;
  const replicas = isJsonObject(spec) ? spec["replicas"] : undefined;
  return typeof replicas === "number" ? replicas : undefined;
}

/** As a change of the object that the Scale is of. */
async function storeScale(named: NamedRequest, change: Change): Promise<Answer> {
  const { info, subresource, ...target } = named.target;
  const part = subresource === undefined ? {} : { part: { subresource, ...viewOf(info) } };
  const changed = await storeChange({ ...named, target: { ...target, info } }, { ...change, ...part });
  return objectAnswer(scaleOf(changed, info));
}

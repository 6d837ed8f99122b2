/** PATCH: JSON patch, merge patch, strategic merge patch, and server-side apply. */
import { refuseUnclearItems } from "../../k8s/apply/check-config.ts";
import { storedConfig } from "../../k8s/apply/stored-config.ts";
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import { decodeCustom, isCustomTarget } from "../../k8s/custom/decode-custom.ts";
import { DecodeError } from "../../k8s/decode-scalar.ts";
import { type Decoded, decodeValue } from "../../k8s/decode-value.ts";
import { invalid, invalidObject } from "../../k8s/field-error.ts";
import { JsonTextError, parseJsonText } from "../../k8s/json-text.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { applyJsonPatch } from "../../k8s/patch/json-patch.ts";
import { applyMergePatch } from "../../k8s/patch/merge-patch.ts";
import { mergeTypeOf } from "../../k8s/patch/merge-type.ts";
import { applyStrategicMergePatch } from "../../k8s/patch/strategic-merge.ts";
import { schemaOf } from "../../k8s/schema.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { decodeObject, enforceFieldValidation, strictDecodingError } from "../../k8s/strict-decode.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { notFound } from "../store/api-errors.ts";
import type { NamedRequest } from "./api-context.ts";
import { contentTypeOf, parseObjectBody, unsupportedMediaType } from "./decode-body.ts";
import { type Answer, objectAnswer } from "./exchange.ts";
import { appliedOver, applyTypeOf, withFirstOwner, withoutNewTimes } from "./field-owners.ts";
import { presenterOf } from "./read-verbs.ts";
import { patchOptions, type WriteRequestOptions } from "./request-options.ts";
import { storeChange } from "./store-change.ts";
import { storeMissing } from "./store-new.ts";

const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
const APPLY_PATCH = "application/apply-patch+yaml";
const PATCH_TYPES: readonly string[] = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH, STRATEGIC_PATCH];
/** A strategic patch needs merge keys, which are of Go types. */
const CUSTOM_PATCH_TYPES: readonly string[] = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH];

/** 200 with the changed object; 201 where an apply creates. */
export async function patchObject(named: NamedRequest): Promise<Answer> {
  const { request } = named;
  const type = contentTypeOf(request);
  const types = named.target.info.custom === undefined ? PATCH_TYPES : CUSTOM_PATCH_TYPES;
  if (!types.includes(type)) throw unsupportedMediaType(types);
  const options = patchOptions(request.query, type === APPLY_PATCH);
  const bytes = await request.readBody();
  return type === APPLY_PATCH
    ? await applyObject(named, { bytes, options })
    : await changeObject(named, { bytes, type, options });
}

interface Patch {
  readonly bytes: Uint8Array;
  readonly type: string;
  readonly options: WriteRequestOptions;
}

async function changeObject(named: NamedRequest, patch: Patch): Promise<Answer> {
  const { options } = patch;
  const { value, duplicates } = parsePatch(patch);
  const change = (current: KubeObject) => {
    const patched = applyPatch(current, value, patch.type);
    return decodePatched(named, patched, {
      ...patch,
      shown: shownIn(patch.type, { value, patched }),
      duplicates,
    });
  };
  const changed = await storeChange(named, { change, dryRun: options.dryRun });
  return objectAnswer(presenterOf(named).object(changed));
}

function parsePatch({ bytes, type }: Patch): {
  readonly value: unknown;
  readonly duplicates: readonly string[];
} {
  try {
    const parsed = parseJsonText(new TextDecoder().decode(bytes));
    if (type === JSON_PATCH || isJsonObject(parsed.value)) return parsed;
    const found = Array.isArray(parsed.value)
      ? "array"
      : parsed.value === null
        ? "null"
        : typeof parsed.value;
    throw new JsonTextError(`json: cannot unmarshal ${found} into Go value of type map[string]interface {}`);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new StatusError("BadRequest", `error decoding patch: ${error.message}`);
  }
}

function applyPatch(current: KubeObject, patch: unknown, type: string): unknown {
  if (type === JSON_PATCH) return applyJsonPatch(current, patch);
  if (type === MERGE_PATCH) return applyMergePatch(current, patch);
  return applyStrategicMergePatch(
    current,
    patch as JsonObject,
    mergeTypeOf(current.apiVersion, current.kind),
  );
}

/** What an error shows of the request: the result, or for strategic patches the patch. */
function shownIn(
  type: string,
  { value, patched }: { readonly value: unknown; readonly patched: unknown },
): string {
  return JSON.stringify(type === STRATEGIC_PATCH ? value : patched);
}

interface Patched {
  readonly options: WriteRequestOptions;
  readonly shown: string;
  readonly duplicates: readonly string[];
}

/** The result as an object of its kind. Mistakes are `Invalid`, in the words of apiserver's `patcher`. */
function decodePatched(
  { target, request }: NamedRequest,
  patched: unknown,
  { options, shown, duplicates }: Patched,
): KubeObject {
  const { info } = target;
  const apiVersion = apiVersionOf(info);
  const refused = (why: string) =>
    invalidObject({ group: "", kind: "", name: "" }, [invalid("patch", shown, why)]);
  if (!isJsonObject(patched) || patched["kind"] !== info.kind || patched["apiVersion"] !== apiVersion) {
    throw refused(`apiVersion and kind must stay ${apiVersion} and ${info.kind}`);
  }
  try {
    const { object, strictErrors } = decodeAs(info, patched);
    const all = [...duplicates.map((path) => `duplicate field "${path}"`), ...strictErrors];
    if (all.length > 0 && options.fieldValidation === "Strict") throw refused(strictDecodingError(all));
    if (options.fieldValidation === "Warn") all.forEach(request.warn);
    return object as KubeObject;
  } catch (error) {
    if (error instanceof DecodeError) throw refused(error.message);
    throw error;
  }
}

function decodeAs(info: ResourceInfo, patched: JsonObject): Decoded<object> {
  if (isCustomTarget(info)) return decodeCustom(patched, info);
  const schema = schemaOf(apiVersionOf(info), info.kind);
  if (schema === undefined) throw new Error(`The schema has no type for ${apiVersionOf(info)} ${info.kind}`);
  return decodeValue(patched, schema);
}

/** Server-side apply: the fields in the manifest are the manager's from now on, and no others are. */
async function applyObject(named: NamedRequest, { bytes, options }: Omit<Patch, "type">): Promise<Answer> {
  const { context, request, target } = named;
  const { info, namespace, name } = target;
  const { value, duplicates } = parseObjectBody(bytes, "application/yaml", info);
  const { object, strictErrors } = decodeObject(value, info, duplicates);
  for (const text of enforceFieldValidation(strictErrors, options.fieldValidation, info)) request.warn(text);
  if (object.metadata.managedFields !== undefined) {
    throw new StatusError("BadRequest", "metadata.managedFields must be nil");
  }
  const type = applyTypeOf(info);
  const config = storedConfig(readable(value as JsonObject, info), readable(object, info), type);
  refuseUnclearItems({
    config,
    type,
    object: { namespace, name, apiVersion: apiVersionOf(info), kind: info.kind },
  });
  const applied = { config, force: options.force ?? false };
  const { dryRun } = options;
  const presenter = presenterOf(named);
  if (target.subresource === undefined) {
    const own = (fresh: KubeObject) => withFirstOwner(named, fresh, applied);
    const created = await storeMissing(named, { object: withName(object, name), dryRun, own });
    if (created !== undefined) return objectAnswer(presenter.object(created), 201);
  } else if (context.store.get(info.groupResource, { namespace, name }) === undefined) {
    throw notFound(info.groupResource, name);
  }
  const change = (current: KubeObject) =>
    withoutNewTimes(decodeObject(appliedOver(named, current, applied), info).object, current);
  return objectAnswer(presenter.object(await storeChange(named, { change, dryRun, isApply: true })));
}

/** A Secret's `stringData` is never seen again: what is owned is where it goes. */
function readable(value: JsonObject, { groupResource }: ResourceInfo): JsonObject {
  const { stringData, data, ...secret } = value;
  if (groupResource !== "secrets" || !isJsonObject(stringData)) return value;
  const encoded = Object.entries(stringData).map(
    ([key, text]) => [key, typeof text === "string" ? Buffer.from(text).toString("base64") : text] as const,
  );
  return { ...secret, data: { ...(isJsonObject(data) ? data : {}), ...Object.fromEntries(encoded) } };
}

/** The URL decides the name of what an apply creates. */
function withName(object: KubeObject, name: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, name: object.metadata.name ?? name } };
}

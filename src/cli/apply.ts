/** `up -f`: what `kubectl apply` does on the client's side, so that both may be used on the same objects. */
import { LAST_APPLIED } from "../k8s/apply/last-applied.ts";
import type { KubeObject } from "../k8s/object.ts";
import { mergeTypeOf } from "../k8s/patch/merge-type.ts";
import { threeWayPatch } from "../k8s/patch/three-way.ts";
import { Problem } from "../kernel/problem.ts";
import { StatusError } from "../k8s/status-error.ts";
import type { ApiClient } from "./api-client.ts";
import { findResource } from "./find-resource.ts";
import type { Manifest } from "./manifests.ts";
import { AWAITED } from "./progress.ts";
import type { AwaitedObject } from "./wait-ready.ts";

type OnWarning = (text: string) => void;

export interface Applied {
  /** `pod/web created`, as kubectl prints it. */
  readonly line: string;
  /** What to wait for; absent for objects that are ready as soon as they are stored. */
  readonly awaited?: AwaitedObject;
}

/**
 * Creates or changes every object, namespaces and definitions first. `onWarning` gets what the API warns of, each text once. Stops at the first that the API refuses, naming its place.
 */
export async function* applyManifests(
  api: ApiClient,
  manifests: readonly Manifest[],
  onWarning: OnWarning,
): AsyncGenerator<Applied> {
  const warned = new Set<string>();
  const warnOnce = (text: string) => {
    if (!warned.has(text)) onWarning(text);
    warned.add(text);
  };
  for (const manifest of manifests.toSorted((a, b) => turnOf(a) - turnOf(b))) {
    try {
      yield await applyOne(api, manifest, warnOnce);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      throw new Problem({
        code: "E_APPLY_REFUSED",
        message: `Cannot apply ${manifest.where}: ${error.message}`,
        fix: fixOf(error),
        cause: error,
      });
    }
  }
}

/** What others need comes first. */
const FIRST = ["Namespace", "CustomResourceDefinition"];

function turnOf({ object }: Manifest): number {
  const turn = FIRST.indexOf(object.kind);
  return turn < 0 ? FIRST.length : turn;
}

function fixOf({ reason }: StatusError): string {
  if (reason === "Invalid" || reason === "BadRequest") return "Correct that field in the manifest";
  if (reason === "NotFound")
    return "Create what is missing first, for example its namespace, in the same `-f`";
  return "See `pillion events`, then apply again";
}

async function applyOne(api: ApiClient, { object, where }: Manifest, onWarning: OnWarning): Promise<Applied> {
  const resource = await findResource(api, object);
  if (resource === undefined) {
    throw new Problem({
      code: "E_UNKNOWN_KIND",
      message: `Cannot apply ${where}: the cluster does not know kind "${object.kind}" in "${object.apiVersion}"`,
      fix: "Correct `apiVersion` and `kind`; `pillion kubectl api-resources` lists what there is",
    });
  }
  const namespace = resource.namespaced ? (object.metadata.namespace ?? "default") : "";
  const collection =
    (resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`) +
    (resource.namespaced ? `/namespaces/${namespace}` : "") +
    `/${resource.plural}`;
  const outcome = await createOrPatch(api, { collection, object, onWarning, isCustom: resource.isCustom });
  const name = `${resource.singular}${resource.group === "" ? "" : `.${resource.group}`}/${outcome.name}`;
  const line = `${name} ${outcome.verb}`;
  if (!AWAITED.has(resource.groupResource)) return { line };
  return { line, awaited: { singular: resource.singular, collection, namespace, name: outcome.name } };
}

async function createOrPatch(
  api: ApiClient,
  {
    collection,
    object,
    onWarning,
    isCustom,
  }: {
    readonly collection: string;
    readonly object: KubeObject;
    readonly onWarning: OnWarning;
    readonly isCustom: boolean;
  },
): Promise<{ readonly verb: string; readonly name: string }> {
  const query = "fieldManager=pillion-up&fieldValidation=Strict";
  const { name } = object.metadata;
  if (name === undefined) {
    const created = await api.request(`${collection}?${query}`, { method: "POST", body: object, onWarning });
    return { verb: "created", name: created.metadata.name ?? "" };
  }
  const modified = withLastApplied(object);
  const current = await api.find(`${collection}/${encodeURIComponent(name)}`);
  if (current === undefined) {
    await api.request(`${collection}?${query}`, { method: "POST", body: modified, onWarning });
    return { verb: "created", name };
  }
  const original = JSON.parse(current.metadata.annotations?.[LAST_APPLIED] ?? "{}") as KubeObject;
  const type = isCustom ? undefined : mergeTypeOf(object.apiVersion, object.kind);
  const patch = threeWayPatch({ original, modified, current }, type);
  if (Object.keys(patch).length === 0) return { verb: "unchanged", name };
  await api.request(`${collection}/${encodeURIComponent(name)}?${query}`, {
    method: "PATCH",
    body: patch,
    onWarning,
    contentType: `application/${isCustom ? "merge" : "strategic-merge"}-patch+json`,
  });
  return { verb: "configured", name };
}

/** The object with itself in the annotation, the way kubectl writes it: one line of JSON and a line break. */
function withLastApplied(object: KubeObject): KubeObject {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  return {
    ...object,
    metadata: {
      ...object.metadata,
      annotations: { ...annotations, [LAST_APPLIED]: `${JSON.stringify(bare)}\n` },
    },
  };
}

/** What happens to an object on its way to the store, whoever writes it: its place, the admission steps, a word about what nothing acts on. */
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import { applyDefaults } from "../../k8s/defaults.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Admit, ResourceRequest, WriteOperation } from "./api-context.ts";
import type { ApiRequest, User } from "./exchange.ts";

export interface Admission {
  readonly info: ResourceInfo;
  readonly object: KubeObject;
  readonly before?: KubeObject;
  readonly operation: WriteOperation;
  readonly dryRun: boolean;
  readonly user?: User;
  readonly warn: (text: string) => void;
}

/** One step after the other. Throws what a step refuses with. */
export function admit(steps: readonly Admit[], admission: Admission): KubeObject {
  const admitted = steps.reduce((object, step) => step({ ...admission, object }), admission.object);
  // What a step has added has defaults of its own.
  return admitted === admission.object ? admitted : applyDefaults(admitted);
}

/** Fills the namespace from the path, or takes it away where there is none (`EnsureObjectNamespaceMatchesRequestNamespace`). */
export function inPlace(object: KubeObject, { info, namespace }: ResourceRequest["target"]): KubeObject {
  const { namespace: given = "", ...metadata } = object.metadata;
  if (!info.namespaced) return { ...object, metadata };
  if (given === "" || given === namespace) return { ...object, metadata: { ...metadata, namespace } };
  throw new StatusError(
    "BadRequest",
    "the namespace of the provided object does not match the namespace sent on the request",
  );
}

/** A request means the object that its path names. Throws `BadRequest`. */
export function checkName(object: KubeObject, { name }: { readonly name: string }): void {
  const given = object.metadata.name ?? "";
  if (given === name) return;
  throw new StatusError(
    "BadRequest",
    given === ""
      ? `the name of the object (${name} based on URL) was undeterminable: name must be provided`
      : `the name of the object (${given}) does not match the name on the URL (${name})`,
  );
}

/** Only what is stored and not acted on is worth a warning. */
export function warnIfInert({ actedOn, kind }: ResourceInfo, { warn }: ApiRequest): void {
  if (!actedOn) warn(`pillion: ${kind} objects are stored, but nothing acts on them yet`);
}

/** What the API server refuses to store although every field has its type: `Invalid`, with every mistake at once. */
import { type CustomTarget, isCustomTarget } from "./custom/decode-custom.ts";
import { refuseInvalidCustom, refuseInvalidCustomChange } from "./custom/validate-custom.ts";
import { type FieldError, invalidObject } from "./field-error.ts";
import { checkDns1123Subdomain } from "./names.ts";
import type { KubeObject } from "./object.ts";
import { validateMetadata, validateMetadataUpdate } from "./validation/metadata.ts";
import { validateEphemeralContainersUpdate } from "./validation/pod.ts";
import { rulesOf } from "./validation/rules.ts";

function refuse({ apiVersion, kind, metadata }: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  throw invalidObject({ group, kind, name: metadata.name ?? "" }, errors);
}

/** An entry of the catalogue fits. */
export type ValidatedResource = Partial<CustomTarget> & { readonly namespaced: boolean };

/** For a new object, defaulted, with its name and namespace. Throws StatusError `Invalid`. */
export function refuseInvalidNew(object: KubeObject, resource: ValidatedResource): void {
  if (isCustomTarget(resource)) return refuseInvalidCustom(object, resource);
  const { namespaced } = resource;
  const { checkName = checkDns1123Subdomain, create } = rulesOf(object);
  refuse(object, [
    ...validateMetadata(object.metadata, { namespaced, checkName }),
    ...(create?.(object) ?? []),
  ]);
}

/** For the change of a stored object, not of its status. Throws StatusError `Invalid`. */
export function refuseInvalidChange(
  object: KubeObject,
  before: KubeObject,
  resource?: ValidatedResource,
): void {
  if (resource !== undefined && isCustomTarget(resource)) {
    return refuseInvalidCustomChange(object, before, resource);
  }
  const { create, update } = rulesOf(object);
  const own = update === undefined ? create?.(object) : update(object, before);
  refuse(object, [...validateMetadataUpdate(object.metadata, before.metadata), ...(own ?? [])]);
}

/** For writes to a status: the metadata may change with it. */
export function refuseInvalidStatus(
  object: KubeObject,
  before: KubeObject,
  resource?: ValidatedResource,
): void {
  if (resource !== undefined && isCustomTarget(resource)) {
    return refuseInvalidCustomChange(object, before, resource);
  }
  refuse(object, validateMetadataUpdate(object.metadata, before.metadata));
}

/** For `pods/ephemeralcontainers`. */
export function refuseInvalidEphemeralContainers(pod: KubeObject, before: KubeObject): void {
  const errors = validateMetadataUpdate(pod.metadata, before.metadata);
  refuse(pod, [...errors, ...validateEphemeralContainersUpdate(pod, before)]);
}

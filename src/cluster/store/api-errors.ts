/** The failures of a real API server's registry, worded as its `apimachinery/pkg/api/errors` words them. */
import type { GroupResource } from "../../k8s/object.ts";
import { StatusError, type StatusCause, type StatusDetails } from "../../k8s/status-error.ts";

/** `registry/generic/registry/store.go` OptimisticLockErrorMsg. */
export const OPTIMISTIC_LOCK =
  "the object has been modified; please apply your changes to the latest version and try again";

/** What the real server answers for a path that it does not serve. */
export function unknownResource(): StatusError {
  return new StatusError("NotFound", "the server could not find the requested resource");
}

export function notFound(resource: GroupResource, name: string): StatusError {
  return new StatusError("NotFound", `${resource} "${name}" not found`, detailsOf(resource, name));
}

export function alreadyExists(resource: GroupResource, name: string): StatusError {
  return new StatusError("AlreadyExists", `${resource} "${name}" already exists`, detailsOf(resource, name));
}

/** `create()` of a name that is still going away. */
export function stillBeingDeleted(resource: GroupResource, name: string): StatusError {
  const message = `object is being deleted: ${resource} "${name}" already exists`;
  return new StatusError("AlreadyExists", message, detailsOf(resource, name));
}

/** No free name was found for a `generateName`; clients may try again. */
export function generatedNameTaken(resource: GroupResource, name: string): StatusError {
  const message = `${resource} "${name}" already exists, the server was not able to generate a unique name for the object`;
  return new StatusError("AlreadyExists", message, { ...detailsOf(resource, name), retryAfterSeconds: 1 });
}

export function conflict(resource: GroupResource, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${resource} "${name}": ${why}`;
  return new StatusError("Conflict", message, detailsOf(resource, name));
}

export function forbidden(
  resource: GroupResource,
  name: string,
  { why, causes }: { readonly why: string; readonly causes?: readonly StatusCause[] },
): StatusError {
  const details = { ...detailsOf(resource, name), ...(causes === undefined ? {} : { causes }) };
  return new StatusError("Forbidden", `${resource} "${name}" is forbidden: ${why}`, details);
}

export function badRequest(message: string): StatusError {
  return new StatusError("BadRequest", message);
}

/** Everything that is not the client's fault. */
export function internalError(message: string): StatusError {
  return new StatusError("InternalError", `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

/** `storage.NewTooLargeResourceVersionError`: the version is from the future, or from another cluster. */
export function versionTooLarge(wanted: number, current: number): StatusError {
  const message = `Timeout: Too large resource version: ${wanted}, current: ${current}`;
  return new StatusError("Timeout", message, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

/** `detail.kind` is the plural, as on the real server. */
function detailsOf(resource: GroupResource, name: string): StatusDetails {
  const dot = resource.indexOf(".");
  if (dot === -1) return { name, kind: resource };
  return { name, group: resource.slice(dot + 1), kind: resource.slice(0, dot) };
}

/** Reads which resource a path names (apiserver's `RequestInfoFactory`). */
import { resourceAt, type ResourceInfo, type SubresourceInfo } from "../../k8s/catalogue.ts";
import { StatusError } from "../../k8s/status-error.ts";

export interface ResourceTarget {
  readonly info: ResourceInfo;
  /** Empty for cluster-scoped resources and for requests over all namespaces. */
  readonly namespace: string;
  /** Absent for a collection. */
  readonly name?: string;
  readonly subresource?: SubresourceInfo;
}

/** What a real server's clients make of its "404 page not found". */
export function unknownPath(): StatusError {
  return new StatusError("NotFound", "the server could not find the requested resource", {
    causes: [{ reason: "UnexpectedServerResponse", message: "404 page not found" }],
  });
}

/** Percent-decodes a path; empty segments are dropped. `BadRequest` when it is not UTF-8 or badly escaped. */
export function pathSegments(path: string): string[] {
  try {
    return path
      .split("/")
      .filter((segment) => segment !== "")
      .map(decodeURIComponent);
  } catch {
    throw new StatusError("BadRequest", `the path "${path.slice(0, 200)}" is not a valid URL path`);
  }
}

/** Finds what is served, by the parts of a path. */
export type LookUp = (at: Pick<ResourceInfo, "group" | "version" | "plural">) => ResourceInfo | undefined;

/** `NotFound` for what is not served. Segments as `pathSegments` gives them, beginning with `api` or `apis`. */
export function resolveResource(
  segments: readonly string[],
  lookUp: LookUp = ({ group, version, plural }) => resourceAt(group, version, plural),
): ResourceTarget {
  const [root, ...rest] = segments;
  const [group, version, ...path] = root === "api" ? ["", ...rest] : rest;
  if ((root !== "api" && root !== "apis") || group === undefined || version === undefined)
    throw unknownPath();
  const { namespace, plural, name, subresource, ...more } = splitPath(path);
  const info = plural === undefined ? undefined : lookUp({ group, version, plural });
  if (info === undefined || more.tooDeep) throw unknownPath();
  if (!info.namespaced && namespace !== "") throw unknownPath();
  if (info.namespaced && namespace === "" && name !== undefined) throw unknownPath();
  const target = { info, namespace, ...(name === undefined ? {} : { name: checkedName(name) }) };
  if (subresource === undefined) return target;
  const known = info.subresources.find((one) => one.name === subresource);
  if (known === undefined) throw unknownPath();
  return { ...target, subresource: known };
}

interface PathParts {
  readonly namespace: string;
  readonly plural: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly tooDeep: boolean;
}

const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

function splitPath(path: readonly string[]): PathParts {
  const [first, second, third] = path;
  const isInNamespace =
    first === "namespaces" &&
    second !== undefined &&
    third !== undefined &&
    !(path.length === 3 && NAMESPACE_SUBRESOURCES.has(third));
  const [plural, name, subresource, ...deeper] = isInNamespace ? path.slice(2) : path;
  const namespace = isInNamespace ? checkedName(second) : "";
  return { namespace, plural, name, subresource, tooDeep: deeper.length > 0 };
}

/** Nothing that could ever be taken for another path (`IsValidPathSegmentName`). */
function checkedName(name: string): string {
  if (name === "." || name === "..") throw badName(name, `may not be '${name}'`);
  for (const mark of ["/", "%"]) if (name.includes(mark)) throw badName(name, `may not contain '${mark}'`);
  return name;
}

function badName(name: string, why: string): StatusError {
  return new StatusError("BadRequest", `invalid resource name ${JSON.stringify(name)}: [${why}]`);
}

/** The image map: which image names stand for this machine, an OCI layout or an archive, and who said so. */
import { isDeepStrictEqual } from "node:util";
import { Problem } from "../../kernel/problem.ts";
import type { HostCopy } from "./image.ts";
import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  repositoryOf,
} from "./reference.ts";
import type { Reference } from "./reference.ts";

/** Where an image name leads. All paths are absolute. */
export type Mapping = HostMapping | { readonly kind: "oci" | "archive"; readonly path: string };

/** This machine's own root, with the configuration that an image would have had. */
export interface HostMapping {
  readonly kind: "host";
  /** Shown at the same path, and the container's working directory. */
  readonly workdir?: string;
  /** Stands for the image's ENTRYPOINT. */
  readonly command?: readonly string[];
  /** Stands for the image's CMD. */
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `user`, `uid`, `user:group` or `uid:gid`; empty = root. */
  readonly user: string;
  readonly stopSignal: string;
  readonly copies: readonly HostCopy[];
  readonly folders: readonly string[];
}

export interface MapEntry {
  /** As it was written: a name, a name with tag or digest, or a pattern with `*`. */
  readonly name: string;
  readonly mapping: Mapping;
  /** Who said so: a file, or `KEPT_BY_COMMAND`. */
  readonly source: string;
  /** `FILE:LINE:COLUMN` where there is one, else the source. */
  readonly place: string;
}

/** All that one place says. */
export interface ImageMapSource {
  readonly source: string;
  readonly entries: readonly MapEntry[];
}

/** `source` of entries made with `pillion images map`. */
export const KEPT_BY_COMMAND = "pillion images map";

/** The mapping `host` with nothing said. */
export const PLAIN_HOST: HostMapping = {
  kind: "host",
  env: {},
  user: "",
  stopSignal: "SIGTERM",
  copies: [],
  folders: [],
};

export function isPattern(name: string): boolean {
  return name.includes("*");
}

/** One spelling per name: `nginx` and `docker.io/library/nginx` have the same key. Throws `InvalidReference`. */
export function mapKey(name: string): string {
  return isPattern(name) ? name : canonicalName(parseReference(name));
}

/** The entry that decides over an image: exact digest, exact tag, repository, then the longest pattern. */
export function lookUp(entries: readonly MapEntry[], reference: Reference): MapEntry | undefined {
  const repository = repositoryOf(reference);
  const { tag, digest } = reference;
  const keys = [
    canonicalName(reference),
    ...(digest === undefined ? [] : [`${repository}@${digest}`]),
    ...(tag === undefined ? [] : [`${repository}:${tag}`]),
    repository,
  ];
  for (const key of keys) {
    const exact = entries.find((entry) => !isPattern(entry.name) && mapKey(entry.name) === key);
    if (exact !== undefined) return exact;
  }
  return entries
    .filter((entry) => isPattern(entry.name) && matches(entry.name, reference))
    .toSorted((a, b) => b.name.length - a.name.length || (a.name < b.name ? -1 : 1))[0];
}

/**
 * One map from several. Saying the same twice is fine; two that disagree on a name throw `Problem`
 * `E_IMAGE_MAP_CONFLICT`, which names both places of every disagreement.
 */
export function mergeMaps(sources: readonly ImageMapSource[]): readonly MapEntry[] {
  const merged = new Map<string, MapEntry>();
  const conflicts: string[] = [];
  for (const entry of sources.flatMap(({ entries }) => entries)) {
    const key = mapKey(entry.name);
    const earlier = merged.get(key);
    if (earlier === undefined) merged.set(key, entry);
    else if (!isDeepStrictEqual(earlier.mapping, entry.mapping)) {
      conflicts.push(
        `"${entry.name}" is ${describeMapping(earlier.mapping)} at ${earlier.place}, ` +
          `and ${describeMapping(entry.mapping)} at ${entry.place}`,
      );
    }
  }
  if (conflicts.length > 0) {
    throw new Problem({
      code: "E_IMAGE_MAP_CONFLICT",
      message: `Cannot merge the image maps: ${conflicts.join("; ")}`,
      fix: "Keep one of the two; `pillion images unmap NAME` forgets an entry that the cluster keeps",
    });
  }
  return [...merged.values()];
}

/** One line for people. */
export function describeMapping(mapping: Mapping): string {
  if (mapping.kind !== "host") return `${mapping.kind} ${mapping.path}`;
  const { workdir, command, args, env, user, copies, folders } = mapping;
  const details = [
    ...(workdir === undefined ? [] : [`workdir ${workdir}`]),
    ...(command === undefined && args === undefined
      ? []
      : [`runs ${JSON.stringify([...(command ?? []), ...(args ?? [])])}`]),
    // Values may be secrets; names are enough to tell two mappings apart.
    ...(Object.keys(env).length === 0 ? [] : [`env ${Object.keys(env).join(", ")}`]),
    ...(user === "" ? [] : [`user ${user}`]),
    ...(copies.length === 0 ? [] : [`copies to ${copies.map(({ to }) => to).join(", ")}`]),
    ...(folders.length === 0 ? [] : [`shows ${folders.join(", ")}`]),
  ];
  return details.length === 0 ? "host" : `host (${details.join("; ")})`;
}

/** `*` stands for any characters. A pattern is tried on the full and the short name, with and without tag. */
function matches(pattern: string, reference: Reference): boolean {
  const names = [
    canonicalName(reference),
    familiarName(reference),
    repositoryOf(reference),
    familiarRepository(reference),
  ];
  return names.some((name) => matchesGlob(pattern, name));
}

/** Greedy match from left to right; linear, unlike a regular expression with many `.*`. */
function matchesGlob(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === name;
  const last = rest.pop() ?? "";
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length)
    return false;
  let at = first.length;
  const end = name.length - last.length;
  return rest.every((part) => {
    const found = name.indexOf(part, at);
    at = found + part.length;
    return found !== -1 && at <= end;
  });
}

/**
 * OpenAPI v3: kubectl wants it before every write, to see that the server validates fields, and for `explain`.
 *
 * kubectl takes 150 ms to parse a full document of the core group, so commands that only look for `fieldValidation`
 * get a sparse one. Which it is stands in the hash of the document's URL: the two never share a cache entry.
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type ResourceInfo, resources } from "../../k8s/catalogue.ts";
import { schemaVersion } from "../../k8s/schema.ts";
import type { ApiDocument } from "./discovery.ts";
import { fullPaths, sparsePaths } from "./openapi-paths.ts";
import { componentSchemas } from "./openapi-schemas.ts";

export type OpenApiDetail = "full" | "sparse";

export interface OpenApiRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** @default what is built in */
  readonly served?: readonly ResourceInfo[];
}

/** `code` is 304 with an empty body when the client has the document already. */
export interface OpenApiDocument extends ApiDocument {
  readonly code: 200 | 304;
}

/** The URL changes with the content; the hour is for whoever forgot `FORMAT`. */
const FRESH_MS = 3_600_000;

/** Full for `kubectl explain` and for clients that are neither kubectl nor helm. */
export function openApiDetail(headers: IncomingHttpHeaders): OpenApiDetail {
  const command = headers["kubectl-command"];
  if (typeof command === "string") return / explain\b/.test(command) ? "full" : "sparse";
  return /^helm\//i.test(headers["user-agent"] ?? "") ? "sparse" : "full";
}

/** The index at `/openapi/v3` and the documents below it; undefined for other paths. */
export function openApiDocument(request: OpenApiRequest, now = Date.now()): OpenApiDocument | undefined {
  const path = request.path.replace(/\/$/, "");
  const { served = resources } = request;
  if (path === "/openapi/v3") {
    const detail = openApiDetail(request.headers);
    const names = documentNames(served);
    const tag = createHash("sha256").update(
      JSON.stringify(names.map((name) => hashOf(detail, name, served))),
    );
    return conditional(request, `index-${tag.digest("hex").slice(0, 32)}`, () => ({
      body: JSON.stringify(index(detail, served)),
      headers: { "cache-control": "no-cache, private", vary: "Accept, Kubectl-Command, User-Agent" },
    }));
  }
  const of = path.startsWith("/openapi/v3/") ? path.slice("/openapi/v3/".length) : "";
  const infos = served.filter((info) => documentName(info) === of);
  if (infos.length === 0) return undefined;
  const asked = request.query.get("hash");
  const detail = DETAILS.find((one) => hashOf(one, of, served) === asked);
  const shown = detail ?? openApiDetail(request.headers);
  return conditional(request, hashOf(shown, of, served), () => ({
    body: JSON.stringify(groupVersionDocument(infos, shown)),
    headers: detail === undefined ? { "cache-control": "no-cache, private" } : immutable(now),
  }));
}

const DETAILS: readonly OpenApiDetail[] = ["full", "sparse"];

function immutable(now: number): Readonly<Record<string, string>> {
  return { "cache-control": "public, immutable", expires: new Date(now + FRESH_MS).toUTCString() };
}

function conditional(
  { headers }: OpenApiRequest,
  tag: string,
  make: () => Pick<ApiDocument, "body" | "headers">,
): OpenApiDocument {
  const etag = `"${tag}"`;
  const contentType = "application/json";
  const known = (headers["if-none-match"] ?? "").split(",").map((one) => one.trim().replace(/^W\//, ""));
  if (known.includes(etag)) return { code: 304, contentType, body: "", headers: { etag } };
  const made = make();
  return { code: 200, contentType, body: made.body, headers: { ...made.headers, etag } };
}

/** `api/v1`, `apis/apps/v1`: the document's name in the index. */
function documentName({ group, version }: ResourceInfo): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

function documentNames(served: readonly ResourceInfo[]): readonly string[] {
  return [...new Set(served.map(documentName))];
}

function index(detail: OpenApiDetail, served: readonly ResourceInfo[]): object {
  return {
    paths: Object.fromEntries(
      documentNames(served).map((name) => {
        const hash = hashOf(detail, name, served);
        return [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }] as const;
      }),
    ),
  };
}

const hashes = new WeakMap<readonly ResourceInfo[], Map<string, string>>();

/** Of one document. What is built in never changes; the rest changes with its definitions. */
function hashOf(detail: OpenApiDetail, name: string, served: readonly ResourceInfo[]): string {
  const known = hashes.get(served) ?? new Map<string, string>();
  hashes.set(served, known);
  const key = `${detail} ${name}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const custom = served.flatMap((info) =>
    info.custom !== undefined && documentName(info) === name ? [info.custom.version, info.kind] : [],
  );
  const content = custom.length === 0 ? "" : ` ${JSON.stringify(custom)}`;
  const hash = createHash("sha256")
    .update(`${FORMAT} ${detail} ${schemaVersion()}${content}`)
    .digest("hex")
    .slice(0, 32);
  known.set(key, hash);
  return hash;
}

/** To be counted up when what is written here changes, so that caches let go of the old. */
const FORMAT = 1;

function groupVersionDocument(infos: readonly ResourceInfo[], detail: OpenApiDetail): object {
  const info = { title: "Kubernetes", version: "v1.36.0" };
  if (detail === "sparse") return { openapi: "3.0.0", info, paths: sparsePaths(infos) };
  return {
    openapi: "3.0.0",
    info,
    paths: fullPaths(infos),
    components: { schemas: componentSchemas(infos) },
  };
}

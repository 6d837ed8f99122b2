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
  if (path === "/openapi/v3") {
    const detail = openApiDetail(request.headers);
    return conditional(request, `index-${hashOf(detail)}`, () => ({
      body: JSON.stringify(index(detail)),
      headers: { "cache-control": "no-cache, private", vary: "Accept, Kubectl-Command, User-Agent" },
    }));
  }
  const of = path.startsWith("/openapi/v3/") ? path.slice("/openapi/v3/".length) : "";
  const infos = resources.filter((info) => documentName(info) === of);
  if (infos.length === 0) return undefined;
  const asked = request.query.get("hash");
  const detail = DETAILS.find((one) => hashOf(one) === asked);
  const shown = detail ?? openApiDetail(request.headers);
  return conditional(request, hashOf(shown), () => ({
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

function index(detail: OpenApiDetail): object {
  const names = [...new Set(resources.map(documentName))];
  const hash = hashOf(detail);
  return {
    paths: Object.fromEntries(
      names.map((name) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }]),
    ),
  };
}

const hashes = new Map<OpenApiDetail, string>();

function hashOf(detail: OpenApiDetail): string {
  const known = hashes.get(detail);
  if (known !== undefined) return known;
  const hash = createHash("sha256")
    .update(`${FORMAT} ${detail} ${schemaVersion()}`)
    .digest("hex")
    .slice(0, 32);
  hashes.set(detail, hash);
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

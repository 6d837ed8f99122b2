/** Pages about the API itself: its index, discovery and OpenAPI. */
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import { discoveryDocument } from "./discovery.ts";
import { type Answer, type ApiRequest, objectAnswer } from "./exchange.ts";
import { openApiDocument } from "./openapi.ts";
import { openApiV2Document } from "./openapi-v2.ts";

/** Undefined for paths that name no such page. */
export function documentAnswer(
  { path, query, headers, segments }: ApiRequest,
  listServed: () => readonly ResourceInfo[],
): Answer | undefined {
  // Most requests are for objects, and need no list of what else there is.
  if (segments.length > 3 && segments[0] !== "openapi") return undefined;
  const served = listServed();
  if (segments.length === 0) return objectAnswer({ paths: indexPaths(served) });
  const discovery = discoveryDocument(path, headers.accept, served);
  if (discovery !== undefined) return { kind: "text", code: 200, ...discovery };
  if (path === "/openapi/v2")
    return { kind: "text", code: 200, ...openApiV2Document(headers.accept, served) };
  const openApi = openApiDocument({ path, query, headers, served });
  return openApi === undefined ? undefined : { kind: "text", ...openApi };
}

function indexPaths(served: readonly ResourceInfo[]): string[] {
  const versions = new Set(served.map(apiVersionOf));
  const groups = new Set(served.map(({ group }) => group).filter((group) => group !== ""));
  return [
    "/api",
    "/api/v1",
    "/apis",
    ...[...groups].map((group) => `/apis/${group}`),
    ...[...versions].filter((version) => version.includes("/")).map((version) => `/apis/${version}`),
    "/healthz",
    "/livez",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
  ].sort();
}

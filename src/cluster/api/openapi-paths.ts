/** OpenAPI v3 paths of a group version: which requests a kind takes, and that they know `fieldValidation`. */
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import { refToKind, refToResource } from "./openapi-schemas.ts";

type Json = Readonly<Record<string, unknown>>;

const OK = { description: "OK" };

/**
 * Just what kubectl looks for before it leaves validation to the server. Says nothing of strategic merge patches, or
 * kubectl would look up merge keys here instead of in its own tables.
 */
export function sparsePaths(infos: readonly ResourceInfo[]): Json {
  const writable = infos.filter(({ verbs }) => verbs.includes("create"));
  return Object.fromEntries(
    writable.flatMap((info) => {
      const path = collectionPath(info);
      const operation = (action: string) => ({
        ...kindAndAction(info, action),
        parameters: [query("fieldValidation")],
        responses: { "200": OK },
      });
      const collection = [path, { post: operation("post") }] as const;
      if (!info.verbs.includes("patch")) return [collection];
      return [collection, [`${path}/{name}`, { patch: operation("patch") }] as const];
    }),
  );
}

/** Every request, with bodies and answers by schema. */
export function fullPaths(infos: readonly ResourceInfo[]): Json {
  return Object.fromEntries(
    infos.flatMap((info) => {
      const path = collectionPath(info);
      const has = (verb: string) => info.verbs.includes(verb);
      const shared = info.namespaced ? [inPath("namespace")] : [];
      const collection = {
        ...(has("list") && { get: fullOperation(info, "list") }),
        ...(has("create") && { post: fullOperation(info, "post") }),
        ...(has("deletecollection") && { delete: fullOperation(info, "deletecollection") }),
        ...(shared.length > 0 && { parameters: shared }),
      };
      if (!has("get")) return [[path, collection] as const];
      const item = {
        get: fullOperation(info, "get"),
        put: fullOperation(info, "put"),
        patch: fullOperation(info, "patch"),
        delete: fullOperation(info, "delete"),
        parameters: [inPath("name"), ...shared],
      };
      return [[path, collection] as const, [`${path}/{name}`, item] as const];
    }),
  );
}

type Action = "list" | "post" | "deletecollection" | "get" | "put" | "patch" | "delete";

const PATCH_TYPES = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

const QUERIES: Readonly<Record<Action, readonly string[]>> = {
  list: ["continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "watch"],
  post: ["dryRun", "fieldManager", "fieldValidation"],
  deletecollection: ["dryRun", "fieldSelector", "labelSelector"],
  get: [],
  put: ["dryRun", "fieldManager", "fieldValidation"],
  patch: ["dryRun", "fieldManager", "fieldValidation", "force"],
  delete: ["dryRun", "gracePeriodSeconds", "propagationPolicy"],
};

function fullOperation(info: ResourceInfo, action: Action): Json {
  const kind = refToResource(info);
  const answer = action === "list" ? listOf(kind) : action === "deletecollection" ? statusRef() : kind;
  const content = { "application/json": { schema: answer } };
  const body = requestBody(info, action, kind);
  return {
    operationId: `${action}${info.namespaced ? "Namespaced" : ""}${info.kind}`,
    ...kindAndAction(info, action),
    parameters: QUERIES[action].map(query),
    ...(body !== undefined && { requestBody: body }),
    responses: { "200": { ...OK, content } },
  };
}

function requestBody(info: ResourceInfo, action: Action, kind: Json | undefined): Json | undefined {
  if (action === "patch") {
    // Without merge keys there is no strategic patch.
    const types = info.custom === undefined ? PATCH_TYPES : PATCH_TYPES.slice(0, -1);
    return { content: Object.fromEntries(types.map((type) => [type, { schema: { type: "object" } }])) };
  }
  if (action === "delete") return { content: { "*/*": { schema: refToKind("v1", "DeleteOptions") } } };
  return action === "post" || action === "put" ? { content: { "*/*": { schema: kind } } } : undefined;
}

/** The list's component is the kind's with `List` behind it. */
function listOf(kind: Json | undefined): Json {
  return { $ref: `${String(kind?.["$ref"])}List` };
}

function statusRef(): Json {
  return { $ref: "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Status" };
}

function collectionPath({ group, version, plural, namespaced }: ResourceInfo): string {
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${root}${namespaced ? "/namespaces/{namespace}" : ""}/${plural}`;
}

function kindAndAction({ group, version, kind }: ResourceInfo, action: string): Json {
  return {
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": { group, version, kind },
  };
}

function query(name: string): Json {
  return { name, in: "query", schema: { type: "string", uniqueItems: true } };
}

function inPath(name: string): Json {
  return { name, in: "path", required: true, schema: { type: "string", uniqueItems: true } };
}

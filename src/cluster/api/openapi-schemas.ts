/** OpenAPI v3 component schemas of a group version, for `kubectl explain` and clients that read types. */
import { type Field, schemaOf, type TypeSchema, typeOf } from "../../k8s/schema.ts";
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import { descriptionsOf } from "./openapi-descriptions.ts";

type Json = Readonly<Record<string, unknown>>;

const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

/** Where Go keeps the package of a group, which is how components are named. */
const PACKAGES: Readonly<Record<string, string>> = {
  meta: "io.k8s.apimachinery.pkg.apis.meta",
  apiextensions: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
  apiregistration: "io.k8s.kube-aggregator.pkg.apis.apiregistration",
};

/** `core/v1.Pod` -> `io.k8s.api.core.v1.Pod`. */
function componentName(typeName: string): string {
  const [group = "", rest = ""] = typeName.split("/");
  return `${PACKAGES[group] ?? `io.k8s.api.${group}`}.${rest}`;
}

/** `#/components/schemas/...` of a kind, for operations. */
export function refToKind(apiVersion: string, kind: string): Json | undefined {
  const schema = schemaOf(apiVersion, kind);
  return schema === undefined ? undefined : refTo(componentName(schema.name));
}

function refTo(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** All schemas that the kinds of these resources need, sorted by name. */
export function componentSchemas(infos: readonly ResourceInfo[]): Json {
  const found = new Map<string, Json>();
  const queue: string[] = [];
  for (const info of infos) {
    for (const { group, version, kind } of [info, ...info.subresources]) {
      const schema = schemaOf(apiVersionOf({ group, version }), kind);
      if (schema === undefined) continue;
      queue.push(schema.name);
      const kinds = [{ group, version, kind }];
      found.set(componentName(schema.name), {
        ...typeComponent(schema),
        "x-kubernetes-group-version-kind": kinds,
      });
    }
    if (info.stored)
      found.set(`${componentName(schemaOf(apiVersionOf(info), info.kind)?.name ?? "")}List`, list(info));
  }
  queue.push("meta/v1.ListMeta", "meta/v1.DeleteOptions", "meta/v1.Status");
  addReachable(queue, found);
  found.set(QUANTITY, {
    description: 'An exact amount with an optional suffix, such as "500m", "2" or "1Gi".',
    oneOf: [{ type: "string" }, { type: "number" }],
  });
  found.set(INT_OR_STRING, {
    description: "A number, or text such as a port name or a percentage.",
    format: "int-or-string",
    oneOf: [{ type: "integer" }, { type: "string" }],
  });
  return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function addReachable(queue: string[], found: Map<string, Json>): void {
  const visited = new Set<string>();
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const schema = visited.has(name) ? undefined : typeOf(name);
    visited.add(name);
    if (schema === undefined) continue;
    const component = componentName(name);
    if (!found.has(component)) found.set(component, typeComponent(schema));
    for (const { ref } of schema.fields.values()) if (ref !== undefined) queue.push(ref);
  }
}

function list(info: ResourceInfo): Json {
  const { group, version, kind } = info;
  return {
    description: `${kind}List is a list of ${info.plural}.`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: { type: "string" },
      items: { type: "array", items: refToKind(apiVersionOf(info), kind) },
      kind: { type: "string" },
      metadata: refTo(componentName("meta/v1.ListMeta")),
    },
    "x-kubernetes-group-version-kind": [{ group, version, kind: `${kind}List` }],
  };
}

function typeComponent(schema: TypeSchema): Json {
  const { type, fields } = descriptionsOf(schema.name);
  const entries = [...schema.fields.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const required = entries.filter((field) => field.required).map(({ name }) => name);
  return {
    ...(type !== "" && { description: type }),
    type: "object",
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(
      entries.map((field) => [field.name, property(field, fields.get(field.name) ?? textOfType(field))]),
    ),
  };
}

/** The package has no text for a field that is a reference: its type's own text says what it is. */
function textOfType(field: Field): string | undefined {
  return field.ref === undefined ? undefined : descriptionsOf(field.ref).type || undefined;
}

function property(field: Field, description: string | undefined): Json {
  const shaped = field.map
    ? { type: "object", additionalProperties: field.array ? listOf(field) : element(field) }
    : field.array
      ? listOf(field)
      : element(field);
  return {
    ...(description !== undefined && { description }),
    ...shaped,
    ...(field.patchStrategy.length > 0 && { "x-kubernetes-patch-strategy": field.patchStrategy.join(",") }),
    ...(field.mergeKey !== undefined && { "x-kubernetes-patch-merge-key": field.mergeKey }),
  };
}

function listOf(field: Field): Json {
  return { type: "array", items: element(field) };
}

/** References stand in `allOf`, because a description beside a plain `$ref` would not count. */
function element(field: Field): Json {
  switch (field.type) {
    case "object":
      return { allOf: [refTo(componentName(field.ref ?? ""))] };
    case "quantity":
      return { allOf: [refTo(QUANTITY)] };
    case "intorstring":
      return { allOf: [refTo(INT_OR_STRING)] };
    case "bool":
      return { type: "boolean" };
    case "int32":
    case "int64":
      return { type: "integer", format: field.type };
    case "float64":
      return { type: "number", format: "double" };
    case "bytes":
      return { type: "string", format: "byte" };
    case "time":
    case "microtime":
      return { type: "string", format: "date-time" };
    case "any":
      return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    case "string":
    default:
      return { type: "string" };
  }
}

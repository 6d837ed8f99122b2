/** OpenAPI v3 component schemas of a group version, for `kubectl explain` and clients that read types. */
import { type Field, schemaOf, type TypeSchema, typeOf } from "../../k8s/schema.ts";
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import { customComponent, customComponentName } from "./custom/custom-openapi.ts";
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

/** `#/components/schemas/...` of a resource's kind, for operations. */
export function refToResource(info: ResourceInfo): Json | undefined {
  if (info.custom !== undefined) return refTo(customComponentName(info));
  return refToKind(apiVersionOf(info), info.kind);
}

/** The same of any built-in kind. */
export function refToKind(apiVersion: string, kind: string): Json | undefined {
  const schema = schemaOf(apiVersion, kind);
  return schema === undefined ? undefined : refTo(componentName(schema.name));
}

function refTo(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** All schemas that the kinds of these resources need, sorted by name. */
export function componentSchemas(infos: readonly ResourceInfo[]): Json {
  const kinds = new Map<string, Json>();
  const lists: (readonly [string, Json])[] = [];
  for (const info of infos) {
    if (info.custom !== undefined) {
      const name = customComponentName(info);
      lists.push([name, customComponent(info, info.custom)], [`${name}List`, list(info)]);
      continue;
    }
    for (const { group, version, kind } of [info, ...info.subresources]) {
      const name = schemaOf(apiVersionOf({ group, version }), kind)?.name;
      if (name === undefined) continue;
      kinds.set(name, { group, version, kind });
      if (info.stored && kind === info.kind) lists.push([`${componentName(name)}List`, list(info)]);
    }
  }
  const { types, described } = reach([...kinds.keys(), ...ALWAYS]);
  const components = types.map((schema) => {
    const kind = kinds.get(schema.name);
    const component = typeComponent(schema, kind !== undefined || !described.has(schema.name));
    const ofKind = kind === undefined ? {} : { "x-kubernetes-group-version-kind": [kind] };
    return [componentName(schema.name), { ...component, ...ofKind }] as const;
  });
  const all = [...components, ...lists, ...SCALARS];
  return Object.fromEntries(all.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

const ALWAYS = ["meta/v1.ListMeta", "meta/v1.DeleteOptions", "meta/v1.Status", "meta/v1.ObjectMeta"];

const SCALARS: readonly (readonly [string, Json])[] = [
  [
    QUANTITY,
    {
      description: 'An exact amount with an optional suffix, such as "500m", "2" or "1Gi".',
      oneOf: [{ type: "string" }, { type: "number" }],
    },
  ],
  [INT_OR_STRING, { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] }],
];

/** Types that these refer to, and those of them whose text stands at the fields that refer to them. */
function reach(names: readonly string[]): { types: TypeSchema[]; described: ReadonlySet<string> } {
  const queue = [...names];
  const types = new Map<string, TypeSchema>();
  const described = new Set<string>();
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const schema = types.has(name) ? undefined : typeOf(name);
    if (schema === undefined) continue;
    types.set(name, schema);
    for (const field of schema.fields.values()) {
      if (field.ref === undefined) continue;
      queue.push(field.ref);
      if (isPlainReference(field)) described.add(field.ref);
    }
  }
  return { types: [...types.values()], described };
}

function isPlainReference({ ref, array, map }: Field): boolean {
  return ref !== undefined && !array && !map;
}

function list(info: ResourceInfo): Json {
  const { group, version, kind } = info;
  return {
    description: `${kind}List is a list of ${info.plural}.`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: { type: "string" },
      items: { type: "array", items: refToResource(info) },
      kind: { type: "string" },
      metadata: refTo(componentName("meta/v1.ListMeta")),
    },
    "x-kubernetes-group-version-kind": [{ group, version, kind: info.custom?.listKind ?? `${kind}List` }],
  };
}

/** `withText`: whether the type's own text is not said where it is used already; explain would print it twice. */
function typeComponent(schema: TypeSchema, withText: boolean): Json {
  const descriptions = descriptionsOf(schema.name);
  const entries = [...schema.fields.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const required = entries.filter((field) => field.required).map(({ name }) => name);
  return {
    ...(descriptions.type !== "" && withText && { description: descriptions.type }),
    type: "object",
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(
      entries.map((field) => [
        field.name,
        property(field, descriptions.field(field.name) ?? textOfType(field)),
      ]),
    ),
  };
}

/** The package has no text for a field that is a reference: its type's own text says what it is. */
function textOfType(field: Field): string | undefined {
  return isPlainReference(field) ? descriptionsOf(field.ref ?? "").type || undefined : undefined;
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

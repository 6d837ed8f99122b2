/** OpenAPI v3 components of custom resources, for `kubectl explain` (apiextensions-apiserver `controller/openapi/builder`). */
import type { ResourceInfo } from "../../../k8s/catalogue.ts";
import type { CustomVersion } from "../../../k8s/custom/definition.ts";
import { type CustomSchema, EMBEDDED, PRESERVE } from "../../../k8s/custom/custom-schema.ts";

type Json = Readonly<Record<string, unknown>>;

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

const API_VERSION: Json = {
  type: "string",
  description: "Names the schema of this object with its version; servers may convert it to another.",
};
const KIND: Json = { type: "string", description: "What kind of object this is, in CamelCase." };

/** `com.example.stable.v1.CronTab`: the group's labels from the last to the first. */
export function customComponentName({ group, version, kind }: ResourceInfo): string {
  return `${group.split(".").toReversed().join(".")}.${version}.${kind}`;
}

/** The kind's own component; its list's is made as a built-in kind's. */
export function customComponent(info: ResourceInfo, { version }: CustomVersion): Json {
  const { group, kind } = info;
  const schema = version.schema?.openAPIV3Schema ?? {};
  const { properties = {}, ...rest } = documented(schema);
  return {
    ...rest,
    type: "object",
    ...(schema[PRESERVE] === true ? {} : { properties: withTypeMeta(properties as Json) }),
    "x-kubernetes-group-version-kind": [{ group, version: info.version, kind }],
  };
}

function withTypeMeta(properties: Json): Json {
  const metadata = {
    description: "What every object has: its name, labels and more.",
    allOf: [refTo(OBJECT_META)],
  };
  return { ...properties, apiVersion: API_VERSION, kind: KIND, metadata };
}

function refTo(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** What is kept as it is has no shape to show, and embedded resources have what all resources have. */
function documented(schema: CustomSchema): Json {
  const { properties, items, additionalProperties, ...rest } = schema;
  const shown = Object.entries(properties ?? {}).map(([name, one]) => [name, documented(one)] as const);
  const own = Object.fromEntries(shown);
  return {
    ...rest,
    ...(properties === undefined ? {} : { properties: schema[EMBEDDED] === true ? withTypeMeta(own) : own }),
    ...(items === undefined ? {} : { items: documented(items) }),
    ...(additionalProperties === undefined
      ? {}
      : {
          additionalProperties:
            typeof additionalProperties === "boolean"
              ? additionalProperties
              : documented(additionalProperties),
        }),
  };
}

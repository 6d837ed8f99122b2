/** A custom resource's schema, seen as what server-side apply has to know: how its lists and maps combine. */
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { UNTYPED_OBJECT } from "../patch/merge-type.ts";
import {
  type CustomSchema,
  EMBEDDED,
  LIST_MAP_KEYS,
  LIST_TYPE,
  MAP_TYPE,
  PRESERVE,
  propertySchema,
  valueSchema,
} from "./custom-schema.ts";

const resources = new WeakMap<CustomSchema, MergeType>();
const objects = new WeakMap<CustomSchema, MergeType>();

/** Of a whole resource; its metadata is Kubernetes' own. */
export function customMergeType(schema: CustomSchema | undefined): MergeType {
  if (schema === undefined) return UNTYPED_OBJECT;
  const known = resources.get(schema);
  if (known !== undefined) return known;
  const own = objectType(schema);
  const type: MergeType = {
    field: (name) => (name === "metadata" ? UNTYPED_OBJECT.field(name) : (typeMeta(name) ?? own.field(name))),
  };
  resources.set(schema, type);
  return type;
}

function typeMeta(name: string): MergeField | undefined {
  return name === "apiVersion" || name === "kind" ? {} : undefined;
}

function objectType(schema: CustomSchema): MergeType {
  const known = objects.get(schema);
  if (known !== undefined) return known;
  const values = valueSchema(schema);
  const fields = new Map<string, MergeField>();
  const type: MergeType = {
    ...(values === undefined ? {} : { isMap: true }),
    field: (name) => {
      const own = propertySchema(schema, name) ?? values;
      if (own === undefined) return undefined;
      const ready = fields.get(name) ?? fieldOf(own);
      fields.set(name, ready);
      return ready;
    },
  };
  objects.set(schema, type);
  return type;
}

function fieldOf(schema: CustomSchema): MergeField {
  if (schema.type === "array") return listField(schema);
  if (schema[MAP_TYPE] === "atomic") return { topology: "atomic" };
  if (schema[EMBEDDED] === true) return { type: customMergeType(schema) };
  if (schema.properties !== undefined || valueSchema(schema) !== undefined)
    return { type: objectType(schema) };
  return schema[PRESERVE] === true ? {} : schema.type === "object" ? { type: objectType(schema) } : {};
}

function listField(schema: CustomSchema): MergeField {
  const { items } = schema;
  const type = items === undefined || items.type !== "object" ? undefined : objectType(items);
  const shared = type === undefined ? {} : { type };
  const atomicItems = items?.[MAP_TYPE] === "atomic" ? { atomicItems: true } : {};
  if (schema[LIST_TYPE] === "set") return { topology: "set" };
  if (schema[LIST_TYPE] !== "map") return { topology: "atomic", ...shared };
  return { topology: "map", listMapKeys: schema[LIST_MAP_KEYS] ?? [], ...atomicItems, ...shared };
}

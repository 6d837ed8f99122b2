/** The field table of the Kubernetes API, seen as what merging has to know. */
import { type Field, schemaOf, type TypeSchema, typeOf } from "../schema.ts";
import type { MergeField, MergeType } from "./merge-schema.ts";

/** Lists of which server-side apply needs more than the patch merge key to tell items apart (`listMapKeys`). */
const FURTHER_KEY: Readonly<Record<string, string>> = {
  "ports@containerPort": "protocol",
  "ports@port": "protocol",
  "topologySpreadConstraints@topologyKey": "whenUnsatisfiable",
};

/** Objects that belong to one writer as a whole (`mapType: atomic` in the Go sources). */
const ATOMIC_TYPES: ReadonlySet<string> = new Set([
  "ConfigMapKeySelector",
  "FileKeySelector",
  "LabelSelector",
  "LocalObjectReference",
  "NodeSelector",
  "NodeSelectorTerm",
  "ObjectFieldSelector",
  "ObjectReference",
  "OwnerReference",
  "ResourceFieldSelector",
  "RoleRef",
  "SecretKeySelector",
  "SecretReference",
  "ScopeSelector",
  "Subject",
  "TopologySelectorTerm",
  "TypedLocalObjectReference",
]);

/** Maps of the same sort; `selector` is a Service's or a ReplicationController's. */
const ATOMIC_MAPS: ReadonlySet<string> = new Set(["selector", "nodeSelector"]);

const known = new WeakMap<TypeSchema, MergeType>();

/** Undefined for kinds that are not built in: their patches are JSON merge patches. */
export function mergeTypeOf(apiVersion: string, kind: string): MergeType | undefined {
  return mergeType(schemaOf(apiVersion, kind));
}

function mergeType(schema: TypeSchema | undefined): MergeType | undefined {
  if (schema === undefined) return undefined;
  const before = known.get(schema);
  if (before !== undefined) return before;
  const fields = new Map<string, MergeField>();
  const type: MergeType = {
    field: (name) => {
      const field = schema.fields.get(name);
      if (field === undefined) return undefined;
      const ready = fields.get(name) ?? mergeField(field);
      fields.set(name, ready);
      return ready;
    },
  };
  known.set(schema, type);
  return type;
}

function mergeField(field: Field): MergeField {
  const { patchStrategy, mergeKey } = field;
  const strategy = patchStrategy.find((one) => one !== "retainKeys");
  const type = mergeType(typeOf(field.ref));
  return {
    ...(strategy === undefined ? {} : { strategy }),
    ...(patchStrategy.includes("retainKeys") ? { retainKeys: true } : {}),
    ...(mergeKey === undefined ? {} : { mergeKey }),
    ...topologyOf(field),
    ...(type === undefined ? {} : { type: field.map ? { field: () => ({ type }) } : type }),
  };
}

function topologyOf({
  name,
  array,
  map,
  ref,
  patchStrategy,
  mergeKey,
}: Field): Pick<MergeField, "topology" | "listMapKeys"> {
  if (array && !map) {
    if (!patchStrategy.includes("merge")) return { topology: "atomic" };
    if (mergeKey === undefined) return { topology: "set" };
    const further = FURTHER_KEY[`${name}@${mergeKey}`];
    return { topology: "map", listMapKeys: further === undefined ? [mergeKey] : [mergeKey, further] };
  }
  const goName = ref?.slice(ref.lastIndexOf(".") + 1) ?? "";
  const atomic = map ? ATOMIC_MAPS.has(name) || array : ATOMIC_TYPES.has(goName);
  return atomic ? { topology: "atomic" } : {};
}

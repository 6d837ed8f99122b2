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

/** A PersistentVolume's ObjectReference, which its `structType: granular` makes mergeable. */
const GRANULAR_FIELD = "claimRef";

/** Maps of the same sort; `selector` is a Service's or a ReplicationController's. */
const ATOMIC_MAPS: ReadonlySet<string> = new Set(["selector", "nodeSelector"]);

/** Lists with a merge key that belong to one writer all the same (`listType: atomic`), by name and type of item. */
const ATOMIC_LISTS: ReadonlySet<string> = new Set(["conditions JobCondition", "hostIPs HostIP"]);

/** Lists that only server-side apply merges. */
const MAP_LISTS: Readonly<Record<string, readonly string[]>> = { "claims ResourceClaim": ["name"] };

const known = new WeakMap<TypeSchema, MergeType>();

/** Undefined for kinds that are not built in: their patches are JSON merge patches. */
export function mergeTypeOf(apiVersion: string, kind: string): MergeType | undefined {
  return mergeType(schemaOf(apiVersion, kind));
}

/** For kinds without a schema: only their metadata is known (`DeducedParseableType`); lists are replaced, objects merge. */
export const UNTYPED_OBJECT: MergeType = {
  field: (name) => (name === "metadata" ? { type: metadataType() } : undefined),
};

function metadataType(): MergeType {
  return mergeType(typeOf("meta/v1.ObjectMeta")) ?? { field: () => undefined };
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
    ...(type === undefined ? {} : { type: field.map ? { isMap: true, field: () => ({ type }) } : type }),
  };
}

type Topology = Pick<MergeField, "topology" | "listMapKeys" | "atomicItems">;

function topologyOf(field: Field): Topology {
  const { name, array, map, ref, type } = field;
  if (array && !map) return listTopology(field);
  const goName = ref?.slice(ref.lastIndexOf(".") + 1) ?? "";
  const atomic = map ? ATOMIC_MAPS.has(name) || array : ATOMIC_TYPES.has(goName) || type === "any";
  return atomic && name !== GRANULAR_FIELD ? { topology: "atomic" } : {};
}

function listTopology({ name, ref, patchStrategy, mergeKey }: Field): Topology {
  const goName = ref?.slice(ref.lastIndexOf(".") + 1) ?? "";
  const items = ATOMIC_TYPES.has(goName) ? { atomicItems: true } : {};
  const keys = MAP_LISTS[`${name} ${goName}`];
  if (keys !== undefined) return { topology: "map", listMapKeys: keys, ...items };
  if (!patchStrategy.includes("merge") || ATOMIC_LISTS.has(`${name} ${goName}`))
    return { topology: "atomic" };
  if (mergeKey === undefined) return { topology: "set" };
  const further = FURTHER_KEY[`${name}@${mergeKey}`];
  return { topology: "map", listMapKeys: further === undefined ? [mergeKey] : [mergeKey, further], ...items };
}

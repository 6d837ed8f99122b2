/** What an object of a kind is before anybody has said anything: fields that Go always writes are there, and owned by nobody. */
import { type Field, type TypeSchema, typeOf } from "../schema.ts";

const known = new WeakMap<TypeSchema, Readonly<Record<string, unknown>>>();

/** Shared: not to be changed. `{ metadata: {} }` for kinds without a schema. */
export function emptyObject(schema: TypeSchema | undefined): Readonly<Record<string, unknown>> {
  if (schema === undefined) return { metadata: {} };
  const before = known.get(schema);
  if (before !== undefined) return before;
  const empty: Record<string, unknown> = {};
  for (const [name, field] of schema.fields) {
    const zero = zeroOf(field);
    if (zero !== undefined) empty[name] = zero;
  }
  known.set(schema, empty);
  return empty;
}

/** Undefined for fields that Go leaves out. */
function zeroOf({ type, ref, array, map, pointer, omitEmpty }: Field): unknown {
  if (pointer) return undefined;
  if (array || map) return omitEmpty ? undefined : null;
  if (type === "object") return emptyObject(typeOf(ref)); // Go has no absent struct.
  if (omitEmpty) return undefined;
  if (type === "bool") return false;
  if (type === "int32" || type === "int64" || type === "float64") return 0;
  return type === "string" ? "" : null;
}

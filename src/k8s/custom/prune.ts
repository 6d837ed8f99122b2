/** Takes out of a custom resource what its schema does not name (apiextensions-apiserver `schema/pruning`). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import {
  allowsOtherProperties,
  type CustomSchema,
  EMBEDDED,
  PRESERVE,
  propertySchema,
  valueSchema,
} from "./custom-schema.ts";

/** Told of the path of each field that is taken out, for example `spec.list[0].x`. */
type OnUnknown = (path: string) => void;

/** Of every object that is a resource, whether the schema names them or not. */
const RESOURCE_FIELDS: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata"]);

/** A whole resource without its unknown fields; parts that stay as they are are shared. The metadata is not looked at. */
export function pruneResource(
  resource: JsonObject,
  schema: CustomSchema | undefined,
  onUnknown: OnUnknown = () => {},
): JsonObject {
  return pruneObject(resource, { schema, path: "", isResource: true, onUnknown });
}

interface Place {
  /** Undefined where nothing is known, so that nothing may be there. */
  readonly schema: CustomSchema | undefined;
  readonly path: string;
  /** The value is an object with apiVersion, kind and metadata. */
  readonly isResource: boolean;
  readonly onUnknown: OnUnknown;
}

function pruneValue(value: unknown, place: Place): unknown {
  const { schema, path } = place;
  if (Array.isArray(value)) {
    const items = schema?.items;
    // What is kept whole is kept with what is in it.
    if (schema?.[PRESERVE] === true && items === undefined) return value;
    return value.map((item, index) => pruneValue(item, inner(place, items, `${path}[${index}]`)));
  }
  return isJsonObject(value) ? pruneObject(value, place) : value;
}

function inner({ onUnknown }: Place, schema: CustomSchema | undefined, path: string): Place {
  return { schema, path, isResource: schema?.[EMBEDDED] === true, onUnknown };
}

function pruneObject(object: JsonObject, place: Place): JsonObject {
  const { schema, path, isResource, onUnknown } = place;
  const kept: [string, unknown][] = [];
  for (const [name, value] of Object.entries(object)) {
    const at = path === "" ? name : `${path}.${name}`;
    if (isResource && RESOURCE_FIELDS.has(name)) kept.push([name, value]);
    else if (schema !== undefined && propertySchema(schema, name) !== undefined) {
      kept.push([name, pruneValue(value, inner(place, propertySchema(schema, name), at))]);
    } else if (schema !== undefined && isKeptWhole(schema)) kept.push([name, value]);
    else if (schema !== undefined && allowsOtherProperties(schema)) {
      kept.push([name, pruneValue(value, inner(place, valueSchema(schema), at))]);
    } else onUnknown(at);
  }
  return Object.fromEntries(kept);
}

function isKeptWhole(schema: CustomSchema): boolean {
  return schema[PRESERVE] === true && valueSchema(schema) === undefined;
}

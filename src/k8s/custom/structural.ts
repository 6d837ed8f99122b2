/** The rules by which a schema is structural (`apiextensions-apiserver/pkg/apiserver/schema/validation.go`). */
import { type FieldError, forbidden, invalid, notSupported, required } from "../field-error.ts";
import {
  type CustomSchema,
  EMBEDDED,
  INT_OR_STRING,
  LIST_MAP_KEYS,
  LIST_TYPE,
  MAP_TYPE,
  PRESERVE,
  propertySchema,
  valueSchema,
} from "./custom-schema.ts";
import { validateNested } from "./structural-nested.ts";

type Level = "root" | "field" | "item";

const MISSING_TYPE: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  field: "must not be empty for specified object fields",
  item: "must not be empty for specified array items",
};

export function validateStructure(schema: CustomSchema, path: string): FieldError[] {
  return validateLevel(schema, path, "root");
}

function validateLevel(schema: CustomSchema, path: string, level: Level): FieldError[] {
  const { items } = schema;
  const values = valueSchema(schema);
  return [
    ...(items === undefined ? [] : validateLevel(items, `${path}.items`, "item")),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, one]) =>
      validateLevel(one, `${path}.properties[${name}]`, "field"),
    ),
    ...(values === undefined ? [] : validateLevel(values, `${path}.additionalProperties`, "field")),
    ...validateType(schema, path, level),
    ...validateExtensionsOf(schema, path),
    ...validateListType(schema, path),
    ...(level === "root" || schema[EMBEDDED] === true ? validateTypeMeta(schema, path) : []),
    ...validateNested(schema, path),
  ];
}

function validateType(schema: CustomSchema, path: string, level: Level): FieldError[] {
  const { type = "" } = schema;
  const at = `${path}.type`;
  const errors: FieldError[] = [];
  if (schema[EMBEDDED] === true && type !== "object") {
    const why = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(type === "" ? required(at, why) : invalid(at, type, why));
  } else if (type === "" && schema[INT_OR_STRING] !== true && schema[PRESERVE] !== true) {
    errors.push(required(at, MISSING_TYPE[level]));
  }
  if (schema[INT_OR_STRING] === true && type !== "") {
    errors.push(forbidden(at, "must be empty if x-kubernetes-int-or-string is true"));
  }
  if (level === "root" && type !== "" && type !== "object") {
    errors.push(invalid(at, type, "must be object at the root"));
  }
  if (level === "root" && schema.additionalProperties !== undefined) {
    errors.push(forbidden(`${path}.additionalProperties`, "must not be used at the root"));
  }
  return errors;
}

function validateExtensionsOf(schema: CustomSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema[PRESERVE] === false) {
    errors.push(invalid(`${path}.${PRESERVE}`, false, "must be true or undefined"));
  }
  if (schema[INT_OR_STRING] === true && schema[EMBEDDED] === true) {
    const why = "must not be true if x-kubernetes-int-or-string is true";
    errors.push(invalid(`${path}.${EMBEDDED}`, true, why));
  }
  if (schema[EMBEDDED] !== true) return errors;
  if (schema.additionalProperties !== undefined) {
    const why = "must not be used if x-kubernetes-embedded-resource is set";
    errors.push(forbidden(`${path}.additionalProperties`, why));
  }
  if (schema[PRESERVE] !== true && Object.keys(schema.properties ?? {}).length === 0) {
    const why =
      "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
    errors.push(required(`${path}.properties`, why));
  }
  return errors;
}

const LIST_TYPES = ["atomic", "map", "set"] as const;
const MAP_TYPES = ["atomic", "granular"] as const;

function validateListType(schema: CustomSchema, path: string): FieldError[] {
  const { type = "" } = schema;
  const listType = schema[LIST_TYPE];
  const mapType = schema[MAP_TYPE];
  const keys = schema[LIST_MAP_KEYS];
  const errors: FieldError[] = [];
  if (listType !== undefined && type !== "array") {
    const why = "must be array if x-kubernetes-list-type is specified";
    errors.push(type === "" ? required(`${path}.type`, why) : invalid(`${path}.type`, type, why));
  }
  if (listType !== undefined && !LIST_TYPES.some((known) => known === listType)) {
    errors.push(notSupported(`${path}.${LIST_TYPE}`, listType, LIST_TYPES));
  }
  if (keys !== undefined && keys.length > 0 && listType !== "map") {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    errors.push(
      listType === undefined
        ? required(`${path}.${LIST_TYPE}`, why)
        : invalid(`${path}.${LIST_TYPE}`, listType, why),
    );
  }
  if (listType === "map") errors.push(...validateMapKeys(schema, path));
  if (listType === "set" && schema.items !== undefined) errors.push(...validateSetItems(schema.items, path));
  if (mapType !== undefined && type !== "object") {
    errors.push(invalid(`${path}.type`, type, "must be object if x-kubernetes-map-type is specified"));
  }
  if (mapType !== undefined && !MAP_TYPES.some((known) => known === mapType)) {
    errors.push(notSupported(`${path}.${MAP_TYPE}`, mapType, MAP_TYPES));
  }
  return errors;
}

function validateMapKeys(schema: CustomSchema, path: string): FieldError[] {
  const { items } = schema;
  const keys = schema[LIST_MAP_KEYS] ?? [];
  const at = `${path}.${LIST_MAP_KEYS}`;
  if (keys.length === 0) return [required(at, "must not be empty if x-kubernetes-list-type is map")];
  if (items === undefined)
    return [required(`${path}.items`, "must have a schema if x-kubernetes-list-type is map")];
  if (items.type !== "object") {
    return [
      invalid(
        `${path}.items.type`,
        items.type ?? "",
        "must be object if parent array's x-kubernetes-list-type is map",
      ),
    ];
  }
  if (new Set(keys).size < keys.length) {
    return [invalid(at, keys, "must not contain duplicate entries")];
  }
  return keys.flatMap((key, index) => {
    const property = propertySchema(items, key);
    if (property === undefined) {
      return [invalid(`${at}[${index}]`, key, "entries must all be names of item properties")];
    }
    const where = `${path}.items.properties[${key}]`;
    const errors: FieldError[] = [];
    if (property.type === "array" || property.type === "object") {
      errors.push(
        invalid(
          `${where}.type`,
          property.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    }
    if (property.default === undefined && items.required?.includes(key) !== true) {
      const why =
        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
      errors.push(required(`${where}.default`, why));
    }
    return errors;
  });
}

function validateSetItems(items: CustomSchema, path: string): FieldError[] {
  if (items.nullable === true) {
    return [forbidden(`${path}.items.nullable`, "cannot be nullable when x-kubernetes-list-type is set")];
  }
  if (items.type === "object" && items[MAP_TYPE] !== "atomic") {
    const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    return [invalid(`${path}.items.${MAP_TYPE}`, items[MAP_TYPE] ?? null, why)];
  }
  if (items.type === "array" && ![undefined, "atomic"].includes(items[LIST_TYPE])) {
    const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    return [invalid(`${path}.items.${LIST_TYPE}`, items[LIST_TYPE], why)];
  }
  return [];
}

/** The server decides what these are; a schema can only narrow the name. */
function validateTypeMeta(schema: CustomSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ["apiVersion", "kind"]) {
    const type = propertySchema(schema, name)?.type;
    if (type !== undefined && type !== "string") {
      errors.push(invalid(`${path}.properties[${name}].type`, type, "must be string"));
    }
  }
  const metadata = propertySchema(schema, "metadata");
  if (metadata === undefined) return errors;
  const at = `${path}.properties[metadata]`;
  if (metadata.type !== undefined && metadata.type !== "object") {
    errors.push(invalid(`${at}.type`, metadata.type, "must be object"));
  }
  const others = Object.keys(metadata.properties ?? {}).filter(
    (name) => name !== "name" && name !== "generateName",
  );
  if (others.length > 0 || metadata.additionalProperties !== undefined || metadata.required !== undefined) {
    const why =
      "must not specify anything other than name and generateName, but metadata is implicitly specified";
    errors.push(forbidden(at, why));
  }
  return errors;
}

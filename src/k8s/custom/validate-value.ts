/** Holds a custom resource against its schema, in the words of kube-openapi's validation and apiextensions' field errors. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { type FieldError, invalid, notSupported, required, tooMany, typeInvalid } from "../field-error.ts";
import { goQuote } from "../go-format.ts";
import { jsonEqual } from "../patch/json.ts";
import { type CustomSchema, INT_OR_STRING, propertySchema, valueSchema } from "./custom-schema.ts";
import { matchesFormat } from "./formats.ts";
import { validateNumber, validateString } from "./validate-scalar.ts";
import { fieldPath, itemPath } from "./value-path.ts";

export interface ValueAt {
  readonly value: unknown;
  readonly path: string;
  /** What was stored here; a value that has not changed is not held against a schema that has (KEP-4008). */
  readonly old?: unknown;
}

/** Every mistake at once, in the order of the schema. */
export function validateValue(at: ValueAt, schema: CustomSchema): FieldError[] {
  const { value, path, old } = at;
  if (old !== undefined && jsonEqual(value, old)) return [];
  if (value === null) return schema.nullable === true ? [] : wrongType(at, schema);
  if (!hasType(value, schema)) return wrongType(at, schema);
  return [
    ...validateEnum(value, path, schema),
    ...validateFormat(value, path, schema),
    ...(typeof value === "string" ? validateString(value, path, schema) : []),
    ...(typeof value === "number" ? validateNumber(value, path, schema) : []),
    ...(Array.isArray(value) ? validateList(value, at, schema) : []),
    ...(isJsonObject(value) ? validateObject(value, at, schema) : []),
    ...validateCombined(at, schema),
  ];
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
  number: (value) => typeof value === "number",
  array: Array.isArray,
  object: isJsonObject,
};

function hasType(value: unknown, schema: CustomSchema): boolean {
  const { type = "" } = schema;
  if (schema[INT_OR_STRING] === true) return Number.isInteger(value) || typeof value === "string";
  return TYPES[type]?.(value) ?? true;
}

function wrongType({ value, path }: ValueAt, schema: CustomSchema): FieldError[] {
  const { type = "" } = schema;
  const wanted = schema[INT_OR_STRING] === true ? "integer,string" : type;
  if (wanted === "") return [];
  const found = typeName(value);
  const where = path === "" ? "in body" : `${path} in body`;
  return [typeInvalid(path, found, `${where} must be of type ${wanted}: ${goQuote(found)}`)];
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function validateEnum(value: unknown, path: string, schema: CustomSchema): FieldError[] {
  const values = schema.enum;
  if (values === undefined || values.some((one) => jsonEqual(one, value))) return [];
  const texts = values.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  return [notSupported(path, value, texts)];
}

function validateFormat(value: unknown, path: string, { format = "" }: CustomSchema): FieldError[] {
  if (format === "" || matchesFormat(value, format)) return [];
  const shown = typeof value === "string" ? goQuote(value) : JSON.stringify(value);
  return [typeInvalid(path, value, `${path} in body must be of type ${format}: ${shown}`)];
}

function validateList(list: readonly unknown[], { path, old }: ValueAt, schema: CustomSchema): FieldError[] {
  const { items, minItems = 0, maxItems } = schema;
  const errors: FieldError[] = [];
  if (list.length < minItems) {
    errors.push(invalid(path, list.length, `${path} in body should have at least ${minItems} items`));
  }
  if (maxItems !== undefined && list.length > maxItems) errors.push(tooMany(path, list.length, maxItems));
  if (schema.uniqueItems === true && hasDoubles(list)) {
    errors.push(invalid(path, list, `${path} in body shouldn't contain duplicates`));
  }
  if (items === undefined) return errors;
  const before = formerItems(old, schema);
  return [
    ...errors,
    ...list.flatMap((value, index) =>
      validateValue({ value, path: itemPath(path, index), old: before(value) }, items),
    ),
  ];
}

function hasDoubles(list: readonly unknown[]): boolean {
  return list.some((one, index) => list.findIndex((other) => jsonEqual(one, other)) < index);
}

/** Only the items of a map list are known to be the same ones. */
function formerItems(old: unknown, schema: CustomSchema): (item: unknown) => unknown {
  const keys = schema["x-kubernetes-list-map-keys"];
  if (!Array.isArray(old) || schema["x-kubernetes-list-type"] !== "map" || keys === undefined) {
    return () => undefined;
  }
  const keyOf = (item: unknown) => JSON.stringify(keys.map((key) => (isJsonObject(item) ? item[key] : null)));
  const byKey = new Map(old.map((item: unknown) => [keyOf(item), item]));
  return (item) => byKey.get(keyOf(item));
}

function validateObject(object: JsonObject, { path, old }: ValueAt, schema: CustomSchema): FieldError[] {
  const { minProperties = 0, maxProperties } = schema;
  const names = Object.keys(object);
  const errors: FieldError[] = [];
  if (names.length < minProperties) {
    errors.push(
      invalid(path, names.length, `${path} in body should have at least ${minProperties} properties`),
    );
  }
  if (maxProperties !== undefined && names.length > maxProperties) {
    errors.push(tooMany(path, names.length, maxProperties));
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(object, name)) errors.push(required(fieldPath(path, name)));
  }
  const before = isJsonObject(old) ? old : {};
  for (const [name, value] of Object.entries(object)) {
    const own = propertySchema(schema, name) ?? valueSchema(schema);
    if (own === undefined) continue;
    const former = Object.hasOwn(before, name) ? before[name] : undefined;
    errors.push(...validateValue({ value, path: fieldPath(path, name), old: former }, own));
  }
  return errors;
}

/** `allOf`, `anyOf`, `oneOf`, `not`: kube-openapi says them of no field, which prints as `<nil>`. */
function validateCombined({ value, path }: ValueAt, schema: CustomSchema): FieldError[] {
  const { allOf = [], anyOf = [], oneOf = [], not } = schema;
  const attempt = (one: CustomSchema) => validateValue({ value, path }, one);
  const says = (what: string) => invalid("<nil>", "", `${goQuote(path)} ${what}`);
  const errors: FieldError[] = [];
  const all = allOf.map(attempt);
  const failed = all.filter((result) => result.length > 0);
  if (failed.length > 0) {
    const none = failed.length === all.length ? ". None validated" : "";
    errors.push(...failed.flat(), says(`must validate all the schemas (allOf)${none}`));
  }
  if (anyOf.length > 0) {
    const results = anyOf.map(attempt);
    if (results.every((result) => result.length > 0)) {
      errors.push(says("must validate at least one schema (anyOf)"), ...nearest(results));
    }
  }
  if (oneOf.length > 0) {
    const results = oneOf.map(attempt);
    const valid = results.filter((result) => result.length === 0).length;
    const one = "must validate one and only one schema (oneOf).";
    if (valid === 0) errors.push(says(`${one} Found none valid`), ...nearest(results));
    if (valid > 1) errors.push(says(`${one} Found ${valid} valid alternatives`));
  }
  if (not !== undefined && attempt(not).length === 0) errors.push(says("must not validate the schema (not)"));
  return errors;
}

/** Of the alternative that was missed by least. */
function nearest(results: readonly FieldError[][]): readonly FieldError[] {
  return results.toSorted((a, b) => a.length - b.length)[0] ?? [];
}

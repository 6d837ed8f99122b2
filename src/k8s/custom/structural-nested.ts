/** Schemas within `allOf`, `anyOf`, `oneOf` and `not` only narrow what the structure outside of them has said. */
import { isJsonObject } from "../../lib/frozen-json.ts";
import { type FieldError, forbidden, required } from "../field-error.ts";
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

export function validateNested(schema: CustomSchema, path: string): FieldError[] {
  return junctions(schema, path).flatMap(([nested, at]) =>
    isTypePattern(schema, nested) ? [] : validateValidation(nested, schema, { nestedPath: at, path }),
  );
}

function junctions(schema: CustomSchema, path: string): (readonly [CustomSchema, string])[] {
  const many = (["allOf", "anyOf", "oneOf"] as const).flatMap((name) =>
    (schema[name] ?? []).map((one, index) => [one, `${path}.${name}[${index}]`] as const),
  );
  return isJsonObject(schema.not) ? [...many, [schema.not, `${path}.not`]] : many;
}

/** `anyOf: [{type: integer}, {type: string}]`, also within `allOf`, is how int-or-string is spelled (`isIntOrStringAnyOfPattern`). */
function isTypePattern(schema: CustomSchema, nested: CustomSchema): boolean {
  if (schema[INT_OR_STRING] !== true) return false;
  const isPattern = (list: readonly CustomSchema[] | undefined) =>
    list?.length === 2 &&
    list.every((one) => Object.keys(one).length === 1) &&
    list[0]?.type === "integer" &&
    list[1]?.type === "string";
  if (isPattern(schema.anyOf) && schema.anyOf?.includes(nested) === true) return true;
  return schema.allOf?.[0] === nested && isPattern(nested.anyOf);
}

interface Paths {
  readonly nestedPath: string;
  /** Of the structure that is narrowed. */
  readonly path: string;
}

const STRUCTURE = [
  ["type", "must be empty to be structural"],
  ["title", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["default", "must be undefined to be structural"],
  ["additionalProperties", "must be undefined to be structural"],
  ["nullable", "must be false to be structural"],
  [PRESERVE, "must be false to be structural"],
  [EMBEDDED, "must be false to be structural"],
  [INT_OR_STRING, "must be false to be structural"],
  [LIST_TYPE, "must be undefined to be structural"],
  [LIST_MAP_KEYS, "must be empty to be structural"],
  [MAP_TYPE, "must be undefined to be structural"],
] as const;

/** `outer` is undefined where the structure says nothing. */
function validateValidation(
  nested: CustomSchema,
  outer: CustomSchema | undefined,
  { nestedPath, path }: Paths,
): FieldError[] {
  const given: ReadonlyMap<string, unknown> = new Map(Object.entries(nested));
  const errors = STRUCTURE.filter(
    ([keyword]) => ![undefined, "", false].includes(given.get(keyword) as string),
  ).map(([keyword, why]) => forbidden(`${nestedPath}.${keyword}`, why));
  for (const [name, one] of Object.entries(nested.properties ?? {})) {
    const own = outer && (propertySchema(outer, name) ?? valueSchema(outer));
    const at = `${nestedPath}.properties[${name}]`;
    if (own === undefined)
      errors.push(required(`${path}.properties[${name}]`, `because it is defined in ${at}`));
    errors.push(...validateValidation(one, own, { nestedPath: at, path: `${path}.properties[${name}]` }));
  }
  const { items } = nested;
  if (items !== undefined) {
    const at = `${nestedPath}.items`;
    if (outer?.items === undefined) errors.push(required(`${path}.items`, `because it is defined in ${at}`));
    errors.push(...validateValidation(items, outer?.items, { nestedPath: at, path: `${path}.items` }));
  }
  const deeper = junctions(nested, nestedPath);
  return [
    ...errors,
    ...deeper.flatMap(([one, at]) => validateValidation(one, outer, { nestedPath: at, path })),
  ];
}

/** What a schema of a CustomResourceDefinition may not say (`ValidateCustomResourceDefinitionOpenAPISchema`), its structure aside. */
import { isJsonObject } from "../../lib/frozen-json.ts";
import { type FieldError, forbidden, invalid, notSupported } from "../field-error.ts";
import { compileCel } from "./cel-engine.ts";
import { undefinedField } from "./cel-fields.ts";
import { type CustomSchema, VALIDATIONS } from "./custom-schema.ts";
import { defaultCustom } from "./default.ts";
import { innerSchemas } from "./inner-schemas.ts";
import { pruneResource } from "./prune.ts";
import { validateStructure } from "./structural.ts";
import { validateValue } from "./validate-value.ts";
import { patternProblem } from "./validate-scalar.ts";

const TYPES = ["array", "boolean", "integer", "number", "object", "string"] as const;

const UNSUPPORTED = [
  "id",
  "$ref",
  "additionalItems",
  "patternProperties",
  "definitions",
  "dependencies",
] as const;

export function validateDefinitionSchema(schema: CustomSchema, path: string): FieldError[] {
  const errors = validateKeywords(schema, path);
  // What is no schema has no structure to look at.
  return errors.length > 0
    ? errors
    : [
        ...validateStructure(schema, path),
        ...validateDefaults(schema, path),
        ...validateRuleFields(schema, path, true),
      ];
}

function validateKeywords(schema: CustomSchema, path: string): FieldError[] {
  const { type = "", pattern, uniqueItems, additionalProperties, items } = schema;
  const given: ReadonlyMap<string, unknown> = new Map(Object.entries(schema));
  const errors: FieldError[] = UNSUPPORTED.filter((keyword) => given.has(keyword)).map((keyword) =>
    forbidden(`${path}.${keyword}`, `${keyword} is not supported`),
  );
  if (type === "null") {
    errors.push(forbidden(`${path}.type`, "type cannot be set to null, use nullable as an alternative"));
  } else if (type !== "" && !TYPES.some((known) => known === type)) {
    errors.push(notSupported(`${path}.type`, type, TYPES));
  }
  if (uniqueItems === true) {
    const why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    errors.push(forbidden(`${path}.uniqueItems`, why));
  }
  if (additionalProperties !== undefined) {
    const at = `${path}.additionalProperties`;
    if (schema.properties !== undefined && additionalProperties !== false) {
      errors.push(forbidden(at, "additionalProperties and properties are mutual exclusive"));
    }
    if (additionalProperties === false)
      errors.push(forbidden(at, "additionalProperties cannot be set to false"));
  }
  if (Array.isArray(items)) {
    errors.push(forbidden(`${path}.items`, "items must be a schema object and not an array"));
  }
  const problem = pattern === undefined || pattern === "" ? undefined : patternProblem(pattern);
  if (problem !== undefined) {
    const why = `must be a valid regular expression, but isn't: error parsing regexp: ${problem}`;
    errors.push(invalid(`${path}.pattern`, pattern, why));
  }
  return [...errors, ...innerSchemas(schema, path).flatMap(([inner, at]) => validateKeywords(inner, at))];
}

/** A rule that cannot be compiled here is warned of instead. */
function validateRuleFields(schema: CustomSchema, path: string, isRoot = false): FieldError[] {
  const own = (schema[VALIDATIONS] ?? []).flatMap(({ rule, optionalOldSelf = false }, index) => {
    const compiled = compileCel(rule, optionalOldSelf);
    if ("problem" in compiled) return [];
    const name = undefinedField(compiled.ast, {
      self: schema,
      oldSelf: optionalOldSelf ? undefined : schema,
      isRoot,
    });
    if (name === undefined) return [];
    return [
      invalid(`${path}.${VALIDATIONS}[${index}].rule`, rule, `compilation failed: undefined field '${name}'`),
    ];
  });
  return [...own, ...innerSchemas(schema, path).flatMap(([one, at]) => validateRuleFields(one, at))];
}

/** A default is itself held against the schema, and says nothing that the schema does not know. */
function validateDefaults(schema: CustomSchema, path: string): FieldError[] {
  const inner = innerSchemas(schema, path).flatMap(([one, at]) => validateDefaults(one, at));
  const { default: value } = schema;
  if (value === undefined) return inner;
  const at = `${path}.default`;
  const unknown: string[] = [];
  const filled = isJsonObject(value) ? defaultCustom(value, schema) : value;
  if (isJsonObject(value))
    pruneResource({ value }, { properties: { value: schema } }, (one) => unknown.push(one));
  if (unknown.length > 0) return [...inner, invalid(at, value, "must not have unknown fields")];
  const wrong = validateValue({ value: filled, path: "" }, schema);
  return [
    ...inner,
    ...wrong.map(({ type, field, body }) => ({ type, field: field === "" ? at : `${at}.${field}`, body })),
  ];
}

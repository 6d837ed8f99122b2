/** Checks of the paths that a CustomResourceDefinition points with: printer columns, the scale subresource, selectable fields. */
import { type FieldError, invalid, notSupported, required, tooMany } from "../field-error.ts";
import { compileJsonPath, JsonPathError } from "../json-path.ts";
import { type CustomSchema, propertySchema } from "./custom-schema.ts";
import type { DefinitionVersion, PrinterColumn, ScalePaths } from "./definition.ts";

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"] as const;
const COLUMN_FORMATS = [
  "byte",
  "date",
  "date-time",
  "double",
  "float",
  "int32",
  "int64",
  "password",
] as const;

export function validateColumns(columns: readonly PrinterColumn[], path: string): FieldError[] {
  return columns.flatMap(({ name, type, format = "", jsonPath }, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (name === "") errors.push(required(`${at}.name`));
    if (type === "") errors.push(required(`${at}.type`, `must be one of ${COLUMN_TYPES.join(",")}`));
    else if (!COLUMN_TYPES.some((known) => known === type)) {
      errors.push(invalid(`${at}.type`, type, `must be one of ${COLUMN_TYPES.join(",")}`));
    }
    if (format !== "" && !COLUMN_FORMATS.some((known) => known === format)) {
      errors.push(invalid(`${at}.format`, format, `must be one of ${COLUMN_FORMATS.join(",")}`));
    }
    return [...errors, ...validateColumnPath(jsonPath, `${at}.JSONPath`)];
  });
}

function validateColumnPath(jsonPath: string, path: string): FieldError[] {
  if (jsonPath === "") return [required(path)];
  try {
    if (!jsonPath.startsWith(".") && !jsonPath.startsWith("["))
      throw new JsonPathError("it must begin with a dot");
    compileJsonPath(jsonPath);
    return [];
  } catch (error) {
    if (error instanceof JsonPathError)
      return [invalid(path, jsonPath, `is an invalid json path: ${error.message}`)];
    throw error;
  }
}

/** Names behind dots, and nothing else. */
const SIMPLE = /^(?:\.[A-Za-z_$][\w$-]*)+$/;

export function validateScale(scale: ScalePaths, path: string): FieldError[] {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath = "" } = scale;
  const rules = [
    ["specReplicasPath", specReplicasPath, [".spec."]],
    ["statusReplicasPath", statusReplicasPath, [".status."]],
  ] as const;
  const errors = rules.flatMap(([field, value, roots]) => {
    if (value === "") return [required(`${path}.${field}`)];
    return simplePath(value, `${path}.${field}`, roots);
  });
  if (labelSelectorPath === "") return errors;
  return [...errors, ...simplePath(labelSelectorPath, `${path}.labelSelectorPath`, [".spec.", ".status."])];
}

function simplePath(value: string, path: string, roots: readonly string[]): FieldError[] {
  if (!SIMPLE.test(value)) {
    return [
      invalid(
        path,
        value,
        "array notation is not supported, and each name must be one that JSON paths take plainly",
      ),
    ];
  }
  if (roots.some((root) => value.startsWith(root))) return [];
  const under = roots.map((root) => root.slice(0, -1)).join(" or ");
  return [invalid(path, value, `should be a json path under ${under}`)];
}

const MAX_SELECTABLE = 8;

export function validateSelectableFields(
  { selectableFields = [], schema }: DefinitionVersion,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (selectableFields.length > MAX_SELECTABLE)
    errors.push(tooMany(path, selectableFields.length, MAX_SELECTABLE));
  for (const [index, { jsonPath = "" }] of selectableFields.entries()) {
    const at = `${path}[${index}].jsonPath`;
    if (jsonPath === "") errors.push(required(at));
    else if (!SIMPLE.test(jsonPath)) errors.push(invalid(at, jsonPath, "is an invalid path"));
    else errors.push(...validateSelected(jsonPath, at, schema?.openAPIV3Schema));
  }
  return errors;
}

const SELECTED_TYPES = ["boolean", "integer", "string"] as const;

function validateSelected(jsonPath: string, path: string, root: CustomSchema | undefined): FieldError[] {
  if (/^\.metadata(\.|$)/.test(jsonPath))
    return [invalid(path, jsonPath, "must not point to fields in metadata")];
  const names = jsonPath.slice(1).split(".");
  const found = names.reduce<CustomSchema | undefined>(
    (schema, name) => schema && propertySchema(schema, name),
    root,
  );
  if (found === undefined)
    return [invalid(path, jsonPath, "is an invalid path: does not refer to a valid field")];
  if (SELECTED_TYPES.some((type) => type === found.type)) return [];
  return [notSupported(path, found.type ?? "", SELECTED_TYPES)];
}

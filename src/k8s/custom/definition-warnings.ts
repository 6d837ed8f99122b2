/** What the author of a definition should know, though nothing is refused: rules that are not enforced here, formats that mean nothing. */
import { compileCel } from "./cel-engine.ts";
import { type CustomSchema, VALIDATIONS } from "./custom-schema.ts";
import { type Definition, type DefinitionVersion, isDefinition } from "./definition.ts";
import { isKnownFormat } from "./formats.ts";
import { innerSchemas } from "./inner-schemas.ts";
import type { KubeObject } from "../object.ts";
import { jsonEqual } from "../patch/json.ts";

/** One line each, without doubles. */
export function definitionWarnings(object: KubeObject): readonly string[] {
  if (!isDefinition(object)) return [];
  return [...new Set(object.spec.versions.flatMap((version) => versionWarnings(version, object)))];
}

function versionWarnings({ schema }: DefinitionVersion, { spec }: Definition): string[] {
  const root = schema?.openAPIV3Schema;
  // Versions with one schema are warned of once.
  const index = spec.versions.findIndex((version) => jsonEqual(version.schema, schema));
  return root === undefined ? [] : schemaWarnings(root, `spec.versions[${index}].schema.openAPIV3Schema`);
}

function schemaWarnings(schema: CustomSchema, path: string): string[] {
  const { format = "" } = schema;
  const own = (schema[VALIDATIONS] ?? []).flatMap(({ rule, optionalOldSelf }, index) => {
    const compiled = compileCel(rule, optionalOldSelf === true);
    if (!("problem" in compiled)) return [];
    const at = `${path}.${VALIDATIONS}[${index}].rule`;
    return [`pillion: ${at} is not enforced: ${compiled.problem}`];
  });
  const unknown =
    format === "" || isKnownFormat(format) ? [] : [`unrecognized format ${JSON.stringify(format)}`];
  const inner = innerSchemas(schema, path).flatMap(([one, at]) => schemaWarnings(one, at));
  return [...own, ...unknown, ...inner];
}

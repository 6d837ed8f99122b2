/** The configuration as JSON Schema, for editors, `pillion schema` and the chart's values. */
import { z } from "zod";
import type { Sidecar } from "../kernel/sidecar.ts";
import { entrySchema, fileSchema } from "./sidecar-schema.ts";

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Of a whole file with these kinds: what a user writes, not what the program makes of it. */
export function fileJsonSchema(kinds: readonly Sidecar[]): JsonSchema {
  return titled("Pillion configuration", fileSchema(kinds));
}

/** Of what stands below one sidecar's name. */
export function kindJsonSchema(kind: Sidecar): JsonSchema {
  return titled(`Pillion sidecar of kind ${kind.kind}`, entrySchema(kind));
}

function titled(title: string, schema: z.ZodType): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return { ...($schema === undefined ? {} : { $schema }), title, ...rest };
}

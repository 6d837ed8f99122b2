/** A custom resource's values as its CEL rules see them: by the types of the schema, and nothing that the schema does not name. */
import type * as Evaluator from "@marcbachmann/cel-js/evaluator";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { parseGoDuration } from "../go-duration.ts";
import { type CustomSchema, EMBEDDED, INT_OR_STRING, valueSchema } from "./custom-schema.ts";

/** Words that CEL keeps to itself; a property of that name is written `__if__`. */
const RESERVED: ReadonlySet<string> = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

const ESCAPES: Readonly<Record<string, string>> = {
  __: "__underscores__",
  ".": "__dot__",
  "-": "__dash__",
  "/": "__slash__",
};

/** A property's name as rules write it (apiserver `cel.Escape`). */
export function celName(name: string): string {
  if (RESERVED.has(name)) return `__${name}__`;
  return name.replaceAll(/__|[./-]/g, (found) => ESCAPES[found] ?? found);
}

/** Nothing else of the metadata is shown to rules. */
export const METADATA: CustomSchema = {
  type: "object",
  properties: { name: { type: "string" }, generateName: { type: "string" } },
};

/** Integers are BigInts, as the engine has them. Text is text, whatever its format, unless CEL has a type for it. */
export function celValue(value: unknown, schema: CustomSchema | undefined, isRoot = false): unknown {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return celNumber(value, schema);
  if (typeof value === "string") return celText(value, schema);
  if (Array.isArray(value)) return value.map((item) => celValue(item, schema?.items));
  if (!isJsonObject(value)) return value;
  return celObject(value, schema ?? {}, isRoot || schema?.[EMBEDDED] === true);
}

function celNumber(value: number, schema: CustomSchema | undefined): unknown {
  const isInteger = schema?.type === "integer" || (schema?.type !== "number" && Number.isInteger(value));
  return isInteger && Number.isInteger(value) ? BigInt(value) : value;
}

function celText(value: string, schema: CustomSchema | undefined): unknown {
  if (schema === undefined || schema[INT_OR_STRING] === true) return value;
  if (schema.format === "date-time" || schema.format === "date") {
    const time = new Date(value);
    return Number.isNaN(time.getTime()) ? value : time;
  }
  if (schema.format === "duration") return celDuration(value);
  return schema.format === "byte" ? new Uint8Array(Buffer.from(value, "base64")) : value;
}

function celDuration(text: string): unknown {
  const ms = parseGoDuration(text);
  if (ms === undefined) return text;
  const { Duration } = require("@marcbachmann/cel-js/evaluator") as typeof Evaluator;
  const seconds = Math.floor(ms / 1_000);
  return new Duration(BigInt(seconds), Math.round((ms - seconds * 1_000) * 1e6));
}

function celObject(object: JsonObject, schema: CustomSchema, isResource: boolean): unknown {
  const values = valueSchema(schema);
  if (values !== undefined || schema.additionalProperties === true) {
    return new Map(Object.entries(object).map(([key, one]) => [key, celValue(one, values)] as const));
  }
  const own = Object.entries(schema.properties ?? {});
  const always: [string, CustomSchema][] = isResource
    ? [
        ["apiVersion", { type: "string" }],
        ["kind", { type: "string" }],
        ["metadata", METADATA],
      ]
    : [];
  return celFields(
    [...own, ...always].flatMap(([name, one]) =>
      Object.hasOwn(object, name) ? [[celName(name), celValue(object[name], one)] as const] : [],
    ),
  );
}

/** An object as the engine has it: it tells kinds of values by their `constructor`, and so takes a field of that name for it. */
export function celFields(fields: readonly (readonly [string, unknown])[]): unknown {
  return fields.some(([name]) => name === "constructor") ? new Map(fields) : Object.fromEntries(fields);
}

/** Rows of keys for the reference: name, type, default and meaning, from a schema. */
import { absolutePath, duration, secret, size } from "../../src/kernel/config-types.ts";
import { fieldsOf, inputSchema, type SchemaField, type SchemaNode } from "../../src/testing/schema-fields.ts";
import { code } from "./markdown.ts";

/** Types with a name of their own, explained once on the page of the configuration. */
const NAMED: readonly (readonly [name: string, shape: string])[] = [
  ["duration", shapeOf(inputSchema(duration()))],
  ["size", shapeOf(inputSchema(size()))],
  ["path", shapeOf(inputSchema(absolutePath()))],
  ["secret", shapeOf(inputSchema(secret()))],
];

/** Heading of the rows that `keyRows` makes. */
export const KEY_HEADING = ["Key", "Type", "Default", "Meaning"] as const;

/** A mapping with more keys than this has a table of its own. */
const LARGE = 8;

export type Rows = readonly (readonly string[])[];

/** The keys of a large mapping; the first section, without a path, has all the others. */
export interface KeySection {
  readonly path: string;
  readonly rows: Rows;
}

/** One row for every key below the schema. */
export function keyRows(schema: SchemaNode): Rows {
  return rowsOf(fieldsIn(schema), "");
}

/** The same in several tables, for schemas with large mappings. */
export function keySections(schema: SchemaNode): readonly KeySection[] {
  const fields = fieldsIn(schema);
  const below = (path: string) => fields.filter((field) => field.path.startsWith(`${path}.`));
  const large = fields
    .map(({ path }) => path)
    .filter((path, index, all) => all.indexOf(path) === index && below(path).length > LARGE);
  const outermost = large.filter((path) => !large.some((other) => path.startsWith(`${other}.`)));
  const isBelow = ({ path }: SchemaField) => outermost.some((root) => path.startsWith(`${root}.`));
  return [
    {
      path: "",
      rows: rowsOf(
        fields.filter((field) => !isBelow(field)),
        "",
      ),
    },
    ...outermost.map((path) => ({ path, rows: rowsOf(below(path), `${path}.`) })),
  ];
}

function fieldsIn(schema: SchemaNode): readonly SchemaField[] {
  return fieldsOf(schema, (node) => namedType(node) !== undefined).fields;
}

/** Keys without the prefix, which the section's heading has. */
function rowsOf(fields: readonly SchemaField[], prefix: string): Rows {
  return fields.map(({ path, node, isRequired }) => {
    const fallback = isRequired ? "required" : node.default === undefined ? "" : code(flow(node.default));
    return [code(path.slice(prefix.length)), typeOf(node), fallback, node.description ?? ""];
  });
}

/** A type in words: `text`, `list of text`, `duration`, `json` or `text`. */
export function typeOf(node: SchemaNode): string {
  const words = [...new Set(alternativesOf(node))];
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function alternativesOf(node: SchemaNode, isMember = false): readonly string[] {
  const named = namedType(node);
  if (named !== undefined) return [named];
  const members = [...(node.anyOf ?? []), ...(node.oneOf ?? [])];
  if (members.length > 0) return members.flatMap((member) => alternativesOf(member, true));
  if (node.const !== undefined) return [code(flow(node.const))];
  if (node.enum !== undefined) return node.enum.map((value) => code(flow(value)));
  return [plainType(node, isMember)];
}

function plainType(node: SchemaNode, isMember: boolean): string {
  const { type, items, properties = {}, required = [], additionalProperties: rest } = node;
  if (type === "array") return `list of ${items === undefined ? "anything" : typeOf(items)}`;
  if (type === "integer" || type === "number") return numberType(node);
  if (type === "boolean") return "`true` or `false`";
  if (type !== "object") return "text";
  if (typeof rest === "object") return `mapping of names to ${typeOf(rest)}`;
  const keys = required.length > 0 ? required : Object.keys(properties);
  return isMember && keys.length > 0 ? code(`{ ${keys.map((key) => `${key}: …`).join(", ")} }`) : "mapping";
}

function numberType({ type, minimum, maximum }: SchemaNode): string {
  const word = type === "integer" ? "whole number" : "number";
  const isBound = (bound: number | undefined): bound is number =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  if (isBound(minimum) && isBound(maximum)) return `${word} from ${minimum} to ${maximum}`;
  if (isBound(minimum)) return `${word} from ${minimum}`;
  return isBound(maximum) ? `${word} up to ${maximum}` : word;
}

function namedType(node: SchemaNode): string | undefined {
  const shape = shapeOf(node);
  return NAMED.find(([, known]) => known === shape)?.[0];
}

/** The node without what is said of it at its place. */
function shapeOf(node: SchemaNode): string {
  const { description: _description, default: _default, ...shape } = node;
  return JSON.stringify({ ...shape, $schema: undefined });
}

/** A value as it stands in YAML, on one line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => flow(item)).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).map(([key, inner]) => `${key}: ${flow(inner)}`);
    return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`;
  }
  if (typeof value === "string" && /^[\w./-]+$/.test(value)) return value;
  return JSON.stringify(value);
}

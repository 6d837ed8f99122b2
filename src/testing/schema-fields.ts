/** Walks over every field of a configuration's schema, however deep: for the contract suite and the reference pages. */
import { z } from "zod";
import { isRecord } from "../config/shape.ts";

export interface SchemaNode {
  readonly type?: string | undefined;
  readonly description?: string | undefined;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[] | undefined;
  readonly pattern?: string | undefined;
  readonly format?: string | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly required?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, SchemaNode>> | undefined;
  readonly additionalProperties?: SchemaNode | boolean | undefined;
  readonly items?: SchemaNode | undefined;
  readonly anyOf?: readonly SchemaNode[] | undefined;
  readonly oneOf?: readonly SchemaNode[] | undefined;
}

/** One key. */
export interface SchemaField {
  /** As a reader writes it: `to[].http.url`, `labels.*`. */
  readonly path: string;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

/** Where a mapping takes any key. */
export interface SchemaVisit {
  readonly fields: readonly SchemaField[];
  /** Paths of mappings that take keys nobody has described. */
  readonly open: readonly string[];
}

export function inputSchema(schema: z.ZodType): SchemaNode {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as SchemaNode;
}

/** All fields, parents first. `isLeaf` says of which fields the inner ones are not wanted. */
export function fieldsOf(root: SchemaNode, isLeaf: (node: SchemaNode) => boolean = () => false): SchemaVisit {
  const fields: SchemaField[] = [];
  const open: string[] = [];
  visit(root, "");
  return { fields: unique(fields), open };

  function visit(node: SchemaNode, path: string, isMember = false): void {
    for (const member of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) visit(member, path, true);
    if (node.items !== undefined) visit(node.items, `${path}[]`);
    const { properties, additionalProperties: rest, required = [] } = node;
    if (isRecord(rest) && Object.keys(rest).length > 0) visit(rest, join(path, "*"));
    else if (node.type === "object" && rest !== false) open.push(path);
    for (const [key, field] of Object.entries(properties ?? {})) {
      const at = join(path, key);
      // The only key that a member of a union needs is what selects the member.
      const isChoice = isMember && required.length === 1;
      fields.push({ path: at, node: field, isRequired: required.includes(key) && !isChoice });
      if (!isLeaf(field)) visit(field, at);
    }
  }
}

/** Members of a union may share a key; it is the same key to a reader. */
function unique(fields: readonly SchemaField[]): readonly SchemaField[] {
  const seen = new Set<string>();
  return fields.filter(({ path, node }) => {
    const key = `${path}\0${JSON.stringify(node)}`;
    return !seen.has(key) && seen.add(key);
  });
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

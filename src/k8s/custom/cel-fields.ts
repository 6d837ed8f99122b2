/** Finds the fields that a rule speaks of and its schema does not have, which a real server's type check refuses. */
import { isCelNode } from "./cel-engine.ts";
import { celName, METADATA } from "./cel-value.ts";
import { type CustomSchema, EMBEDDED, valueSchema } from "./custom-schema.ts";

/** What is known of the variables; what is not in it may be anything. */
type Scope = ReadonlyMap<string, CustomSchema | undefined>;

export interface RuleScope {
  readonly self: CustomSchema;
  /** Absent where the rule gets an optional. */
  readonly oldSelf: CustomSchema | undefined;
  /** Of a whole resource: it has a kind and a name, whatever the schema says. */
  readonly isRoot: boolean;
}

/** The first one's name. */
export function undefinedField(rule: unknown, { self, oldSelf, isRoot }: RuleScope): string | undefined {
  const whole = (schema: CustomSchema) => (isRoot ? { ...schema, [EMBEDDED]: true } : schema);
  const scope = new Map([
    ["self", whole(self)],
    ["oldSelf", oldSelf === undefined ? undefined : whole(oldSelf)],
  ]);
  return new FieldCheck().find(rule, scope);
}

/** Macros that name each item of a list or key of a map by their first argument. */
const MACROS: ReadonlySet<unknown> = new Set(["all", "exists", "exists_one", "filter", "map"]);

class FieldCheck {
  find(value: unknown, scope: Scope): string | undefined {
    if (Array.isArray(value)) {
      for (const one of value) {
        const found = this.find(one, scope);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    if (!isCelNode(value)) return undefined;
    if (value.op === ".") {
      const [object, name] = value.args as [unknown, string];
      const missing = this.find(object, scope);
      if (missing !== undefined) return missing;
      const schema = schemaAt(object, scope);
      return schema !== undefined && fieldOf(schema, name) === "undefined" ? name : undefined;
    }
    if (value.op !== "rcall") return this.find(value.args, scope);
    const [name, receiver, args] = value.args as [string, unknown, unknown[]];
    return this.find(receiver, scope) ?? this.find(args, innerScope(name, { receiver, args }, scope));
  }
}

function innerScope(
  name: string,
  { receiver, args }: { readonly receiver: unknown; readonly args: readonly unknown[] },
  scope: Scope,
): Scope {
  const [variable] = args;
  if (!isCelNode(variable) || variable.op !== "id" || args.length < 2) return scope;
  const schema = MACROS.has(name) ? schemaAt(receiver, scope) : undefined;
  // Also a `cel.bind`, whose variable may be anything.
  return new Map([...scope, [String(variable.args), schema?.items]]);
}

/** Of what an expression gives; undefined where that is not known. */
function schemaAt(value: unknown, scope: Scope): CustomSchema | undefined {
  if (!isCelNode(value)) return undefined;
  if (value.op === "id") return scope.get(String(value.args));
  if (value.op !== "." && value.op !== "[]") return undefined;
  const [object, name] = value.args as [unknown, string];
  const schema = schemaAt(object, scope);
  if (schema === undefined) return undefined;
  if (value.op === "[]") return schema.items ?? valueSchema(schema);
  const found = fieldOf(schema, name);
  return found === "undefined" ? undefined : found;
}

const TEXT: CustomSchema = { type: "string" };

/** Undefined where anything may be. */
function fieldOf(schema: CustomSchema, name: string): CustomSchema | "undefined" | undefined {
  if (schema.additionalProperties !== undefined) return valueSchema(schema);
  if (schema[EMBEDDED] === true && (name === "kind" || name === "apiVersion")) return TEXT;
  if (schema[EMBEDDED] === true && name === "metadata") return METADATA;
  if (schema.properties === undefined) return undefined;
  const found = Object.entries(schema.properties).find(([property]) => celName(property) === name);
  return found === undefined ? "undefined" : found[1];
}

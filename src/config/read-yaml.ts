/** From YAML text to a typed value, or to a `Problem` that explains every mistake at its place. */
import { z } from "zod";
import { Problem } from "../kernel/problem.ts";
import { nearest } from "../lib/nearest.ts";
import { explainIn, explainSyntax, positionOf, readSource } from "./explain.ts";
import type { Issue, Position } from "./explain.ts";

export interface YamlFile {
  /** As it is to be printed. */
  readonly file: string;
  readonly text: string;
}

export interface ReadOptions<Schema extends z.ZodType> extends YamlFile {
  readonly schema: Schema;
  /** What the file is, for the message: `image map`. */
  readonly what: string;
  /** What to do about mistakes; by default, to correct the file. */
  readonly fix?: string;
  /** Checks that need more than the schema, for example that a folder exists. */
  readonly check?: (value: z.output<Schema>) => readonly Issue[];
}

export interface ReadYaml<Value> {
  readonly value: Value;
  /** What stands in the file, as plain data: before defaults and conversions. */
  readonly input: unknown;
  positionOf(path: readonly (string | number)[], atKey?: boolean): Position;
}

/** Parses, validates and checks. Throws `Problem` `E_CONFIG_SYNTAX` or `E_CONFIG_INVALID` that lists every issue. */
export function readYaml<Schema extends z.ZodType>(options: ReadOptions<Schema>): ReadYaml<z.output<Schema>> {
  const { file, text, schema, what, fix = "Correct the file at the marked places" } = options;
  const source = readSource(file, text);
  const broken = explainSyntax(source);
  if (broken !== undefined) {
    const message = `Cannot read the ${what} "${file}": it is not valid YAML\n\n${broken}`;
    throw new Problem({ code: "E_CONFIG_SYNTAX", message, fix });
  }
  const refuseIssues = (issues: readonly Issue[]): Problem => {
    const count = issues.length === 1 ? "it has a mistake" : `it has ${issues.length} mistakes`;
    const message = `Cannot use the ${what} "${file}": ${count}\n\n${explainIn(source, issues)}`;
    return new Problem({ code: "E_CONFIG_INVALID", message, fix });
  };
  let input: unknown;
  try {
    input = source.document.toJS({ maxAliasCount: 100 });
  } catch (because) {
    throw refuseIssues([{ path: [], message: because instanceof Error ? because.message : String(because) }]);
  }
  const parsed = schema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw refuseIssues(issuesOf(parsed.error, schema));
  const issues = options.check?.(parsed.data) ?? [];
  if (issues.length > 0) throw refuseIssues(issues);
  return { value: parsed.data, input, positionOf: (path, atKey) => positionOf(source, path, atKey) };
}

/** The issues of a zod error in the words of this house, with "did you mean" and the field's description. */
export function issuesOf(error: z.ZodError, schema: z.ZodType): readonly Issue[] {
  const shape: Shape = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return error.issues.flatMap((issue) => toIssues(issue, [], shape));
}

/** The part of a JSON Schema that is needed to name known keys and describe fields. */
interface Shape {
  readonly description?: string | undefined;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly additionalProperties?: unknown;
  readonly items?: unknown;
  readonly anyOf?: readonly unknown[] | undefined;
  readonly oneOf?: readonly unknown[] | undefined;
}

function toIssues(
  issue: z.core.$ZodIssue,
  parent: readonly (string | number)[],
  shape: Shape,
): readonly Issue[] {
  const path = [...parent, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(path, key, shape));
    case "invalid_union": {
      const branch = bestBranch(issue.errors, issue.input);
      if (branch !== undefined) return branch.flatMap((inner) => toIssues(inner, path, shape));
      return [{ path, message: issue.message }];
    }
    case "invalid_key":
      return [{ path, atKey: true, message: issue.issues[0]?.message ?? issue.message }];
    case "invalid_type": {
      const last = path.at(-1);
      if (issue.input !== undefined || last === undefined) return [{ path, message: typeMessage(issue) }];
      return [{ path, message: `Missing required key "${last}"`, ...notes(shapeAt([shape], path)) }];
    }
    case "invalid_value":
    case "too_big":
    case "too_small":
    case "invalid_format":
    case "not_multiple_of":
    case "invalid_element":
    case "custom":
      return [{ path, message: issue.message }];
    default:
      return [{ path, message: "is not valid" }];
  }
}

const KINDS: Readonly<Record<string, string>> = {
  object: "a mapping",
  record: "a mapping",
  array: "a list",
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

/** The schema's own words when it has some, else what was expected and what is there. */
function typeMessage(issue: z.core.$ZodIssueInvalidType): string {
  if (!issue.message.startsWith("Invalid input")) return issue.message;
  const expected = KINDS[issue.expected] ?? issue.expected;
  const { input } = issue;
  const found =
    input === null || input === undefined ? "nothing" : Array.isArray(input) ? "a list" : KINDS[typeof input];
  return `Expected ${expected}, found ${found ?? typeof input}`;
}

function unknownKey(path: readonly (string | number)[], key: string, shape: Shape): Issue {
  const shapes = shapeAt([shape], path);
  const known = shapes.flatMap(({ properties }) => Object.keys(properties ?? {}));
  const near = nearest(key, known);
  if (near === undefined) {
    const list = known.map((name) => `"${name}"`).join(", ");
    const message = `Unknown key "${key}"${list === "" ? "" : `; known keys: ${list}`}`;
    return { path: [...path, key], atKey: true, message };
  }
  const message = `Unknown key "${key}"; did you mean "${near}"?`;
  return { path: [...path, key], atKey: true, message, ...notes(shapeAt(shapes, [near])) };
}

function notes(shapes: readonly Shape[]): { notes?: readonly string[] } {
  const description = shapes.find((shape) => shape.description !== undefined)?.description;
  return description === undefined ? {} : { notes: [description] };
}

/**
 * The union member that the writer most likely meant: the only one whose own type fits the input.
 * Undefined when none or several do, so that the union's own message speaks.
 */
function bestBranch(
  errors: readonly (readonly z.core.$ZodIssue[])[],
  input: unknown,
): readonly z.core.$ZodIssue[] | undefined {
  const fitting = errors.filter((branch) => !branch.some((issue) => isWrongKind(issue)));
  return typeof input === "object" && input !== null && fitting.length === 1 ? fitting[0] : undefined;
}

function isWrongKind(issue: z.core.$ZodIssue): boolean {
  return issue.path.length === 0 && (issue.code === "invalid_type" || issue.code === "invalid_value");
}

function shapeAt(shapes: readonly Shape[], path: readonly (string | number)[]): readonly Shape[] {
  return path
    .reduce<readonly Shape[]>(
      (current, step) =>
        current.flatMap((shape) => alternatives(shape)).flatMap((shape) => childShape(shape, step)),
      shapes,
    )
    .flatMap((shape) => [shape, ...alternatives(shape).filter((other) => other !== shape)]);
}

function alternatives(shape: Shape): readonly Shape[] {
  const members = [...(shape.anyOf ?? []), ...(shape.oneOf ?? [])].filter(isShape);
  return members.length === 0 ? [shape] : members.flatMap((member) => alternatives(member));
}

function childShape(shape: Shape, step: string | number): readonly Shape[] {
  const child =
    typeof step === "number" ? shape.items : (shape.properties?.[step] ?? shape.additionalProperties);
  return isShape(child) ? [child] : [];
}

function isShape(value: unknown): value is Shape {
  return typeof value === "object" && value !== null;
}

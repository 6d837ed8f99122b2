/** What a zod error says, in the words of this house: every mistake with "did you mean" and the field's own description. */
import { z } from "zod";
import { nearest } from "../lib/nearest.ts";
import type { Issue } from "./explain.ts";
import { type Shape, type Shapes, isRecord, knownKeys, shapesAt, shapesBelow } from "./shape.ts";

type Path = readonly (string | number)[];

/** The schema and the value it refused: a union's meaning depends on what was written. */
interface Refused {
  readonly shape: Shape;
  readonly input: unknown;
}

/** One member of a union, by what it has against the input. */
type Branch = readonly z.core.$ZodIssue[];

/** All of them, in zod's order. */
export function issuesOf(error: z.ZodError, schema: z.ZodType, input: unknown): readonly Issue[] {
  const shape: Shape = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const found = error.issues.flatMap((issue) => toIssues(issue, [], { shape, input }));
  // A misspelt key is missing as well; said once is enough.
  const meant = new Set(found.flatMap(({ meant }) => meant ?? []));
  return found
    .filter(({ missing }) => missing === undefined || !meant.has(missing))
    .map((issue) =>
      standsForSecret(shapesAt(shape, issue.path, input)) ? { ...issue, hides: true } : issue,
    );
}

/** What was written there may be the secret itself. */
function standsForSecret(shapes: Shapes): boolean {
  return shapes.some((shape) => shape["x-secret"] === true);
}

/** An issue that remembers which key is missing, or was meant: its whole path as JSON. */
interface Found extends Issue {
  readonly missing?: string;
  readonly meant?: string;
}

function toIssues(issue: z.core.$ZodIssue, parent: Path, refused: Refused): readonly Found[] {
  const path = [...parent, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
  const say = (message: string): readonly Found[] => [
    { path, message, ...notes(shapesAt(refused.shape, path, refused.input)) },
  ];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(path, key, shapesAt(refused.shape, path, refused.input)));
    case "invalid_union":
      if (issue.discriminator !== undefined)
        return [{ path, message: discriminatorMessage(issue, path, refused) }];
      return unionIssues(issue, path, refused);
    case "invalid_key":
      return [{ path, atKey: true, message: issue.issues[0]?.message ?? issue.message }];
    case "invalid_type": {
      const last = path.at(-1);
      if (issue.input !== undefined || last === undefined) return say(typeMessage(issue));
      const missing = JSON.stringify(path);
      return say(`Missing required key "${last}"`).map((one) => ({ ...one, missing }));
    }
    case "invalid_value":
      return say(valueMessage(issue, issue.values, issue.input));
    case "too_big":
    case "too_small":
    case "invalid_format":
    case "not_multiple_of":
    case "invalid_element":
    case "custom":
      return say(issue.message);
    default:
      return say("is not valid");
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
  if (hasOwnWords(issue)) return issue.message;
  return `Expected ${KINDS[issue.expected] ?? issue.expected}, found ${kindOf(issue.input)}`;
}

function kindOf(input: unknown): string {
  if (input === null || input === undefined) return "nothing";
  return (Array.isArray(input) ? "a list" : KINDS[typeof input]) ?? typeof input;
}

function hasOwnWords({ message }: z.core.$ZodIssue): boolean {
  return !message.startsWith("Invalid ");
}

function valueMessage(issue: z.core.$ZodIssue, values: readonly unknown[], input: unknown): string {
  const near = typeof input === "string" ? nearest(input, values.map(String)) : undefined;
  if (hasOwnWords(issue))
    return near === undefined ? issue.message : `${issue.message}; did you mean "${near}"?`;
  if (near !== undefined) return `Unknown value "${String(input)}"; did you mean "${near}"?`;
  return `Expected ${oneOf(values.map((value) => JSON.stringify(value)))}, found ${found(input)}`;
}

function found(input: unknown): string {
  return typeof input === "string" ? JSON.stringify(input) : kindOf(input);
}

function oneOf(words: readonly string[]): string {
  const unique = [...new Set(words)];
  return unique.length < 2 ? unique.join("") : `${unique.slice(0, -1).join(", ")} or ${unique.at(-1)}`;
}

function unknownKey(path: Path, key: string, shapes: Shapes): Found {
  const known = knownKeys(shapes);
  const near = nearest(key, known);
  if (near === undefined) {
    const list = known.map((name) => `"${name}"`).join(", ");
    const message = `Unknown key "${key}"${list === "" ? "" : `; known keys: ${list}`}`;
    return { path: [...path, key], atKey: true, message };
  }
  const message = `Unknown key "${key}"; did you mean "${near}"?`;
  const meant = JSON.stringify([...path, near]);
  return { path: [...path, key], atKey: true, message, meant, ...notes(shapesBelow(shapes, near)) };
}

/** The description of a place, unless it depends on which member of a union is meant. */
function notes(shapes: Shapes): { notes?: readonly string[] } {
  const [first] = shapes;
  const all = new Set(shapes.flatMap(({ description }) => description ?? []));
  const isUnion = first?.anyOf !== undefined || first?.oneOf !== undefined;
  const [description] = isUnion && first.description !== undefined ? [first.description] : all;
  return description === undefined || (all.size > 1 && !isUnion) ? {} : { notes: [description] };
}

/** The key that selects the union's member is missing, or names none. */
function discriminatorMessage(
  { discriminator = "", input }: z.core.$ZodIssueInvalidUnion,
  path: Path,
  { shape, input: root }: Refused,
): string {
  const shapes = shapesAt(shape, path, root);
  const values = shapes.flatMap((one) => (typeof one.const === "string" ? [one.const] : []));
  const known = [...new Set(values)].map((value) => `"${value}"`);
  const given = isRecord(input) ? input[discriminator] : undefined;
  if (given === undefined) return `Missing required key "${discriminator}"; known: ${known.join(", ")}`;
  if (typeof given !== "string") return `Expected ${oneOf(known)}, found ${kindOf(given)}`;
  const near = nearest(given, values);
  const hint = near === undefined ? `known: ${known.join(", ")}` : `did you mean "${near}"?`;
  return `Unknown ${discriminator} "${given}"; ${hint}`;
}

/** The issues of the member that the writer most likely meant; where that is not clear, what all members want. */
function unionIssues(issue: z.core.$ZodIssueInvalidUnion, path: Path, refused: Refused): readonly Found[] {
  const { input } = issue;
  const branches = issue.errors.flatMap((branch) => flatten(branch));
  const fitting = branches.filter((branch) => !branch.some(isWrongKind));
  const meant = isRecord(input) ? withFewestUnknownKeys(fitting) : fitting;
  const [only] = meant;
  if (only !== undefined && meant.length === 1)
    return only.flatMap((inner) => toIssues(inner, path, refused));
  const shapes = shapesAt(refused.shape, path, refused.input);
  if (!isRecord(input) || fitting.length === 0) {
    const message = scalarMessage(issue, branches, { input, keys: knownKeys(shapes) });
    return [{ path, message, ...notes(shapes) }];
  }
  const unknown = Object.keys(input).filter((key) =>
    meant.every((branch) => unknownKeys(branch).includes(key)),
  );
  if (unknown.length > 0) return unknown.map((key) => unknownKey(path, key, shapes));
  const keys = knownKeys(shapes).map((key) => `"${key}"`);
  const which = Object.keys(input).length === 0 ? "one of the keys" : "only one of the keys";
  const message = hasOwnWords(issue) ? issue.message : `Write ${which} ${oneOf(keys)}`;
  return [{ path, message, ...notes(shapes) }];
}

/** A union inside a union counts as its members. */
function flatten(branch: Branch): readonly Branch[] {
  const [first] = branch;
  const isNested =
    branch.length === 1 &&
    first?.code === "invalid_union" &&
    first.path.length === 0 &&
    first.discriminator === undefined;
  return isNested ? first.errors.flatMap((inner) => flatten(inner)) : [branch];
}

function isWrongKind(issue: z.core.$ZodIssue): boolean {
  return issue.path.length === 0 && (issue.code === "invalid_type" || issue.code === "invalid_value");
}

function withFewestUnknownKeys(branches: readonly Branch[]): readonly Branch[] {
  const least = Math.min(...branches.map((branch) => unknownKeys(branch).length));
  return branches.filter((branch) => unknownKeys(branch).length === least);
}

function unknownKeys(branch: Branch): readonly string[] {
  return branch.flatMap((issue) =>
    issue.code === "unrecognized_keys" && issue.path.length === 0 ? issue.keys : [],
  );
}

/** For a text, number or list that fits no member: the values and types that would. */
function scalarMessage(
  issue: z.core.$ZodIssueInvalidUnion,
  branches: readonly Branch[],
  { input, keys }: { readonly input: unknown; readonly keys: readonly string[] },
): string {
  const top = branches.flat().filter(({ path }) => path.length === 0);
  const values = top.flatMap((one) => (one.code === "invalid_value" ? one.values : []));
  const near = typeof input === "string" ? nearest(input, values.map(String)) : undefined;
  if (near !== undefined || hasOwnWords(issue)) return valueMessage(issue, values, input);
  const mapping = `a mapping with ${oneOf(keys.map((key) => `"${key}"`))}`;
  const types = top.flatMap((one) => {
    if (one.code !== "invalid_type") return [];
    return one.expected === "object" && keys.length > 0 ? [mapping] : [KINDS[one.expected] ?? one.expected];
  });
  const wanted = [...values.map((value) => JSON.stringify(value)), ...types];
  return wanted.length === 0 ? issue.message : `Expected ${oneOf(wanted)}, found ${found(input)}`;
}

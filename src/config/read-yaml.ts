/** From YAML text to a typed value, or to a `Problem` that explains every mistake at its place. */
import type { z } from "zod";
import { Problem } from "../kernel/problem.ts";
import { explainIn, explainSyntax, positionOf, readSource } from "./explain.ts";
import type { Issue, Position } from "./explain.ts";
import { issuesOf } from "./issues.ts";

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
  if (!parsed.success) throw refuseIssues(issuesOf(parsed.error, schema, input));
  const issues = options.check?.(parsed.data) ?? [];
  if (issues.length > 0) throw refuseIssues(issues);
  return { value: parsed.data, input, positionOf: (path, atKey) => positionOf(source, path, atKey) };
}

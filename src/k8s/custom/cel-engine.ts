/** Compiles CEL rules: the engine from npm, with the functions that Kubernetes adds to the language (apiserver `cel/library`). */
import type * as Cel from "@marcbachmann/cel-js";
import { messageOf } from "../../kernel/problem.ts";
import { addMeter, CelMeter } from "./cel-cost.ts";
import { addKubernetesFunctions } from "./cel-functions.ts";
import { celName } from "./cel-value.ts";

export interface CelRule {
  /** It compares with what was stored, and so says nothing of new objects. */
  readonly usesOld: boolean;
  /** As it was read, for checks of what it speaks of. */
  readonly ast: unknown;
  /** `oldSelf` undefined: none. Throws with what went wrong, and `CelCostError` for what takes too long. */
  readonly evaluate: (self: unknown, oldSelf: unknown) => unknown;
  /** What the last evaluation took, as the real server counts costs, more or less. */
  readonly cost: () => number;
}

/** Why a rule cannot be evaluated here. */
export interface CelProblem {
  readonly problem: string;
}

const MAX_RULES = 2_000;
const compiled = new Map<string, CelRule | CelProblem>();

/** Never throws. `optionalOld`: the rule sees what was stored as an optional. */
export function compileCel(source: string, optionalOld = false): CelRule | CelProblem {
  const key = `${optionalOld} ${source}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  if (compiled.size >= MAX_RULES) compiled.clear();
  const rule = compile(source, optionalOld);
  compiled.set(key, rule);
  return rule;
}

function compile(source: string, optionalOld: boolean): CelRule | CelProblem {
  const program = celProgram(source, { self: "dyn", oldSelf: optionalOld ? "optional" : "dyn" });
  if ("problem" in program) return program;
  const { Optional } = engine();
  const old = (value: unknown) =>
    optionalOld ? (value === undefined ? Optional.none() : Optional.of(value)) : (value ?? null);
  return {
    usesOld: program.names.has("oldSelf"),
    ast: program.ast,
    evaluate: (self, oldSelf) => program.evaluate({ self, oldSelf: old(oldSelf) }),
    cost: program.cost,
  };
}

type VariableType = "dyn" | "optional";

export interface CelProgram {
  /** What it gives: `bool`, `dyn`, ... */
  readonly type: string;
  /** Of the variables that it uses. */
  readonly names: ReadonlySet<string>;
  readonly ast: unknown;
  /** Throws with what went wrong, and `CelCostError` for what takes too long. */
  readonly evaluate: (variables: Readonly<Record<string, unknown>>) => unknown;
  /** Of the last evaluation. */
  readonly cost: () => number;
}

/** One expression over variables of these types. Never throws. */
export function celProgram(
  source: string,
  variables: Readonly<Record<string, VariableType>>,
): CelProgram | CelProblem {
  const { serialize } = engine();
  try {
    const first = environment(variables).parse(withPlainNames(source));
    const names = new Set<string>();
    visit(first.ast, (node) => {
      if (node.op === "id" && typeof node.args === "string") names.add(node.args);
      // Under another name: the engine's own takes JavaScript's patterns, which are others than RE2's and can run for ever.
      if (node.op === "rcall" && Array.isArray(node.args) && node.args[0] === "matches") {
        node.args[0] = "matchesLinear";
      }
    });
    const parsed = environment(variables).parse(serialize(first.ast));
    const check = parsed.check();
    if (!check.valid) return { problem: firstLine(check.error) };
    const meter = new CelMeter();
    addMeter(parsed.ast, meter);
    return {
      type: check.type ?? "dyn",
      names,
      ast: parsed.ast,
      evaluate: (values) => meter.run((): unknown => parsed({ ...values })),
      cost: () => meter.used,
    };
  } catch (error) {
    return { problem: firstLine(error) };
  }
}

/** What the engine says, without its drawing of the place. */
export function firstLine(error: unknown): string {
  return messageOf(error).split("\n", 1)[0] ?? "";
}

/** Names in backquotes, which the engine does not read, as they were written before there were backquotes. */
function withPlainNames(source: string): string {
  return source.replaceAll(
    /\.(\??)`([^`]+)`/g,
    (_, optional: string, name: string) => `.${optional}${celName(name)}`,
  );
}

/** `args` of an identifier is its name. */
export interface CelNode {
  readonly op: string;
  readonly args: unknown;
}

export function isCelNode(value: unknown): value is CelNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

function visit(value: unknown, look: (node: CelNode) => void): void {
  if (Array.isArray(value)) for (const one of value) visit(one, look);
  if (!isCelNode(value)) return;
  look(value);
  visit(value.args, look);
}

/** Loaded with the first rule: most definitions have none. */
function engine(): typeof Cel {
  return require("@marcbachmann/cel-js") as typeof Cel;
}

const environments = new Map<string, Cel.Environment>();

function environment(variables: Readonly<Record<string, VariableType>>): Cel.Environment {
  const key = JSON.stringify(variables);
  const known = environments.get(key);
  if (known !== undefined) return known;
  const { Environment } = engine();
  const made = new Environment({
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: { maxAstNodes: 10_000, maxDepth: 100 },
  });
  for (const [name, type] of Object.entries(variables)) made.registerVariable(name, type);
  addKubernetesFunctions(made);
  environments.set(key, made);
  return made;
}

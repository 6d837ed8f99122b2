/** Compiles CEL rules: the engine from npm, with the functions that Kubernetes adds to the language (apiserver `cel/library`). */
import type * as Cel from "@marcbachmann/cel-js";
import { messageOf } from "../../kernel/problem.ts";
import { addKubernetesFunctions } from "./cel-functions.ts";
import { celName } from "./cel-value.ts";

export interface CelRule {
  /** It compares with what was stored, and so says nothing of new objects. */
  readonly usesOld: boolean;
  /** `oldSelf` undefined: none. Throws with what went wrong. */
  readonly evaluate: (self: unknown, oldSelf: unknown) => unknown;
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
  const { Optional, serialize } = engine();
  try {
    const oldType = optionalOld ? "optional" : "dyn";
    const first = environment(oldType).parse(withPlainNames(source));
    let usesOld = false;
    visit(first.ast, (node) => {
      if (node.op === "id" && node.args === "oldSelf") usesOld = true;
      // Under another name: the engine's own takes JavaScript's patterns, which are others than RE2's and can run for ever.
      if (node.op === "rcall" && Array.isArray(node.args) && node.args[0] === "matches") {
        node.args[0] = "matchesLinear";
      }
    });
    const parsed = environment(oldType).parse(serialize(first.ast));
    const check = parsed.check();
    if (!check.valid) return { problem: firstLine(check.error) };
    const old = (value: unknown) =>
      optionalOld ? (value === undefined ? Optional.none() : Optional.of(value)) : (value ?? null);
    return { usesOld, evaluate: (self, oldSelf) => parsed({ self, oldSelf: old(oldSelf) }) };
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
interface Node {
  readonly op: string;
  readonly args: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

function visit(value: unknown, look: (node: Node) => void): void {
  if (Array.isArray(value)) for (const one of value) visit(one, look);
  if (!isNode(value)) return;
  look(value);
  visit(value.args, look);
}

/** Loaded with the first rule: most definitions have none. */
function engine(): typeof Cel {
  return require("@marcbachmann/cel-js") as typeof Cel;
}

const environments = new Map<string, Cel.Environment>();

function environment(oldType: "dyn" | "optional"): Cel.Environment {
  const known = environments.get(oldType);
  if (known !== undefined) return known;
  const { Environment } = engine();
  const made = new Environment({
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: { maxAstNodes: 10_000, maxDepth: 100 },
  })
    .registerVariable("self", "dyn")
    .registerVariable("oldSelf", oldType);
  addKubernetesFunctions(made);
  environments.set(oldType, made);
  return made;
}

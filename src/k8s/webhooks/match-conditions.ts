/** The CEL conditions under which a webhook is asked (KEP-3716, apiserver `webhook/matchconditions`). */
import { type CelProblem, type CelProgram, celProgram, firstLine } from "../custom/cel-engine.ts";
import { celFields } from "../custom/cel-value.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { KubeObject } from "../object.ts";

export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** What conditions can speak of. Who may do what (`authorizer`) is not among it. */
export interface ConditionVariables {
  readonly object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
  /** The `request` of the AdmissionReview, without its objects. */
  readonly request: object;
}

/** Conditions that could not be evaluated: the message is the real server's. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
}

const VARIABLES = { object: "dyn", oldObject: "dyn", request: "dyn" } as const;
const MAX_PROGRAMS = 1_000;
const programs = new Map<string, CelProgram | CelProblem>();

function programOf(expression: string): CelProgram | CelProblem {
  const known = programs.get(expression);
  if (known !== undefined) return known;
  if (programs.size >= MAX_PROGRAMS) programs.clear();
  const program = celProgram(expression, VARIABLES);
  programs.set(expression, program);
  return program;
}

/** Why an expression is no condition; undefined when it is one. */
export function conditionProblem(expression: string): string | undefined {
  const program = programOf(expression);
  if ("problem" in program) return `compilation failed: ${program.problem}`;
  return program.type === "bool" ? undefined : "must evaluate to bool";
}

/** Whether all hold. One that does not hold settles it; else throws `ConditionError` when one could not be evaluated. */
export function allHold(
  conditions: readonly MatchCondition[],
  { object, oldObject, request }: ConditionVariables,
): boolean {
  const variables = {
    object: celData(object ?? null),
    oldObject: celData(oldObject ?? null),
    request: celData(request),
  };
  const errors: string[] = [];
  for (const { expression } of conditions) {
    try {
      const program = programOf(expression);
      if ("problem" in program) throw new ConditionError(program.problem);
      if (program.evaluate(variables) === false) return false;
    } catch (error) {
      errors.push(`expression '${expression}' resulted in error: ${uncapitalized(firstLine(error))}`);
    }
  }
  if (errors.length === 0) return true;
  throw new ConditionError(errors.length === 1 ? (errors[0] ?? "") : `[${errors.join(", ")}]`);
}

function uncapitalized(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** JSON as the engine has it: whole numbers are BigInts. */
function celData(value: unknown): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celData);
  if (!isJsonObject(value)) return value ?? null;
  return celFields(Object.entries(value).map(([key, one]) => [key, celData(one)] as const));
}

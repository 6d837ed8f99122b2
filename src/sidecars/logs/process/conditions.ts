/** Rules of `keep`, `drop` and `sample`: whether a record has what a condition asks for. */
import { compileLinear } from "../../../lib/linear-regex.ts";
import type { LogRecord } from "../record.ts";
import type { Condition, Rule } from "./config.ts";

export type Predicate = (record: LogRecord) => boolean;

/** The field's value; undefined where it is not there. */
type Read = (record: LogRecord) => unknown;
type Test = (value: unknown) => boolean;

/** Whether any of the rules holds. */
export function anyOf(rules: readonly Rule[]): Predicate {
  const predicates = rules.map(compileRule);
  return (record) => predicates.some((holds) => holds(record));
}

/** Whether the rule holds: all its tests, or all its conditions. */
export function compileRule(rule: Rule): Predicate {
  if (rule.all === undefined) return compileCondition(rule);
  const conditions = rule.all.map(compileCondition);
  return (record) => conditions.every((holds) => holds(record));
}

function compileCondition(condition: Condition): Predicate {
  const read = reader(condition.field ?? "text");
  const tests = testsOf(condition);
  return (record) => {
    const value = read(record);
    return tests.every((holds) => holds(value));
  };
}

function testsOf({ equals, matches, exists, above, below }: Condition): readonly Test[] {
  const tests: Test[] = [];
  if (exists !== undefined) tests.push((value) => (value !== undefined) === exists);
  if (equals !== undefined) {
    const wanted = String(equals);
    tests.push(anyItem((value) => textOf(value) === wanted));
  }
  if (above !== undefined) tests.push(anyItem((value) => numberOf(value) > above));
  if (below !== undefined) tests.push(anyItem((value) => numberOf(value) < below));
  if (matches !== undefined) {
    const regex = compileLinear(matches);
    tests.push(
      anyItem((value) => {
        const text = textOf(value);
        return text !== undefined && regex.test(text);
      }),
    );
  }
  return tests;
}

/** A list has what one of its items has. */
function anyItem(test: Test): Test {
  return (value) => (Array.isArray(value) ? value.some(test) : test(value));
}

function reader(path: string): Read {
  if (path === "text") return ({ text }) => text;
  const steps = path.split(".");
  if (steps.length === 1) return ({ fields }) => own(fields, path);
  return ({ fields }) => {
    // Some formats have dots in the names of fields.
    const flat = own(fields, path);
    return flat === undefined ? steps.reduce<unknown>(own, fields) : flat;
  };
}

/** Never what objects inherit: fields come from outside. */
function own(value: unknown, step: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[step];
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  return undefined;
}

/** NaN, which is neither above nor below anything, for what is no number. */
function numberOf(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN;
}

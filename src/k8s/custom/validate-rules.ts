/** Holds a custom resource against the CEL rules of its schema (`x-kubernetes-validations`, apiextensions `schema/cel`). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { type FieldError, forbidden, invalid, duplicate, required } from "../field-error.ts";
import type { KubeObject } from "../object.ts";
import { jsonEqual } from "../patch/json.ts";
import { CelCostError, weightOf } from "./cel-cost.ts";
import { compileCel, firstLine } from "./cel-engine.ts";
import { celValue } from "./cel-value.ts";
import {
  type CustomSchema,
  LIST_MAP_KEYS,
  LIST_TYPE,
  propertySchema,
  VALIDATIONS,
  type ValidationRule,
  valueSchema,
} from "./custom-schema.ts";
import { fieldPath, itemPath } from "./value-path.ts";

export interface RuleCheck {
  readonly object: KubeObject;
  /** What was stored, for updates. */
  readonly before: KubeObject | undefined;
  readonly schema: CustomSchema;
  /** What is wrong already. */
  readonly errors: readonly FieldError[];
}

/** Mistakes that leave a rule nothing to look at. */
const BLOCKING: ReadonlySet<string> = new Set([
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

const UNCHECKED =
  "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

export function validateRules({ object, before, schema, errors }: RuleCheck): FieldError[] {
  if (!hasRules(schema)) return [];
  if (errors.some(({ type }) => BLOCKING.has(type))) return [invalid("<nil>", null, UNCHECKED)];
  return validateAt(
    { value: object, old: before, path: "", isRoot: true, budget: { left: MOST_COST, isTold: false } },
    schema,
  );
}

/** For all rules of an object (apiserver `celconfig.RuntimeCELCostBudget`): a second or so. */
const MOST_COST = 10_000_000;

interface Budget {
  left: number;
  isTold: boolean;
}

const withRules = new WeakMap<CustomSchema, boolean>();

function hasRules(schema: CustomSchema): boolean {
  const known = withRules.get(schema);
  if (known !== undefined) return known;
  const inner = [schema.items, valueSchema(schema), ...Object.values(schema.properties ?? {})];
  const has =
    (schema[VALIDATIONS] ?? []).length > 0 || inner.some((one) => one !== undefined && hasRules(one));
  withRules.set(schema, has);
  return has;
}

interface Place {
  readonly value: unknown;
  /** Undefined where nothing was stored, or it cannot be told which value this was. */
  readonly old: unknown;
  readonly path: string;
  readonly isRoot?: boolean;
  readonly budget: Budget;
}

function validateAt(place: Place, schema: CustomSchema): FieldError[] {
  if (!hasRules(schema) || place.value === null) return [];
  const rules = schema[VALIDATIONS] ?? [];
  const isSame = rules.length > 0 && place.old !== undefined && jsonEqual(place.value, place.old);
  let values: Values | undefined;
  const look: Look = { isSame, see: () => (values ??= valuesAt(place, schema)) };
  const own = rules.flatMap((rule) => validateRule(rule, place, look));
  const { value } = place;
  if (Array.isArray(value)) return [...own, ...validateItems(value, place, schema)];
  return isJsonObject(value) ? [...own, ...validateFields(value, place, schema)] : own;
}

function validateFields(
  object: JsonObject,
  { old, path, budget }: Place,
  schema: CustomSchema,
): FieldError[] {
  const before = isJsonObject(old) ? old : {};
  return Object.entries(object).flatMap(([name, value]) => {
    const own = propertySchema(schema, name) ?? valueSchema(schema);
    if (own === undefined) return [];
    const former = Object.hasOwn(before, name) ? before[name] : undefined;
    return validateAt({ value, old: former, path: fieldPath(path, name), budget }, own);
  });
}

function validateItems(
  list: readonly unknown[],
  { old, path, budget }: Place,
  schema: CustomSchema,
): FieldError[] {
  const { items } = schema;
  if (items === undefined) return [];
  const keys = schema[LIST_TYPE] === "map" ? (schema[LIST_MAP_KEYS] ?? []) : undefined;
  const keyOf = (item: unknown) =>
    JSON.stringify(keys?.map((key) => (isJsonObject(item) ? item[key] : null)));
  // Only items of a map list have something by which to know them again.
  const former = new Map(
    keys !== undefined && Array.isArray(old) ? old.map((item: unknown) => [keyOf(item), item] as const) : [],
  );
  return list.flatMap((value, index) =>
    validateAt({ value, old: former.get(keyOf(value)), path: itemPath(path, index), budget }, items),
  );
}

/** What the rules of one place see. */
interface Values {
  readonly self: unknown;
  readonly oldSelf: unknown;
}

interface Look {
  /** The value has not changed. */
  readonly isSame: boolean;
  /** Made once for all rules, when the first needs it: the value may be large. */
  readonly see: () => Values;
}

function valuesAt({ value, old, isRoot = false, budget }: Place, schema: CustomSchema): Values {
  const self = celValue(value, schema, isRoot);
  const oldSelf = old === undefined ? undefined : celValue(old, schema, isRoot);
  budget.left -= weightOf(self) + weightOf(oldSelf);
  return { self, oldSelf };
}

function validateRule(rule: ValidationRule, place: Place, { isSame, see }: Look): FieldError[] {
  const { old, budget } = place;
  const compiled = compileCel(rule.rule, rule.optionalOldSelf === true);
  // The definition's author has been warned.
  if ("problem" in compiled) return [];
  if (old === undefined && compiled.usesOld && rule.optionalOldSelf !== true) return [];
  if (isSame && !compiled.usesOld) return [];
  if (budget.left < 0) return outOfBudget(place);
  const values = see();
  const says = (detail: string) => [errorOf(rule, place, detail)];
  try {
    if (compiled.evaluate(values.self, values.oldSelf) === true) return [];
    return says(messageFor(rule, values, budget));
  } catch (error) {
    return says(failureOf(error, rule));
  } finally {
    budget.left -= compiled.cost();
  }
}

/** Once for an object. */
function outOfBudget({ budget, path, value }: Place): FieldError[] {
  if (budget.isTold) return [];
  budget.isTold = true;
  const why = "validation failed due to running out of cost budget, no further validation rules will be run";
  return [invalid(path, typeName(value), why)];
}

function failureOf(error: unknown, rule: ValidationRule): string {
  if (!(error instanceof CelCostError)) return `${firstLine(error)} evaluating rule: ${plainMessage(rule)}`;
  const why = "no further validation rules will be run due to call cost exceeds limit for rule";
  return `'${error.message}': ${why}: ${plainMessage(rule)}`;
}

function plainMessage({ message, rule }: ValidationRule): string {
  return message === undefined || message === "" ? `failed rule: ${rule.trim()}` : message.trim();
}

function messageFor(rule: ValidationRule, { self, oldSelf }: Values, budget: Budget): string {
  const { messageExpression = "" } = rule;
  if (messageExpression === "") return plainMessage(rule);
  const compiled = compileCel(messageExpression, rule.optionalOldSelf === true);
  if ("problem" in compiled) return plainMessage(rule);
  try {
    const text = compiled.evaluate(self, oldSelf);
    return typeof text === "string" && text.trim() !== "" && !text.includes("\n") ? text : plainMessage(rule);
  } catch {
    return plainMessage(rule); // As the real server does: the rule has failed, however that is said.
  } finally {
    budget.left -= compiled.cost();
  }
}

function errorOf(
  { reason, fieldPath: below = "" }: ValidationRule,
  { value, path }: Place,
  detail: string,
): FieldError {
  const at = `${path}${path === "" ? below.replace(/^\./, "") : below}`;
  switch (reason) {
    case "FieldValueRequired":
      return required(at, detail);
    case "FieldValueForbidden":
      return forbidden(at, detail);
    case "FieldValueDuplicate":
      return duplicate(at, typeName(value));
    case undefined:
    default:
      return invalid(at, typeName(value), detail);
  }
}

/** What the real server shows of the value. */
function typeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

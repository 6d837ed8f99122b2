/** Checks of ResourceQuotas and LimitRanges (core `ValidateResourceQuotaSpec`, `ValidateLimitRange`). */
import type { LimitRangeItem, LimitRangeSpec, ResourceQuotaSpec } from "../../../generated/kubernetes.ts";
import { duplicate, type FieldError, forbidden, invalid, invalidEach, required } from "../field-error.ts";
import { checkQualifiedName } from "../names.ts";
import { compareQuantities, parseQuantity, quantityOf } from "../quantity.ts";
import { validateImmutable } from "./immutable.ts";
import type { Unchecked } from "./unchecked.ts";
import type { Has } from "./workloads.ts";

/** What is counted in whole objects. */
const COUNTED: ReadonlySet<string> = new Set([
  "configmaps",
  "persistentvolumeclaims",
  "pods",
  "replicationcontrollers",
  "resourcequotas",
  "secrets",
  "services",
  "services.loadbalancers",
  "services.nodeports",
]);
const MEASURED = ["cpu", "memory", "ephemeral-storage"];
const QUOTA_RESOURCES: ReadonlySet<string> = new Set([
  ...COUNTED,
  ...MEASURED.flatMap((name) => [name, `requests.${name}`, `limits.${name}`]),
  "requests.storage",
]);
/** A scope and what it excludes. */
const SCOPES: ReadonlyMap<string, string | undefined> = new Map([
  ["Terminating", "NotTerminating"],
  ["NotTerminating", "Terminating"],
  ["BestEffort", "NotBestEffort"],
  ["NotBestEffort", "BestEffort"],
  ["PriorityClass", undefined],
  ["CrossNamespacePodAffinity", undefined],
  ["VolumeAttributesClass", undefined],
]);
const ZERO = parseQuantity("0");
const ONE = parseQuantity("1");

export function validateQuota({ spec = {} }: Has<ResourceQuotaSpec>): FieldError[] {
  const { hard = {}, scopes = [] } = spec;
  const errors = Object.entries(hard).flatMap(([name, amount]) => validateHard(name, amount));
  const wrong = (why: string) => invalid("spec.scopes", scopes, why);
  for (const scope of scopes) if (!SCOPES.has(scope)) errors.push(wrong("unsupported scope"));
  const isTorn = scopes.some((scope) => scopes.includes(SCOPES.get(scope) ?? ""));
  return isTorn ? [...errors, wrong("conflicting scopes")] : errors;
}

function validateHard(name: string, amount: string): FieldError[] {
  const field = `spec.hard[${name}]`;
  const errors = invalidEach(field, name, checkQualifiedName(name));
  const isKnown = name.includes("/") || QUOTA_RESOURCES.has(name) || /^(requests\.)?hugepages-/.test(name);
  if (errors.length === 0 && !isKnown) {
    errors.push(invalid(field, name, "must be a standard resource type or fully qualified"));
    errors.push(invalid(field, name, "must be a standard resource for quota"));
  }
  const quantity = quantityOf(amount);
  if (compareQuantities(quantity, ZERO) < 0)
    errors.push(invalid(field, amount, "must be greater than or equal to 0"));
  const isWhole = quantity.nanos % ONE.nanos === 0n;
  if (COUNTED.has(name) && !isWhole) errors.push(invalid(field, amount, "must be an integer"));
  return errors;
}

export function validateQuotaUpdate(
  quota: Has<ResourceQuotaSpec>,
  before: Has<ResourceQuotaSpec>,
): FieldError[] {
  const [scopes, old] = [quota, before].map(({ spec }) => (spec?.scopes ?? []).toSorted());
  return [...validateQuota(quota), ...validateImmutable("spec.scopes", scopes, old)];
}

type Item = Unchecked<LimitRangeItem>;

const TYPES = ["Pod", "Container", "PersistentVolumeClaim"];
const AMOUNTS = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] as const;

export function validateLimitRange({ spec = {} }: Has<LimitRangeSpec>): FieldError[] {
  const { limits = [] } = spec;
  return limits.flatMap((item, index) => {
    const { type = "" } = item;
    const path = `spec.limits[${index}]`;
    const errors = invalidEach(`${path}.type`, type, checkQualifiedName(type));
    if (errors.length === 0 && !type.includes("/") && !TYPES.includes(type))
      errors.push(invalid(`${path}.type`, type, "must be a standard limit type or fully qualified"));
    if (limits.findIndex((other) => other.type === type) < index)
      errors.push(duplicate(`${path}.type`, type));
    return [...errors, ...validateItem(item, path)];
  });
}

function validateItem(item: Item, path: string): FieldError[] {
  const { type, min = {}, max = {} } = item;
  const errors: FieldError[] = [];
  if (type === "Pod") {
    for (const name of ["default", "defaultRequest"] as const)
      if (Object.keys(item[name] ?? {}).length > 0)
        errors.push(forbidden(`${path}.${name}`, "may not be specified when `type` is 'Pod'"));
  }
  if (type === "PersistentVolumeClaim" && min["storage"] === undefined && max["storage"] === undefined) {
    const why = "either minimum or maximum storage value is required, but neither was provided";
    errors.push(required(`${path}.limits`, why));
  }
  const names = new Set(AMOUNTS.flatMap((name) => Object.keys(item[name] ?? {})));
  return [...errors, ...[...names].flatMap((name) => validateOrder(item, name, path))];
}

type Amount = (typeof AMOUNTS)[number];

/** What may not be more than what: `[field, less, more, words for less, words for more]`; the field's is shown. */
const ORDERS: readonly (readonly [Amount, Amount, Amount, string, string])[] = [
  ["min", "min", "max", "min value", "max value"],
  ["defaultRequest", "min", "defaultRequest", "min value", "default request value"],
  ["defaultRequest", "defaultRequest", "max", "default request value", "max value"],
  ["defaultRequest", "defaultRequest", "default", "default request value", "default limit value"],
  ["default", "min", "default", "min value", "default value"],
  ["default", "default", "max", "default value", "max value"],
];

/** Of the amounts of one resource. */
function validateOrder(item: Item, name: string, path: string): FieldError[] {
  const amountOf = (field: Amount) =>
    item.type === "Pod" && field.startsWith("default") ? undefined : item[field]?.[name];
  const errors = ORDERS.flatMap(([field, less, more, lessWords, moreWords]) => {
    const [small, large] = [amountOf(less), amountOf(more)];
    if (small === undefined || large === undefined || !isMore(small, large)) return [];
    // With a default that is out of bounds, the bound is what the real server shows.
    const shown = field === "default" ? (less === "min" ? small : large) : amountOf(field);
    const why = `${lessWords} ${small} is greater than ${moreWords} ${large}`;
    return [invalid(`${path}.${field}[${name}]`, shown, why)];
  });
  const ratio = amountOf("maxLimitRequestRatio");
  if (ratio === undefined || compareQuantities(quantityOf(ratio), ONE) >= 0) return errors;
  return [
    ...errors,
    invalid(`${path}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`),
  ];
}

function isMore(a: string, b: string): boolean {
  return compareQuantities(quantityOf(a), quantityOf(b)) > 0;
}

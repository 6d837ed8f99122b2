/** Checks of resource requests and limits (core `validation.go`). */
import type { ResourceRequirements } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required } from "../field-error.ts";
import { checkQualifiedName } from "../names.ts";
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  QuantityError,
  quantityOf,
} from "../quantity.ts";
import type { Unchecked } from "./unchecked.ts";

const CONTAINER_RESOURCES: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage"]);
/** Names without a domain that Kubernetes knows, though not all make sense here. */
const STANDARD_RESOURCES: ReadonlySet<string> = new Set([
  ...CONTAINER_RESOURCES,
  "pods",
  "services",
  "storage",
  "limits.cpu",
  "limits.memory",
  "requests.cpu",
  "requests.memory",
  "requests.storage",
  "resourcequotas",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "replicationcontrollers",
]);
const ZERO = parseQuantity("0");

type Amounts = Readonly<Record<string, string>>;

function isHugePages(name: string): boolean {
  return name.startsWith("hugepages-");
}

function isExtended(name: string): boolean {
  return name.includes("/") && !/(^|\.)kubernetes\.io\//.test(name) && !name.startsWith("requests.");
}

function validateName(name: string, path: string): FieldError[] {
  const errors = invalidEach(path, name, checkQualifiedName(name));
  if (errors.length > 0 || CONTAINER_RESOURCES.has(name) || isHugePages(name)) return errors;
  if (name.includes("/")) {
    const known = isExtended(name) || /(^|\.)kubernetes\.io\//.test(name);
    return known ? [] : [invalid(path, name, "doesn't follow extended resource name standard")];
  }
  if (STANDARD_RESOURCES.has(name))
    return [invalid(path, name, "must be a standard resource for containers")];
  return [
    invalid(path, name, "must be a standard resource type or fully qualified"),
    invalid(path, name, "must be a standard resource for containers"),
  ];
}

/** The amount, or what is wrong with it. */
function readAmount(text: string, name: string, path: string): Quantity | FieldError {
  try {
    const amount = quantityOf(text);
    if (compareQuantities(amount, ZERO) < 0) {
      return invalid(path, formatQuantity(amount), "must be greater than or equal to 0");
    }
    if (isExtended(name) && amount.nanos % 1_000_000_000n !== 0n) {
      return invalid(path, formatQuantity(amount), "must be an integer");
    }
    return amount;
  } catch (error) {
    if (error instanceof QuantityError) return invalid(path, text, error.message);
    throw error;
  }
}

interface ReadAmounts {
  readonly errors: FieldError[];
  readonly amounts: ReadonlyMap<string, Quantity>;
}

function readAmounts(list: Amounts | undefined, path: string): ReadAmounts {
  const errors: FieldError[] = [];
  const amounts = new Map<string, Quantity>();
  for (const [name, text] of Object.entries(list ?? {})) {
    const at = `${path}[${name}]`;
    errors.push(...validateName(name, at));
    const amount = readAmount(text, name, at);
    if ("nanos" in amount) amounts.set(name, amount);
    else errors.push(amount);
  }
  return { errors, amounts };
}

/** Only memory-like resources of the node may be promised more than once. */
function mayOvercommit(name: string): boolean {
  return !isExtended(name) && !isHugePages(name);
}

/** Requests must not exceed limits. `path` is that of the `resources`. */
export function validateResources(
  { limits, requests }: Unchecked<ResourceRequirements>,
  path: string,
): FieldError[] {
  const [limited, requested] = [
    readAmounts(limits, `${path}.limits`),
    readAmounts(requests, `${path}.requests`),
  ];
  const errors = [...limited.errors, ...requested.errors];
  for (const [name, amount] of requested.amounts) {
    const limit = limited.amounts.get(name);
    if (limit === undefined) {
      if (mayOvercommit(name) || limits?.[name] !== undefined) continue;
      errors.push(required(`${path}.limits`, "Limit must be set for non overcommitable resources"));
      continue;
    }
    const order = compareQuantities(amount, limit);
    if (order === 0 || (order < 0 && mayOvercommit(name))) continue;
    const relation = mayOvercommit(name) ? "less than or equal to" : "equal to";
    const message = `must be ${relation} ${name} limit of ${formatQuantity(limit)}`;
    errors.push(invalid(`${path}.requests`, formatQuantity(amount), message));
  }
  return errors;
}

/** Resources of the pod as a whole: not less than its containers ask for together. */
export function validatePodResources(
  resources: Unchecked<ResourceRequirements>,
  containers: readonly { readonly resources?: Unchecked<ResourceRequirements> }[],
  path: string,
): FieldError[] {
  const errors = validateResources(resources, path);
  if (resources.claims !== undefined) {
    errors.unshift(forbidden(`${path}.claims`, "claims cannot be set for Resources at pod-level"));
  }
  if (errors.length > 0) return errors;
  const sums = new Map<string, Quantity>();
  for (const container of containers) {
    for (const [name, amount] of readAmounts(container.resources?.requests, path).amounts) {
      sums.set(name, addQuantities(sums.get(name) ?? ZERO, amount));
    }
  }
  const own = readAmounts(resources.requests, path).amounts;
  for (const [name, sum] of sums) {
    const asked = own.get(name) ?? ZERO;
    if (!CONTAINER_RESOURCES.has(name) || compareQuantities(sum, asked) <= 0) continue;
    const message = `must be greater than or equal to aggregate container requests of ${formatQuantity(sum)}`;
    errors.push(invalid(`${path}.requests[${name}]`, formatQuantity(asked), message));
  }
  return errors;
}

/** Checks of what a HorizontalPodAutoscaler goes by (autoscaling `validateMetricSpec`). */
import type { MetricIdentifier, MetricSpec, MetricTarget } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkDns1123Label, checkPathSegment } from "../names.ts";
import { isQuantity, quantityOf } from "../quantity.ts";
import { validateScaleTarget } from "./scale-target.ts";
import type { Unchecked } from "./unchecked.ts";

type Metric = Unchecked<MetricSpec>;
type Target = Unchecked<MetricTarget>;

/** The field of each type, types in the order in which a refusal lists them. */
const FIELDS = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;
const TYPES: ReadonlyMap<string, keyof Metric> = new Map(Object.entries(FIELDS));
/** In the order in which sources are looked at: only the first is checked. */
const CHECKS = {
  object: validateObject,
  external: validateExternal,
  pods: validatePods,
  resource: ({ resource = {} }: Metric, path: string) => validateResource(resource, path),
  containerResource: validateContainer,
} as const;
const SOURCES = ["object", "external", "pods", "resource", "containerResource"] as const;

export function validateMetric(metric: Metric, path: string): FieldError[] {
  const { type = "" } = metric;
  const errors: FieldError[] = [];
  const expected = TYPES.get(type);
  if (type === "") errors.push(required(`${path}.type`, "must specify a metric source type"));
  if (expected === undefined) errors.push(notSupported(`${path}.type`, type, [...TYPES.keys()]));
  const present = SOURCES.filter((name) => metric[name] !== undefined);
  const [first] = present;
  if (first !== undefined) errors.push(...CHECKS[first](metric, `${path}.${first}`));
  if (expected !== undefined && metric[expected] === undefined) {
    const why = "must populate information for the given metric source";
    errors.push(required(`${path}.${expected}`, why));
  }
  const further = present.length === 1 ? [] : present.filter((name) => name !== expected);
  return [
    ...errors,
    ...further.map((name) => forbidden(`${path}.${name}`, "must populate the given metric source only")),
  ];
}

function validateObject({ object = {} }: Metric, path: string): FieldError[] {
  const { describedObject = {}, metric = {}, target = {} } = object;
  const has = target.value !== undefined || target.averageValue !== undefined;
  return [
    ...validateScaleTarget(describedObject, `${path}.describedObject`),
    ...validateIdentifier(metric, `${path}.metric`),
    ...validateTarget(target, `${path}.target`),
    ...(has
      ? []
      : [required(`${path}.target.averageValue`, "must set either a target value or averageValue")]),
  ];
}

function validateExternal({ external = {} }: Metric, path: string): FieldError[] {
  const { metric = {}, target = {} } = external;
  const errors = [
    ...validateIdentifier(metric, `${path}.metric`),
    ...validateTarget(target, `${path}.target`),
  ];
  const count = [target.value, target.averageValue].filter((one) => one !== undefined).length;
  const either = "a target value for metric";
  const or = "a per-pod target";
  if (count === 0) errors.push(required(`${path}.target.averageValue`, `must set either ${either} or ${or}`));
  if (count === 2) errors.push(forbidden(`${path}.target.value`, `may not set both ${either} and ${or}`));
  return errors;
}

function validatePods({ pods = {} }: Metric, path: string): FieldError[] {
  const { metric = {}, target = {} } = pods;
  const errors = [
    ...validateIdentifier(metric, `${path}.metric`),
    ...validateTarget(target, `${path}.target`),
  ];
  if (target.averageValue !== undefined) return errors;
  return [...errors, required(`${path}.target.averageValue`, "must specify a positive target averageValue")];
}

function validateContainer({ containerResource: source = {} }: Metric, path: string): FieldError[] {
  const { container = "" } = source;
  const field = `${path}.container`;
  return [
    ...validateResource(source, path),
    ...(container === ""
      ? [required(field, "must specify a container")]
      : invalidEach(field, container, checkDns1123Label(container))),
  ];
}

function validateResource(
  { name = "", target = {} }: { readonly name?: string; readonly target?: Target },
  path: string,
): FieldError[] {
  const { averageUtilization, averageValue } = target;
  const errors = name === "" ? [required(`${path}.name`, "must specify a resource name")] : [];
  errors.push(...validateTarget(target, `${path}.target`));
  const kinds = "a target raw value";
  if (averageUtilization === undefined && averageValue === undefined) {
    const why = `must set either ${kinds} or a target utilization`;
    errors.push(required(`${path}.target.averageUtilization`, why));
  }
  if (averageUtilization !== undefined && averageValue !== undefined) {
    const why = `may not set both ${kinds} and a target utilization`;
    errors.push(forbidden(`${path}.target.averageValue`, why));
  }
  return errors;
}

function validateIdentifier({ name = "" }: Unchecked<MetricIdentifier>, path: string): FieldError[] {
  const field = `${path}.name`;
  if (name === "") return [required(field, "must specify a metric name")];
  return invalidEach(field, name, checkPathSegment(name));
}

const TARGET_TYPES = ["Utilization", "Value", "AverageValue"];

function validateTarget(target: Target, path: string): FieldError[] {
  const { type = "", averageUtilization } = target;
  const errors: FieldError[] = [];
  if (type === "") errors.push(required(`${path}.type`, "must specify a metric target type"));
  if (!TARGET_TYPES.includes(type))
    errors.push(invalid(`${path}.type`, type, "must be either Utilization, Value, or AverageValue"));
  for (const name of ["value", "averageValue"] as const) {
    const amount = target[name];
    const isPositive = amount === undefined || (isQuantity(amount) && quantityOf(amount).nanos > 0n);
    if (!isPositive) errors.push(invalid(`${path}.${name}`, amount, "must be positive"));
  }
  if (averageUtilization === undefined || averageUtilization >= 1) return errors;
  return [...errors, invalid(`${path}.averageUtilization`, averageUtilization, "must be greater than 0")];
}

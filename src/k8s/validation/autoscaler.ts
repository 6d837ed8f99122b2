/** Checks of HorizontalPodAutoscalers (autoscaling `validateHorizontalPodAutoscalerSpec`). */
import type {
  HorizontalPodAutoscalerBehavior,
  HorizontalPodAutoscalerSpec,
  HPAScalingPolicy,
  HPAScalingRules,
} from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, required } from "../field-error.ts";
import { validateMetric } from "./autoscaler-metrics.ts";
import { allowOneOf } from "./one-of.ts";
import { validateScaleTarget } from "./scale-target.ts";
import type { Unchecked } from "./unchecked.ts";
import type { Has } from "./workloads.ts";

const SELECT_POLICIES = ["Disabled", "Max", "Min"];
const POLICY_TYPES = ["Percent", "Pods"];
const LONGEST_WINDOW = 3600;
const LONGEST_PERIOD = 1800;

export function validateAutoscaler({ spec = {} }: Has<HorizontalPodAutoscalerSpec>): FieldError[] {
  const { minReplicas, maxReplicas = 0, scaleTargetRef = {}, metrics = [], behavior = {} } = spec;
  const errors: FieldError[] = [];
  const wrongMax = (why: string) => errors.push(invalid("spec.maxReplicas", maxReplicas, why));
  if (minReplicas !== undefined && minReplicas < 1)
    errors.push(invalid("spec.minReplicas", minReplicas, "must be greater than or equal to 1"));
  if (maxReplicas < 1) wrongMax("must be greater than 0");
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    wrongMax("must be greater than or equal to `minReplicas`");
  return [
    ...errors,
    ...validateScaleTarget(scaleTargetRef, "spec.scaleTargetRef"),
    ...metrics.flatMap((metric, index) => validateMetric(metric, `spec.metrics[${index}]`)),
    ...validateBehavior(behavior),
  ];
}

function validateBehavior({ scaleUp, scaleDown }: Unchecked<HorizontalPodAutoscalerBehavior>): FieldError[] {
  return Object.entries({ scaleUp, scaleDown }).flatMap(([name, rules]) =>
    rules === undefined ? [] : validateRules(rules, `spec.behavior.${name}`),
  );
}

function validateRules(rules: Unchecked<HPAScalingRules>, path: string): FieldError[] {
  const { stabilizationWindowSeconds: window = 0, selectPolicy, policies = [] } = rules;
  const errors: FieldError[] = [];
  const wrongWindow = (why: string) =>
    errors.push(invalid(`${path}.stabilizationWindowSeconds`, window, why));
  if (window < 0) wrongWindow("must be greater than or equal to zero");
  if (window > LONGEST_WINDOW) wrongWindow(`must be less than or equal to ${LONGEST_WINDOW}`);
  errors.push(...allowOneOf(selectPolicy, SELECT_POLICIES, `${path}.selectPolicy`));
  if (policies.length === 0) errors.push(required(`${path}.policies`, "must specify at least one Policy"));
  return [
    ...errors,
    ...policies.flatMap((policy, index) => validatePolicy(policy, `${path}.policies[${index}]`)),
  ];
}

function validatePolicy(
  { type = "", value = 0, periodSeconds = 0 }: Unchecked<HPAScalingPolicy>,
  path: string,
): FieldError[] {
  const errors = allowOneOf(type, POLICY_TYPES, `${path}.type`);
  if (value <= 0) errors.push(invalid(`${path}.value`, value, "must be greater than zero"));
  const wrongPeriod = (why: string) => errors.push(invalid(`${path}.periodSeconds`, periodSeconds, why));
  if (periodSeconds <= 0) wrongPeriod("must be greater than zero");
  if (periodSeconds > LONGEST_PERIOD) wrongPeriod(`must be less than or equal to ${LONGEST_PERIOD}`);
  return errors;
}

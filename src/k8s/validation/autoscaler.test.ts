import { expect, test } from "bun:test";
import { faultsOfNew, type Fields, objectOf } from "./validation.test-support.ts";

const target = { type: "AverageValue", averageValue: "5" };
const ref = { kind: "Deployment", name: "web", apiVersion: "apps/v1" };

const faults = (spec: Fields) =>
  faultsOfNew(
    objectOf("autoscaling/v2 HorizontalPodAutoscaler", {
      spec: { scaleTargetRef: ref, maxReplicas: 3, ...spec },
    }),
  );
const ofMetric = (metric: Fields) => faults({ metrics: [metric] });
const AT = "spec.metrics[0]";

test("a good HorizontalPodAutoscaler", () => {
  expect(faults({})).toEqual([]);
  const metric = { name: "hits" };
  const metrics = [
    { type: "Pods", pods: { metric, target } },
    { type: "External", external: { metric, target } },
    { type: "Object", object: { metric, target, describedObject: ref } },
    { type: "ContainerResource", containerResource: { name: "cpu", container: "c", target } },
  ];
  expect(faults({ metrics, behavior: { scaleDown: { stabilizationWindowSeconds: 3600 } } })).toEqual([]);
});

test.each<[Fields, string[]]>([
  [
    { minReplicas: 0, maxReplicas: 0, scaleTargetRef: { kind: "a/b" } },
    [
      "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
      "spec.maxReplicas: Invalid value: 0: must be greater than 0",
      `spec.scaleTargetRef.kind: Invalid value: "a/b": may not contain '/'`,
      "spec.scaleTargetRef.name: Required value",
    ],
  ],
  [
    { minReplicas: 4 },
    ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"],
  ],
  [
    {
      behavior: {
        scaleUp: {
          stabilizationWindowSeconds: 3601,
          selectPolicy: "Mean",
          policies: [{ type: "Nodes", value: 0, periodSeconds: 1801 }],
        },
      },
    },
    [
      "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
      'spec.behavior.scaleUp.selectPolicy: Unsupported value: "Mean": supported values: "Disabled", "Max", "Min"',
      'spec.behavior.scaleUp.policies[0].type: Unsupported value: "Nodes": supported values: "Percent", "Pods"',
      "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
      "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
    ],
  ],
])("a bad HorizontalPodAutoscaler, case %#", (spec, expected) => {
  expect(faults(spec)).toEqual(expected);
});

test.each<[Fields, string[]]>([
  [
    { type: "Cpu" },
    [
      `${AT}.type: Unsupported value: "Cpu": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`,
    ],
  ],
  [
    { type: "Resource" },
    [`${AT}.resource: Required value: must populate information for the given metric source`],
  ],
  [
    { type: "Resource", resource: { target: { type: "Utilization" } } },
    [
      `${AT}.resource.name: Required value: must specify a resource name`,
      `${AT}.resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization`,
    ],
  ],
  [
    {
      type: "Resource",
      resource: { name: "cpu", target: { type: "Half", averageUtilization: 0, averageValue: "0" } },
    },
    [
      `${AT}.resource.target.type: Invalid value: "Half": must be either Utilization, Value, or AverageValue`,
      `${AT}.resource.target.averageValue: Invalid value: "0": must be positive`,
      `${AT}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0`,
      `${AT}.resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization`,
    ],
  ],
  [
    {
      type: "Resource",
      resource: { name: "cpu", target },
      pods: { metric: { name: "hits" }, target: { type: "Value", value: "1" } },
    },
    [
      `${AT}.pods.target.averageValue: Required value: must specify a positive target averageValue`,
      `${AT}.pods: Forbidden: must populate the given metric source only`,
    ],
  ],
  [
    { type: "External", external: { metric: {}, target: { type: "Value", value: "1", averageValue: "1" } } },
    [
      `${AT}.external.metric.name: Required value: must specify a metric name`,
      `${AT}.external.target.value: Forbidden: may not set both a target value for metric and a per-pod target`,
    ],
  ],
  [
    { type: "ContainerResource", containerResource: { name: "cpu", target } },
    [`${AT}.containerResource.container: Required value: must specify a container`],
  ],
])("a bad metric, case %#", (metric, expected) => {
  expect(ofMetric(metric)).toEqual(expected);
});

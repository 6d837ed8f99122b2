import { expect, test } from "bun:test";
import type { ResourceRequirements } from "../../generated/kubernetes.ts";
import { podQosClass } from "./qos.ts";

const both = { cpu: "100m", memory: "1Gi" };

test.each<[string, string, ResourceRequirements[]]>([
  ["BestEffort", "asks for nothing", [{}]],
  ["BestEffort", "asks for zero", [{ requests: { cpu: "0" } }]],
  ["BestEffort", "asks for other resources only", [{ requests: { "ephemeral-storage": "1Gi" } }]],
  ["Guaranteed", "limits equal requests", [{ limits: both, requests: { cpu: "0.1", memory: "1024Mi" } }]],
  ["Guaranteed", "limits alone count as requests", [{ limits: both }]],
  ["Burstable", "requests below limits", [{ limits: both, requests: { cpu: "50m", memory: "1Gi" } }]],
  ["Burstable", "one container without", [{ limits: both, requests: both }, {}]],
  ["Burstable", "cpu only", [{ limits: { cpu: "1" }, requests: { cpu: "1" } }]],
])("podQosClass() is %s: %s [G5]", (expected, _why, list) => {
  const containers = list.map((resources, index) => ({ name: `c${index}`, resources }));
  expect(podQosClass({ containers })).toBe(expected as never);
});

test("podQosClass() looks at init containers too, and at nothing else where the pod has resources of its own [G5]", () => {
  const guaranteed = { name: "app", resources: { limits: both } };
  const spec = { containers: [guaranteed] };
  expect(podQosClass({ ...spec, initContainers: [{ name: "init" }] })).toBe("Burstable");
  expect(podQosClass({ ...spec, initContainers: [guaranteed] })).toBe("Guaranteed");
  expect(podQosClass({ containers: [{ name: "app" }], resources: { limits: both } })).toBe("Guaranteed");
  expect(podQosClass({ ...spec, resources: { requests: { cpu: "1" } } })).toBe("Burstable");
});

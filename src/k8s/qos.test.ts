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
])("podQosClass() is %s: %s", (expected, _why, list) => {
  const containers = list.map((resources, index) => ({ name: `c${index}`, resources }));
  expect(podQosClass({ containers })).toBe(expected as never);
});

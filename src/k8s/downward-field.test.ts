import { expect, test } from "bun:test";
import { downwardField, limitsBeyond, resourceField } from "./downward-field.ts";
import type { StoredPod } from "./pod.ts";

const pod: StoredPod = {
  metadata: {
    name: "p",
    namespace: "ns",
    uid: "u-1",
    labels: { b: "2", a: 'say "hi"' },
    annotations: { "example.com/it's": "x\ny" },
  },
  spec: { containers: [], nodeName: "node-1" },
};
const addresses = { hostIPs: ["10.0.0.1"], podIPs: ["10.0.1.2", "fd00::2"] };

test.each([
  ["metadata.name", "p"],
  ["metadata.namespace", "ns"],
  ["metadata.uid", "u-1"],
  ["metadata.labels['a']", 'say "hi"'],
  ["metadata.labels['missing']", ""],
  ["metadata.annotations['example.com/it's']", "x\ny"],
  ["metadata.labels", 'a="say \\"hi\\""\nb="2"'],
  ["metadata.annotations", 'example.com/it\'s="x\\ny"'],
  ["spec.nodeName", "node-1"],
  ["spec.serviceAccountName", ""],
  ["status.hostIP", "10.0.0.1"],
  ["status.hostIPs", "10.0.0.1"],
  ["status.podIP", "10.0.1.2"],
  ["status.podIPs", "10.0.1.2,fd00::2"],
  ["status.phase", undefined],
  ["metadata.ownerReferences", undefined],
])("downwardField(%j) is %j [E7, V16]", (path, expected) => {
  expect(downwardField(pod, addresses, path)).toBe(expected as never);
});

const container = {
  name: "c",
  resources: { limits: { cpu: "1500m", memory: "100Mi" }, requests: { cpu: "250m" } },
};
const allocatable = { cpu: "4", memory: "8Gi", "ephemeral-storage": "10Gi" };

test.each([
  ["limits.cpu", undefined, "2"],
  ["limits.cpu", "1m", "1500"],
  ["requests.cpu", undefined, "1"],
  ["requests.cpu", "1m", "250"],
  ["limits.memory", undefined, "104857600"],
  ["limits.memory", "1Mi", "100"],
  ["limits.memory", "0", "104857600"],
  ["requests.memory", "1Mi", "0"],
  ["limits.ephemeral-storage", "1Gi", "10"],
  ["limits.hugepages-2Mi", "1Mi", "0"],
  ["requests.hugepages-2Mi", undefined, "0"],
  ["limits.bananas", undefined, undefined],
])("resourceField(%s in %s) is %s [E8]", (resource, divisor, expected) => {
  const selector = { resource, ...(divisor === undefined ? {} : { divisor }) };
  expect(resourceField(container, selector, allocatable)).toBe(expected as never);
});

test("a limit that only the pod has outranks the node's [E8]", () => {
  const beyond = limitsBeyond({ resources: { limits: { memory: "1Gi" } } }, allocatable);
  const bare = { name: "c" };
  expect(resourceField(bare, { resource: "limits.memory", divisor: "1Mi" }, beyond)).toBe("1024");
  expect(resourceField(bare, { resource: "limits.cpu" }, beyond)).toBe("4");
});

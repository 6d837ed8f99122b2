import { expect, test } from "bun:test";
import type { ContainerPort, PodSpec } from "../../generated/kubernetes.ts";
import { hostPortsOf, takenHostPort } from "./host-ports.ts";

const pod = (...ports: Partial<ContainerPort>[]): PodSpec => ({
  containers: [{ name: "c", ports: ports.map((port) => ({ containerPort: 80, ...port })) }],
});

test.each<[string, PodSpec, PodSpec, boolean]>([
  ["the same port", pod({ hostPort: 80 }), pod({ hostPort: 80 }), true],
  ["another port", pod({ hostPort: 80 }), pod({ hostPort: 81 }), false],
  ["another protocol", pod({ hostPort: 53 }), pod({ hostPort: 53, protocol: "UDP" }), false],
  ["one address and every address", pod({ hostPort: 80, hostIP: "127.0.0.1" }), pod({ hostPort: 80 }), true],
  [
    "two addresses",
    pod({ hostPort: 80, hostIP: "127.0.0.1" }),
    pod({ hostPort: 80, hostIP: "127.0.0.2" }),
    false,
  ],
  ["no host port", pod({}), pod({}), false],
])("pods that want %s are in each other's way or not [N8]", (_what, spec, other, isTaken) => {
  expect(takenHostPort(spec, () => [other]) !== undefined).toBe(isTaken);
});

test("others are looked at only by a pod that wants a port", () => {
  expect(
    takenHostPort(pod({}), () => {
      throw new Error("asked");
    }),
  ).toBeUndefined();
});

test("ports of sidecars count, those of plain init containers do not", () => {
  const ports = [{ containerPort: 1, hostPort: 1 }];
  const initContainers = [
    { name: "init", ports },
    { name: "side", restartPolicy: "Always", ports },
  ];
  expect(hostPortsOf({ ...pod(), initContainers })).toEqual([
    { container: "side", isSidecar: true, hostIP: "", hostPort: 1, containerPort: 1, protocol: "TCP" },
  ]);
});

test("what has not been validated yet is no reason to fail", () => {
  expect(hostPortsOf({})).toEqual([]);
  expect(hostPortsOf({ containers: [{ ports: [{}] }] })).toEqual([]);
});

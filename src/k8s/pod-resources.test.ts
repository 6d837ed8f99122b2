import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Container, PodSpec, ResourceRequirements } from "../../generated/kubernetes.ts";
import { allHaveLimit, podLimits, podRequests } from "./pod-resources.ts";
import { formatQuantity, milliValue } from "./quantity.ts";

const SIDECAR = { restartPolicy: "Always" } as const;

function asks(cpu: string, more: Partial<Container> = {}): Container {
  return { name: "c", resources: { requests: { cpu }, limits: { cpu } }, ...more };
}

function cpu(spec: PodSpec, amounts = podRequests): string | undefined {
  const amount = amounts(spec).get("cpu");
  return amount === undefined ? undefined : formatQuantity(amount);
}

describe("podRequests()", () => {
  test.each<[string, string, Partial<PodSpec>]>([
    ["3", "main containers run together", { containers: [asks("1"), asks("2")] }],
    ["5", "an init container runs alone", { initContainers: [asks("5")], containers: [asks("2")] }],
    [
      "2",
      "the largest init container counts, not their sum",
      {
        initContainers: [asks("1500m"), asks("1")],
        containers: [asks("2")],
      },
    ],
    [
      "3",
      "sidecars run beside the main containers",
      {
        initContainers: [asks("1", SIDECAR)],
        containers: [asks("2")],
      },
    ],
    [
      "6",
      "an init container runs beside the sidecars before it",
      {
        initContainers: [asks("1", SIDECAR), asks("5"), asks("10m", SIDECAR)],
        containers: [asks("2")],
      },
    ],
    [
      "5",
      "and not beside those after it",
      {
        initContainers: [asks("5"), asks("1", SIDECAR)],
        containers: [asks("2")],
      },
    ],
    ["2500m", "the overhead comes on top", { containers: [asks("2")], overhead: { cpu: "500m" } }],
    [
      "4500m",
      "resources of the pod outrank the sum",
      {
        containers: [asks("1")],
        resources: { requests: { cpu: "4" } },
        overhead: { cpu: "500m" },
      },
    ],
  ])("%s CPU: %s [I14]", (expected, _why, spec) => {
    expect(cpu({ containers: [], ...spec })).toBe(expected);
  });

  test("each resource has its own largest moment [I14]", () => {
    const of = (cpuAmount: string, memory: string): ResourceRequirements => ({
      requests: { cpu: cpuAmount, memory },
    });
    const requests = podRequests({
      initContainers: [{ name: "init", resources: of("4", "1Gi") }],
      containers: [{ name: "app", resources: of("1", "3Gi") }],
    });
    expect([...requests].map(([name, amount]) => `${name}=${formatQuantity(amount)}`)).toEqual([
      "cpu=4",
      "memory=3Gi",
    ]);
  });

  test("is never below what runs at any moment [I14]", () => {
    const container = fc.record({ millis: fc.nat(4000), isSidecar: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(container, { maxLength: 6 }),
        fc.array(fc.nat(4000), { minLength: 1 }),
        (init, main) => {
          const spec: PodSpec = {
            initContainers: init.map(({ millis, isSidecar }) => asks(`${millis}m`, isSidecar ? SIDECAR : {})),
            containers: main.map((millis) => asks(`${millis}m`)),
          };
          let sidecars = 0;
          const moments: number[] = [];
          for (const { millis, isSidecar } of init) {
            moments.push(sidecars + millis);
            if (isSidecar) sidecars += millis;
          }
          moments.push(sidecars + main.reduce((sum, millis) => sum + millis, 0));
          const amount = podRequests(spec).get("cpu");
          expect(amount === undefined ? 0 : milliValue(amount)).toBe(Math.max(...moments));
        },
      ),
    );
  });
});

describe("podLimits()", () => {
  test("add the overhead only to what is limited", () => {
    const overhead = { cpu: "1", memory: "1Gi" };
    const limits = podLimits({ containers: [asks("2")], overhead });
    expect([...limits.keys()]).toEqual(["cpu"]);
    expect(cpu({ containers: [asks("2")], overhead }, podLimits)).toBe("3");
  });

  test("allHaveLimit() wants one of every container, zero being none", () => {
    const init = [asks("1")];
    expect(allHaveLimit({ initContainers: init, containers: [asks("1")] }, "cpu")).toBe(true);
    expect(allHaveLimit({ initContainers: [asks("0")], containers: [asks("1")] }, "cpu")).toBe(false);
    expect(allHaveLimit({ initContainers: init, containers: [asks("1"), { name: "free" }] }, "cpu")).toBe(
      false,
    );
    expect(allHaveLimit({ containers: [asks("1")] }, "memory")).toBe(false);
  });
});

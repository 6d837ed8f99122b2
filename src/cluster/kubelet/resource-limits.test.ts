import { describe, expect, test } from "bun:test";
import type { PodSpec, ResourceRequirements } from "../../../generated/kubernetes.ts";
import { oomScoreAdj } from "./oom-score.ts";
import { overcommitments } from "./overcommit.ts";
import { containerLimits, cpuQuota, cpuShares, podResourceLimits } from "./resource-limits.ts";
import { World } from "./test-support/world.ts";

const GIB = 2 ** 30;

function pod(list: readonly ResourceRequirements[], more: Partial<PodSpec> = {}): PodSpec {
  return { containers: list.map((resources, index) => ({ name: `c${index}`, resources })), ...more };
}

function own(resources: ResourceRequirements, more: Partial<PodSpec> = {}) {
  return containerLimits(pod([resources], more), { name: "c0", resources });
}

test.each([
  [0, 2],
  [1, 2],
  [2, 2],
  [3, 3],
  [250, 256],
  [1000, 1024],
  [1500, 1536],
  [256_000, 262_144],
  [1_000_000, 262_144],
])("%d millicores are %d shares [G2]", (millis, shares) => {
  expect(cpuShares(millis)).toBe(shares);
});

test.each([
  [0, undefined],
  [1, 1000],
  [9, 1000],
  [11, 1100],
  [500, 50_000],
  [2000, 200_000],
])("a limit of %d millicores is a quota of %p [G3]", (millis, quota) => {
  expect(cpuQuota(millis)).toBe(quota as never);
});

describe("containerLimits()", () => {
  test("requests weigh, limits limit [G2, G3, G4]", () => {
    expect(own({ requests: { cpu: "250m", memory: "1Gi" }, limits: { cpu: "1", memory: "2Gi" } })).toEqual({
      cpuShares: 256,
      cpuQuota: 100_000,
      memory: 2 * GIB,
    });
  });

  test("a limit without a request is the request; a request of zero is one [G2]", () => {
    expect(own({ limits: { cpu: "2" } }).cpuShares).toBe(2048);
    expect(own({ requests: { cpu: "0" }, limits: { cpu: "2" } }).cpuShares).toBe(2);
    expect(own({})).toEqual({ cpuShares: 2 });
  });

  test("a limit of zero is none [G3, G4]", () => {
    expect(own({ limits: { cpu: "0", memory: "0" } })).toEqual({ cpuShares: 2 });
  });

  test("a limit that only the pod has is the container's too", () => {
    const resources = { limits: { cpu: "1", memory: "1Gi" } };
    expect(own({}, { resources })).toEqual({ cpuShares: 1024, cpuQuota: 100_000, memory: GIB });
    expect(own({ limits: { memory: "512Mi" } }, { resources }).memory).toBe(GIB / 2);
  });
});

describe("podResourceLimits()", () => {
  const limited = { requests: { cpu: "500m", memory: "1Gi" }, limits: { cpu: "1", memory: "2Gi" } };

  test("are the sums of the containers [G1]", () => {
    expect(podResourceLimits(pod([limited, limited]))).toEqual({
      cpuShares: 1024,
      cpuQuota: 200_000,
      memory: 4 * GIB,
    });
  });

  test("count init containers by their largest moment [G1, I14]", () => {
    const init = { name: "init", resources: { ...limited, limits: { cpu: "4", memory: "1Gi" } } };
    expect(podResourceLimits(pod([limited], { initContainers: [init] }))).toEqual({
      cpuShares: 512,
      cpuQuota: 400_000,
      memory: 2 * GIB,
    });
  });

  test("are none when a container has none, unless the pod has its own [G1]", () => {
    expect(podResourceLimits(pod([limited, { requests: { cpu: "1" } }]))).toEqual({ cpuShares: 1536 });
    const resources = { limits: { memory: "3Gi" } };
    expect(podResourceLimits(pod([limited, {}], { resources }))).toMatchObject({ memory: 3 * GIB });
    expect(podResourceLimits(pod([{}]))).toEqual({ cpuShares: 2 });
  });
});

describe("oomScoreAdj()", () => {
  const score = (spec: PodSpec, index = 0) => {
    const container = [...(spec.initContainers ?? []), ...spec.containers][index];
    return container === undefined ? undefined : oomScoreAdj(spec, container, 10 * GIB);
  };
  const memory = (amount: string) => ({ requests: { memory: amount } });

  test("is -997 for Guaranteed and critical pods, 1000 for BestEffort [G6]", () => {
    const limits = { cpu: "1", memory: "1Gi" };
    expect(score(pod([{ limits }]))).toBe(-997);
    expect(score(pod([{}], { priority: 2_000_000_000 }))).toBe(-997);
    expect(score(pod([{}]))).toBe(1000);
  });

  test.each([
    ["1Gi", 900],
    ["0", 999],
    ["1Ki", 999],
    ["9Gi", 100],
    ["10Gi", 3],
    ["100Gi", 3],
  ])("is between 3 and 999 for Burstable: %s of 10Gi is %d [G6]", (amount, expected) => {
    expect(score(pod([{ requests: { cpu: "1", memory: amount } }]))).toBe(expected);
  });

  test("a sidecar is at least as safe as the least safe main container; a plain init container is not [G6]", () => {
    const sidecar = { name: "proxy", restartPolicy: "Always", resources: memory("100Mi") } as const;
    const mains = [memory("2Gi"), memory("5Gi")];
    expect(score(pod(mains, { initContainers: [sidecar] }))).toBe(800);
    expect(score(pod(mains, { initContainers: [{ ...sidecar, resources: memory("6Gi") }] }))).toBe(400);
    const { restartPolicy: _, ...plain } = sidecar;
    expect(score(pod(mains, { initContainers: [plain] }))).toBe(991);
  });

  test("what a pod requests beyond its containers is shared out among them [G6]", () => {
    const spec = pod([memory("1Gi"), {}], { resources: { requests: { memory: "5Gi" } } });
    expect([score(spec, 0), score(spec, 1)]).toEqual([700, 800]);
  });
});

describe("overcommitments()", () => {
  const machine = { cpu: "2", memory: "4Gi" };

  test("says nothing about what fits and what asks for nothing [G7]", () => {
    const big = pod([{ requests: { cpu: "100" } }]);
    expect(overcommitments(pod([{ requests: { cpu: "2", memory: "4Gi" } }]), () => [], machine)).toEqual([]);
    expect(overcommitments(pod([{}]), () => [big], machine)).toEqual([]);
  });

  test("names what is promised twice, with the amounts [G7]", () => {
    const asking = pod([{ requests: { cpu: "1500m", memory: "1Gi" } }]);
    const [sentence, ...more] = overcommitments(asking, () => [asking], machine);
    expect(sentence).toStartWith(
      "Insufficient cpu: the pod requests 1500m, and other pods 1500m, this machine has 2.",
    );
    expect(more).toEqual([]);
  });

  test("a pod that asks for more than the machine has runs, and an event tells what a cluster would do [G7]", async () => {
    await using world = await new World().start();
    await world.run("p", {
      containers: [{ name: "app", image: "img", resources: { requests: { memory: "100Ti" } } }],
    });
    expect(world.state("app")).toBe("Running");
    expect(world.events().filter((event) => event.includes("InsufficientResources"))).toEqual([
      expect.stringMatching(
        /^Warning InsufficientResources: Insufficient memory: the pod requests 100Ti, this machine has \d+Ki\. A cluster would not start it/,
      ),
    ]);
  });
});

test("the sandbox is told a pod's class and limits, and each container's limits and score [G1, G2, G3, G4, G6]", async () => {
  await using world = await new World().start();
  const resources = { requests: { cpu: "100m", memory: "64Mi" }, limits: { cpu: "1", memory: "64Mi" } };
  await world.run("p", { containers: [{ name: "app", image: "img", resources }] });
  expect(world.sandbox.pods.at(-1)?.spec).toMatchObject({
    qosClass: "Burstable",
    resources: { cpuShares: 102, cpuQuota: 100_000, memory: 64 * 2 ** 20 },
  });
  expect(world.container("app").spec).toMatchObject({
    resources: { cpuShares: 102, cpuQuota: 100_000, memory: 64 * 2 ** 20 },
    oomScoreAdj: expect.any(Number),
  });
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { EndpointSlice, PodSpec, ServiceSpec } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, openTestStore } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { startEndpointSliceController } from "./endpoint-slices.ts";
import { ENDPOINT_SLICES } from "../../k8s/service-routes.ts";

let store: Store;
let stop: () => void;
let writes: string[] = [];
let rounds = 0;

beforeEach(() => {
  const clock = new ManualClock();
  store = openTestStore({ clock });
  writes = [];
  store.watch(ENDPOINT_SLICES, {}, ({ type }) => writes.push(type));
  stop = startEndpointSliceController({
    store,
    clock,
    create: async (resource, object) => store.create(resource, object),
  });
});
afterEach(() => {
  stop();
  store.close();
});

async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

function addService(spec: Partial<ServiceSpec> = {}, labels: Record<string, string> = {}): void {
  store.create("services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...at("web"), labels },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.200.1",
      clusterIPs: ["10.96.200.1"],
      ipFamilies: ["IPv4"],
      selector: { app: "web" },
      ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }],
      ...spec,
    },
  });
}

interface PodFacts {
  readonly ip?: string;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly app?: string;
  readonly spec?: Partial<PodSpec>;
}

const main = { name: "c", image: "i" };

function podOf(name: string, { app = "web", spec = {} }: PodFacts): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...at(name), labels: { app } },
    spec: { nodeName: "node-1", containers: [main], ...spec },
  };
}

/** What the kubelet would have written. */
function report(name: string, { ip, ready = true, phase = "Running" }: PodFacts): void {
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  const status = { phase, conditions, ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }) };
  store.update("pods", at(name), (current) => ({ ...current, status }), { subresource: "status" });
}

function addPod(name: string, facts: PodFacts): void {
  store.create("pods", podOf(name, facts));
  report(name, facts);
}

const slices = (): readonly EndpointSlice[] =>
  store.list(ENDPOINT_SLICES).items as unknown as EndpointSlice[];
const shown = (): unknown[] =>
  slices().flatMap(({ endpoints = [] }) =>
    endpoints.map(({ addresses: [ip], conditions }) => [
      ip,
      Object.entries(conditions ?? {})
        .flatMap(([name, isSo]) => (isSo ? [name] : []))
        .join(" "),
    ]),
  );

test("[SV2] a slice is written as kube-controller-manager writes it", async () => {
  addService({}, { team: "a" });
  addPod("one", { ip: "10.0.0.1" });
  await settle();
  const [slice] = slices();
  expect(slice?.metadata?.name).toMatch(/^web-[a-z0-9]{5}$/);
  expect(slice).toMatchObject({
    addressType: "IPv4",
    metadata: {
      generateName: "web-",
      labels: {
        team: "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      },
      ownerReferences: [
        { apiVersion: "v1", kind: "Service", name: "web", controller: true, blockOwnerDeletion: true },
      ],
    },
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: [
      {
        addresses: ["10.0.0.1"],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: "node-1",
        targetRef: { kind: "Pod", namespace: "default", name: "one" },
      },
    ],
  });
});

test("[SV2] conditions tell who is ready, who serves and who goes; others are not in it", async () => {
  addService();
  addPod("a", { ip: "10.0.0.1" });
  addPod("b", { ip: "10.0.0.2", ready: false });
  addPod("c", { ip: "10.0.0.3" });
  addPod("d", { ip: "10.0.0.4", phase: "Succeeded" });
  addPod("e", {});
  addPod("f", { ip: "10.0.0.6", app: "other" });
  store.delete("pods", at("c"), { gracePeriodSeconds: 30 });
  await settle();
  expect(shown()).toEqual([
    ["10.0.0.1", "ready serving"],
    ["10.0.0.2", ""],
    ["10.0.0.3", "serving terminating"],
  ]);
});

test("[SV2] a Service may publish pods that are not ready", async () => {
  addService({ publishNotReadyAddresses: true });
  addPod("a", { ip: "10.0.0.1", ready: false });
  await settle();
  expect(shown()).toEqual([["10.0.0.1", "ready"]]);
});

test("[SV4] a named target port is resolved in each pod, in sidecars too, by name and protocol", async () => {
  addService({ ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: "web" }] });
  const ports = (containerPort: number, protocol = "TCP") => [{ name: "web", containerPort, protocol }];
  addPod("a", { ip: "10.0.0.1", spec: { containers: [{ ...main, ports: ports(81) }] } });
  addPod("b", { ip: "10.0.0.2", spec: { containers: [{ ...main, ports: ports(82) }] } });
  addPod("c", {
    ip: "10.0.0.3",
    spec: { initContainers: [{ name: "s", image: "i", restartPolicy: "Always", ports: ports(83) }] },
  });
  addPod("d", { ip: "10.0.0.4", spec: { containers: [{ ...main, ports: ports(84, "UDP") }] } });
  await settle();
  const found = slices().map(({ ports: of, endpoints }) => [endpoints?.[0]?.addresses[0], of?.[0]?.port]);
  expect(new Map(found as [string, number][])).toEqual(
    new Map<string, number | undefined>([
      ["10.0.0.1", 81],
      ["10.0.0.2", 82],
      ["10.0.0.3", 83],
      ["10.0.0.4", undefined],
    ]) as Map<string, number>,
  );
});

test("[SV6] a headless Service is marked, and pods that name it have host names", async () => {
  addService({ clusterIP: "None", clusterIPs: ["None"], ports: [] });
  addPod("a", { ip: "10.0.0.1", spec: { hostname: "db-0", subdomain: "web" } });
  addPod("b", { ip: "10.0.0.2", spec: { hostname: "db-1", subdomain: "elsewhere" } });
  await settle();
  const [slice] = slices();
  expect(slice?.metadata?.labels).toMatchObject({ "service.kubernetes.io/headless": "" });
  expect(slice?.endpoints?.map(({ hostname }) => hostname)).toEqual(["db-0", undefined]);
  expect(slice?.ports).toEqual([]);
});

test.each<[string, Partial<ServiceSpec>]>([
  ["without selector", { selector: {} }],
  ["of type ExternalName", { type: "ExternalName", externalName: "a.b" }],
])("[SV7] a Service %s gets none", async (_what, spec) => {
  addService(spec);
  addPod("a", { ip: "10.0.0.1" });
  await settle();
  expect(slices()).toEqual([]);
});

test("a selector that matches nothing gets an empty slice, which is filled later in one write", async () => {
  addService();
  await settle();
  const [empty] = slices();
  expect(empty).toMatchObject({ endpoints: [], ports: [] });
  addPod("a", { ip: "10.0.0.1" });
  await settle();
  expect(slices().map(({ metadata }) => metadata?.name)).toEqual([empty?.metadata?.name]);
  expect(writes).toEqual(["ADDED", "MODIFIED"]);
});

test("nothing is written for what endpoints do not tell of", async () => {
  addService();
  addPod("a", { ip: "10.0.0.1" });
  await settle();
  store.update("pods", at("a"), (pod) => ({
    ...pod,
    metadata: { ...pod.metadata, annotations: { seen: "yes" } },
  }));
  store.update("services", at("web"), (service) => ({
    ...service,
    metadata: { ...service.metadata, annotations: { seen: "yes" } },
  }));
  await settle();
  expect(writes).toEqual(["ADDED"]);
});

test("what somebody else changed or deleted is put right", async () => {
  addService();
  addPod("a", { ip: "10.0.0.1" });
  await settle();
  const name = slices()[0]?.metadata?.name ?? "";
  store.update(ENDPOINT_SLICES, at(name), (slice) => ({ ...slice, endpoints: [] }));
  await settle();
  expect(shown()).toEqual([["10.0.0.1", "ready serving"]]);
  store.delete(ENDPOINT_SLICES, at(slices()[0]?.metadata?.name ?? ""));
  await settle();
  expect(shown()).toEqual([["10.0.0.1", "ready serving"]]);
});

describe("many pods", () => {
  test("a slice holds at most 100, and one that goes costs one write", async () => {
    addService();
    for (let index = 0; index < 250; index++) addPod(`p${index}`, { ip: `10.0.1.${index}` });
    await settle();
    const sizes = slices().map(({ endpoints = [] }) => endpoints.length);
    expect(sizes.toSorted((a, b) => b - a)).toEqual([100, 100, 50]);
    writes = [];
    store.delete("pods", at("p7"), { gracePeriodSeconds: 0 });
    await settle();
    addPod("new", { ip: "10.0.2.1" });
    await settle();
    expect(writes).toEqual(["MODIFIED", "MODIFIED"]);
  });

  const name = fc.constantFrom("a", "b", "c", "d", "e");
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("report"),
      name,
      facts: fc.record({
        ip: fc.constantFrom("10.0.0.1", "10.0.0.2", undefined),
        ready: fc.boolean(),
        phase: fc.constantFrom("Running", "Running", "Failed"),
      }),
    }),
    fc.record({ kind: fc.constant("label"), name, app: fc.constantFrom("web", "other") }),
    fc.record({ kind: fc.constant("delete"), name, grace: fc.constantFrom(0, 30) }),
    fc.record({ kind: fc.constant("settle") }),
  );
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  function play(given: Step): void {
    if (!("name" in given)) return;
    const isThere = store.get("pods", at(given.name)) !== undefined;
    if (!isThere) store.create("pods", podOf(given.name, {}));
    if ("facts" in given) {
      const { ip, ...facts } = given.facts;
      report(given.name, ip === undefined ? facts : { ip, ...facts });
    }
    if ("app" in given) {
      store.update("pods", at(given.name), (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, labels: { app: given.app } },
      }));
    }
    if ("grace" in given) store.delete("pods", at(given.name), { gracePeriodSeconds: given.grace });
  }

  /** Straight from the rule, beside the controller. */
  function expected(): unknown[] {
    return store.list("pods").items.flatMap(({ metadata, status }) => {
      const {
        podIP,
        phase,
        conditions = [],
      } = (status ?? {}) as {
        podIP?: string;
        phase?: string;
        conditions?: { status: string }[];
      };
      if (metadata.labels?.["app"] !== "web" || podIP === undefined || phase === "Failed") return [];
      const serving = conditions.some((one) => one.status === "True");
      const terminating = metadata.deletionTimestamp !== undefined;
      return [{ name: metadata.name, podIP, ready: serving && !terminating, serving, terminating }];
    });
  }

  const byName = (items: readonly unknown[]): string[] =>
    items.map((item) => JSON.stringify(item)).toSorted((a, b) => (a < b ? -1 : 1));

  test("[SV2] after any history the slices say what the pods are, and nothing is written twice", async () => {
    addService();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        for (const one of steps) {
          play(one);
          if (one.kind === "settle") await settle();
        }
        await settle();
        const told = slices().flatMap(({ endpoints = [] }) =>
          endpoints.map(({ addresses: [podIP], conditions, targetRef }) => ({
            name: targetRef?.name,
            podIP,
            ...conditions,
          })),
        );
        expect(byName(told)).toEqual(byName(expected()));
        writes = [];
        store.update("services", at("web"), (service) => ({
          ...service,
          metadata: { ...service.metadata, annotations: { round: String(rounds++) } },
        }));
        await settle();
        expect(writes).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

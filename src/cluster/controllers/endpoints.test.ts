import { afterEach, beforeEach, expect, test } from "bun:test";
import type { EndpointSlice, ServiceSpec } from "../../../generated/kubernetes.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, openTestStore } from "../../testing/store-fixtures.ts";
import type { ControllerParts } from "./controller.ts";
import type { Store } from "../store/store.ts";
import { startEndpointSliceMirror } from "./endpoint-slices-mirror.ts";
import { ENDPOINT_SLICES } from "../../k8s/service-routes.ts";
import { startEndpointsController } from "./endpoints.ts";

let store: Store;
let parts: ControllerParts;
let stops: (() => void)[] = [];
let writes: string[] = [];

beforeEach(() => {
  const clock = new ManualClock();
  store = openTestStore({ clock });
  writes = [];
  store.watch("endpoints", {}, ({ type }) => writes.push(`endpoints ${type}`));
  store.watch(ENDPOINT_SLICES, {}, ({ type }) => writes.push(`slice ${type}`));
  parts = { store, clock, create: async (resource, object) => store.create(resource, object) };
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  store.close();
});

async function start(): Promise<void> {
  stops = [startEndpointsController(parts), startEndpointSliceMirror(parts)];
  await settle();
}

async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

function addService(spec: Partial<ServiceSpec> = {}): void {
  store.create("services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: at("web"),
    spec: { type: "ClusterIP", clusterIP: "10.96.9.1", ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });
}

function addPod(name: string, ip: string, ready: boolean): void {
  store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...at(name), labels: { app: "web" } },
    spec: { nodeName: "node-1", containers: [{ name: "c", image: "i" }] },
    status: {
      phase: "Running",
      podIP: ip,
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  });
}

function writeEndpoints(fields: object = {}, labels: Record<string, string> = {}): void {
  store.create("endpoints", {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { ...at("web"), labels },
    subsets: [{ addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 5432 }] }],
    ...fields,
  });
}

const selector = { app: "web" };
const subsets = () => store.get("endpoints", at("web"))?.["subsets"];
const slices = (): readonly EndpointSlice[] =>
  store.list(ENDPOINT_SLICES).items as unknown as EndpointSlice[];

test("[SV2] Endpoints tell ready pods from others, and leave out those on their way out", async () => {
  addService({ selector });
  addPod("a", "10.0.0.2", true);
  addPod("b", "10.0.0.1", true);
  addPod("c", "10.0.0.3", false);
  addPod("d", "10.0.0.4", true);
  store.delete("pods", at("d"), { gracePeriodSeconds: 30 });
  await start();
  expect(subsets()).toMatchObject([
    {
      addresses: [
        { ip: "10.0.0.1", nodeName: "node-1", targetRef: { kind: "Pod", name: "b" } },
        { ip: "10.0.0.2" },
      ],
      notReadyAddresses: [{ ip: "10.0.0.3" }],
      ports: [{ port: 8080, protocol: "TCP" }],
    },
  ]);
  expect(store.get("endpoints", at("web"))?.metadata.labels).toEqual({
    "endpoints.kubernetes.io/managed-by": "endpoint-controller",
  });
});

test("Endpoints follow their pods, with one write each, and go with their Service", async () => {
  addService({ selector });
  await start();
  expect(store.get("endpoints", at("web"))).toBeDefined();
  expect(subsets()).toBeUndefined();
  addPod("a", "10.0.0.1", true);
  await settle();
  store.delete("pods", at("a"), { gracePeriodSeconds: 0 });
  await settle();
  expect(subsets()).toBeUndefined();
  store.delete("services", at("web"));
  await settle();
  expect(writes).toEqual(["ADDED", "MODIFIED", "MODIFIED", "DELETED"].map((type) => `endpoints ${type}`));
});

test("[SV7] Endpoints of a Service without selector are left alone and mirrored", async () => {
  addService();
  writeEndpoints();
  await start();
  expect(writes).toEqual(["endpoints ADDED", "slice ADDED"]);
  expect(slices()).toMatchObject([
    {
      addressType: "IPv4",
      metadata: {
        labels: {
          "kubernetes.io/service-name": "web",
          "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        },
        ownerReferences: [{ kind: "Endpoints", name: "web", controller: true }],
      },
      ports: [{ name: "", port: 5432, protocol: "TCP" }],
      endpoints: [{ addresses: ["192.0.2.1"], conditions: { ready: true } }],
    },
  ]);
});

test("a mirror follows what is written, and goes when there is a selector", async () => {
  addService();
  writeEndpoints();
  await start();
  store.update("endpoints", at("web"), (now) => ({
    ...now,
    subsets: [{ notReadyAddresses: [{ ip: "192.0.2.2" }, { ip: "2001:db8::1" }], ports: [{ port: 5432 }] }],
  }));
  await settle();
  const shown = slices().map(({ addressType, endpoints }) => [
    addressType,
    endpoints?.[0]?.conditions?.ready,
  ]);
  expect(new Set(shown.map(([type]) => type))).toEqual(new Set(["IPv4", "IPv6"]));
  expect(shown.every(([, ready]) => ready === false)).toBe(true);
  store.update("services", at("web"), (now) => ({ ...now, spec: { ...(now["spec"] as object), selector } }));
  await settle();
  expect(slices()).toEqual([]);
});

test.each<[string, Record<string, string>, object]>([
  ["that say so", { "endpointslice.kubernetes.io/skip-mirror": "true" }, {}],
  ["without addresses", {}, { subsets: [] }],
])("Endpoints %s are not mirrored", async (_what, labels, fields) => {
  addService();
  writeEndpoints(fields, labels);
  await start();
  expect(slices()).toEqual([]);
});

test("Endpoints whose Service went while nobody looked are removed; those written later stay", async () => {
  writeEndpoints();
  await start();
  expect(store.get("endpoints", at("web"))).toBeUndefined();
  writeEndpoints();
  await settle();
  expect(store.get("endpoints", at("web"))).toBeDefined();
});

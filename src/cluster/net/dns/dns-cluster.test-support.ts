/** A small cluster in a store, with a Service of each kind, for tests of cluster DNS. */
import type { Endpoint, ServiceSpec } from "../../../../generated/kubernetes.ts";
import { openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";

export function dnsCluster(): Store {
  const store = openTestStore();
  addService(store, "web", {
    clusterIP: "10.96.7.7",
    ports: [
      { name: "http", port: 80, protocol: "TCP" },
      { name: "quic", port: 443, protocol: "UDP" },
    ],
  });
  addSlice(store, { name: "web", port: 80, endpoints: [{ addresses: ["10.244.0.20"], hostname: "one" }] });
  addService(store, "db", { clusterIP: "None", ports: [{ name: "sql", port: 5432, protocol: "TCP" }] });
  addSlice(store, {
    name: "db",
    port: 5432,
    endpoints: [
      { addresses: ["10.244.0.5"], hostname: "db-0", conditions: { ready: true } },
      { addresses: ["10.244.0.6"], conditions: {} },
      { addresses: ["10.244.0.7"], hostname: "db-2", conditions: { ready: false } },
    ],
  });
  addService(store, "empty", { clusterIP: "None" });
  addSlice(store, {
    name: "empty",
    port: 1,
    endpoints: [{ addresses: ["10.244.0.8"], conditions: { ready: false } }],
  });
  addService(store, "six", { clusterIP: "None" });
  addSlice(store, { name: "six", port: 1, type: "IPv6", endpoints: [{ addresses: ["fd00::6"] }] });
  addService(store, "outside", { type: "ExternalName", externalName: "www.example.com" });
  addService(store, "inside", { type: "ExternalName", externalName: "web.default.svc.cluster.local." });
  addService(store, "circle", { type: "ExternalName", externalName: "circle.default.svc.cluster.local" });
  addService(store, "broken", { type: "ExternalName", externalName: "a..b" });
  return store;
}

export function addService(store: Store, name: string, spec: Partial<ServiceSpec>): void {
  store.create("services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { type: "ClusterIP", ...spec },
  });
}

interface SliceWish {
  readonly name: string;
  readonly port: number;
  readonly endpoints: readonly Endpoint[];
  readonly type?: string;
}

export function addSlice(store: Store, { name, port, endpoints, type = "IPv4" }: SliceWish): void {
  const service = store.get("services", { namespace: "default", name });
  const [first] = (service?.["spec"] as ServiceSpec | undefined)?.ports ?? [];
  store.create("endpointslices.discovery.k8s.io", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-1`, namespace: "default", labels: { "kubernetes.io/service-name": name } },
    addressType: type,
    endpoints,
    ports: [{ name: first?.name ?? "", port, protocol: "TCP" }],
  });
}

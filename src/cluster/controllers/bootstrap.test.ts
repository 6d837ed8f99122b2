import { expect, test } from "bun:test";
import { resourceOf } from "../../k8s/catalogue.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at } from "../../testing/store-fixtures.ts";
import { openStore } from "../store/open-store.ts";
import { seedCluster } from "./bootstrap.ts";

test("seedCluster() makes the namespaces and the Service of the API server, once", () => {
  const store = openStore({ path: ":memory:", clock: new ManualClock(), resources: resourceOf });
  seedCluster(store, { apiPort: 6443 });
  expect(store.list("namespaces").items.map(({ metadata }) => metadata.name)).toEqual([
    "default",
    "kube-node-lease",
    "kube-public",
    "kube-system",
  ]);
  expect(store.get("services", at("kubernetes"))).toMatchObject({
    metadata: { labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      clusterIP: "10.96.0.1",
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: 6443 }],
    },
  });
  expect(store.get("services", at("kube-dns", "kube-system"))).toMatchObject({
    spec: {
      clusterIP: "10.96.0.10",
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53, protocol: "TCP" },
      ],
    },
  });
  expect(store.get("endpoints", at("kubernetes"))).toMatchObject({
    subsets: [{ addresses: [{ ip: "10.244.0.1" }], ports: [{ name: "https", port: 6443, protocol: "TCP" }] }],
  });
  const version = store.resourceVersion();
  seedCluster(store, { apiPort: 6443 });
  expect(store.resourceVersion()).toBe(version);
  store.update("services", at("kubernetes"), (current) => ({
    ...current,
    metadata: { ...current.metadata, labels: { mine: "yes" } },
  }));
  seedCluster(store, { apiPort: 7443 });
  expect(store.get("services", at("kubernetes"))).toMatchObject({
    metadata: { labels: { mine: "yes" } },
    spec: { ports: [{ targetPort: 7443 }] },
  });
  expect(store.get("endpointslices.discovery.k8s.io", at("kubernetes"))).toMatchObject({
    metadata: { labels: { "kubernetes.io/service-name": "kubernetes" } },
    endpoints: [{ addresses: ["10.244.0.1"], conditions: { ready: true } }],
    ports: [{ name: "https", port: 7443, protocol: "TCP" }],
  });
  store.close();
});

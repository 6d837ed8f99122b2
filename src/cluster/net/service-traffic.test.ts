import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Event, EndpointSlice, Service, ServiceSpec } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { ServiceRoute } from "../../k8s/service-routes.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import { createEventRecorder } from "../store/event-recorder.ts";
import type { Store } from "../store/store.ts";
import { keyOf } from "./endpoint-picker.ts";
import type { ListenAddress, ListenFailure, ProxyRoute, ServiceProxy } from "./service-proxy.ts";
import { type ServiceTrafficOptions, startServiceTraffic } from "./service-traffic.ts";

const SLICES = "endpointslices.discovery.k8s.io";
const AT = { namespace: "default", name: "shop" };

/** Knows which addresses other programs have. */
class FakeProxy implements ServiceProxy {
  routes: readonly ProxyRoute[] = [];
  updates = 0;
  /** By `IP:PORT`. */
  readonly codes = new Map<string, string>();

  update(routes: readonly ProxyRoute[]): Promise<readonly ListenFailure[]> {
    this.routes = routes;
    this.updates += 1;
    const failures = routes.flatMap(({ name, addresses, endpoints }) =>
      addresses.flatMap((address) => {
        const code = this.codes.get(keyOf(address));
        return code === undefined || endpoints.length === 0 ? [] : [{ route: name, address, code }];
      }),
    );
    return Promise.resolve(failures);
  }

  check(_protocol: string, address: ListenAddress): Promise<string | undefined> {
    return Promise.resolve(this.codes.get(keyOf(address)));
  }

  close(): void {
    this.routes = [];
  }

  /** `node 10.96.0.9:80 → 10.244.0.2:8080`. */
  seen(): string[] {
    return this.routes.flatMap(({ addresses, endpoints }) =>
      addresses.map(
        (address) => `${address.place} ${keyOf(address)} → ${endpoints.map(keyOf).join(" ") || "nobody"}`,
      ),
    );
  }
}

let store: Store;
let clock: ManualClock;
let proxy: FakeProxy;
let stop: () => void;
const errors: unknown[] = [];

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  proxy = new FakeProxy();
});
afterEach(() => {
  stop();
  store.close();
  expect(errors.splice(0)).toEqual([]);
});

function start(more: Partial<ServiceTrafficOptions> = {}): void {
  stop = startServiceTraffic({
    store,
    clock,
    proxy,
    recorder: createEventRecorder({ store, clock, component: "service-controller", host: "" }),
    places: { nodeIP: "10.244.0.1", machineIPs: ["127.0.0.1"] },
    onError: (error) => errors.push(error),
    ...more,
  });
}

async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

function createService(spec: ServiceSpec = {}): void {
  store.create("services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: AT,
    spec: { type: "ClusterIP", clusterIP: "10.96.0.9", ports: [{ port: 80, protocol: "TCP" }], ...spec },
  });
}

function change(spec: ServiceSpec): void {
  store.update("services", AT, (current) => {
    const { spec: before } = current as KubeObject & Service;
    return { ...current, spec: { ...before, ...spec } };
  });
}

function slice(
  isReady: boolean,
  labels = { "kubernetes.io/service-name": "shop" },
): KubeObject & EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "default", name: "shop-1", labels },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: [{ addresses: ["10.244.0.2"], conditions: { ready: isReady, serving: isReady } }],
  };
}

function shown(): unknown {
  return (store.get("services", AT) as Service | undefined)?.status?.loadBalancer;
}

function events(): string[] {
  return store.list("events").items.map((object) => {
    const { type, reason, message } = object as KubeObject & Event;
    return `${type} ${reason}: ${message}`;
  });
}

describe("startServiceTraffic()", () => {
  test("sends connections to ready endpoints, as they come and go [SV3]", async () => {
    createService();
    store.create(SLICES, slice(true));
    start();
    await settle();
    expect(proxy.seen()).toEqual(["node 10.96.0.9:80 → 10.244.0.2:8080"]);
    store.update(SLICES, { namespace: "default", name: "shop-1" }, () => slice(false));
    await settle();
    expect(proxy.seen()).toEqual(["node 10.96.0.9:80 → nobody"]);
    store.update(SLICES, { namespace: "default", name: "shop-1" }, () => slice(true));
    await settle();
    expect(proxy.seen()).toEqual(["node 10.96.0.9:80 → 10.244.0.2:8080"]);
    const labels = { "kubernetes.io/service-name": "other" };
    store.update(SLICES, { namespace: "default", name: "shop-1" }, () => slice(true, labels));
    await settle();
    expect(proxy.seen()).toEqual(["node 10.96.0.9:80 → nobody"]);
    store.delete("services", AT);
    await settle();
    expect(proxy.seen()).toEqual([]);
  });

  test("leaves Services of another proxy alone, also when the label comes later", async () => {
    createService();
    store.create(SLICES, slice(true));
    start();
    await settle();
    expect(proxy.seen()).toHaveLength(1);
    store.update("services", AT, (current) => ({
      ...current,
      metadata: { ...current.metadata, labels: { "service.kubernetes.io/service-proxy-name": "other" } },
    }));
    await settle();
    expect(proxy.seen()).toEqual([]);
  });

  test("tells the kernel of cluster IPs where there is one that carries them, and tries again", async () => {
    const told: (readonly ServiceRoute[])[] = [];
    let failure: Error | undefined = new Error("nft says: no");
    const update = (routes: readonly ServiceRoute[]) => {
      told.push(routes);
      return failure === undefined ? Promise.resolve() : Promise.reject(failure);
    };
    createService({ type: "NodePort", ports: [{ port: 80, nodePort: 31_001 }] });
    store.create(SLICES, slice(true));
    const carries = ({ endpoints }: ServiceRoute) => endpoints.every(({ ip }) => ip.startsWith("10.244."));
    start({ kernel: { carries, update } });
    await settle();
    expect(proxy.seen()).toEqual(["machine 127.0.0.1:31001 → 10.244.0.2:8080"]);
    expect(told).toEqual([
      [
        expect.objectContaining({
          clusterIP: "10.96.0.9",
          port: 80,
          endpoints: [{ ip: "10.244.0.2", port: 8080 }],
        }),
      ],
    ]);
    expect(errors.splice(0)).toEqual([failure]);
    failure = undefined;
    clock.advance(5000);
    await settle();
    expect(told).toHaveLength(2);
    clock.advance(60_000);
    await settle();
    expect(told).toHaveLength(2);

    // What it cannot carry is the proxy's.
    const abroad = { ...slice(true), endpoints: [{ addresses: ["192.0.2.2"] }] };
    store.update(SLICES, { namespace: "default", name: "shop-1" }, () => abroad);
    await settle();
    expect(told.at(-1)).toEqual([]);
    expect(proxy.seen()).toEqual([
      "node 10.96.0.9:80 → 192.0.2.2:8080",
      "node 10.244.0.1:31001 → 192.0.2.2:8080",
      "machine 127.0.0.1:31001 → 192.0.2.2:8080",
    ]);
  });

  test("has node ports on the node and on this machine, and says once that one is taken [SV5]", async () => {
    proxy.codes.set("127.0.0.1:31001", "EADDRINUSE");
    createService({ type: "NodePort", ports: [{ port: 80, nodePort: 31_001 }] });
    store.create(SLICES, slice(true));
    start();
    await settle();
    expect(proxy.seen()).toEqual([
      "node 10.96.0.9:80 → 10.244.0.2:8080",
      "node 10.244.0.1:31001 → 10.244.0.2:8080",
      "machine 127.0.0.1:31001 → 10.244.0.2:8080",
    ]);
    const { updates } = proxy;
    clock.advance(5000);
    await settle();
    expect(proxy.updates).toBe(updates + 1);
    expect(events()).toEqual([
      "Warning PortUnavailable: Cannot listen on 127.0.0.1:31001: another program or Service has it; trying again",
    ]);
    proxy.codes.clear();
    clock.advance(5000);
    await settle();
    clock.advance(60_000);
    await settle();
    expect(proxy.updates).toBe(updates + 2);
  });

  test("gives a load balancer an address before it has endpoints, and takes it back with the type [SV5]", async () => {
    createService({ type: "LoadBalancer" });
    start();
    await settle();
    expect(shown()).toEqual({ ingress: [{ ip: "127.0.0.1", ipMode: "VIP" }] });
    expect(events()).toEqual(["Normal EnsuredLoadBalancer: Ensured load balancer at 127.0.0.1"]);
    store.create(SLICES, slice(true));
    await settle();
    expect(proxy.seen()).toContain("machine 127.0.0.1:80 → 10.244.0.2:8080");
    change({ type: "ClusterIP" });
    await settle();
    expect(shown()).toEqual({});
    expect(proxy.seen()).toEqual(["node 10.96.0.9:80 → 10.244.0.2:8080"]);
  });

  test("keeps its address over a start without writing, and finds another when a program took it", async () => {
    createService({ type: "LoadBalancer" });
    start();
    await settle();
    stop();
    const version = store.resourceVersion();
    start();
    await settle();
    expect(store.resourceVersion()).toBe(version);
    proxy.codes.set("127.0.0.1:80", "EADDRINUSE");
    store.create(SLICES, slice(true));
    await settle();
    expect(JSON.stringify(shown())).toMatch(/"ip":"127\.1\.\d+\.\d+"/);
  });

  test("says where a port is that may not be bound", async () => {
    proxy.codes.set("127.0.0.1:80", "EACCES");
    createService({ type: "LoadBalancer" });
    start();
    await settle();
    expect(shown()).toEqual({
      ingress: [{ ip: "127.0.0.1", ipMode: "VIP", ports: [{ port: 8000, protocol: "TCP" }] }],
    });
    expect(events()[0]).toContain("port 80/TCP is at 127.0.0.1:8000");
    store.create(SLICES, slice(true));
    await settle();
    expect(proxy.seen()).toContain("machine 127.0.0.1:8000 → 10.244.0.2:8080");
  });

  test("leaves load balancers of a class to whom they belong to, and skips protocols that nobody relays", async () => {
    createService({
      type: "LoadBalancer",
      loadBalancerClass: "example.com/own",
      ports: [{ port: 80, protocol: "SCTP" }],
    });
    start();
    await settle();
    expect(shown()).toBeUndefined();
    expect(proxy.seen()).toEqual([]);
  });
});

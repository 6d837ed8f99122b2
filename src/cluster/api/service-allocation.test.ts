import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Service, ServicePort, ServiceSpec } from "../../../generated/kubernetes.ts";
import { resourceOf } from "../../k8s/catalogue.ts";
import { applyDefaults } from "../../k8s/defaults.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { refuseInvalidChange, refuseInvalidNew } from "../../k8s/validation.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { startTestApi, type TestApi } from "./api.test-support.ts";
import { allocateService } from "./service-allocation.ts";
import { NumberPool } from "./service-allocation-pool.ts";

const PATH = "/api/v1/namespaces/default/services";
const LOCAL_BALANCER = { type: "LoadBalancer", externalTrafficPolicy: "Local" };

function service(name: string, spec: Partial<ServiceSpec> = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80 }], ...spec },
  };
}

async function post(api: TestApi, body: KubeObject, query = ""): Promise<Service & { message?: string }> {
  return (await api.call(`${PATH}${query}`, { method: "POST", body })).body;
}

async function patch(api: TestApi, name: string, body: object): Promise<Service & { message?: string }> {
  const headers = { "Content-Type": "application/merge-patch+json" };
  return (await api.call(`${PATH}/${name}`, { method: "PATCH", body, headers })).body;
}

describe("through the API", () => {
  test("[SV5] a new Service gets an address of the upper part and a node port", async () => {
    await using api = await startTestApi();
    const { spec } = await post(api, service("web", { type: "NodePort" }));
    expect(spec).toMatchObject({ ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" });
    expect(spec?.clusterIP).toMatch(/^10\.96\.(?!0\.)\d+\.\d+$/);
    expect(spec?.clusterIPs).toEqual([spec?.clusterIP ?? ""]);
    const [port] = spec?.ports ?? [];
    expect(port?.nodePort).toBeGreaterThanOrEqual(30_086);
    expect(port?.nodePort).toBeLessThanOrEqual(32_767);
  });

  test("[SV6] headless and ExternalName Services get none", async () => {
    await using api = await startTestApi();
    const headless = await post(api, service("a", { clusterIP: "None" }));
    expect(headless.spec).toMatchObject({ clusterIP: "None", clusterIPs: ["None"], ipFamilies: ["IPv4"] });
    const bare = await post(api, { ...service("b"), spec: { clusterIP: "None" } });
    expect(bare.spec).toMatchObject({ ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" });
    const external = await post(api, service("c", { type: "ExternalName", externalName: "a.b" }));
    expect(external.spec?.clusterIP).toBeUndefined();
    expect(external.spec?.ipFamilies).toBeUndefined();
  });

  test("what cannot be had is refused in upstream's words", async () => {
    await using api = await startTestApi();
    await post(api, service("first", { type: "NodePort", ports: [{ port: 80, nodePort: 31_001 }] }));
    const refused = async (spec: Partial<ServiceSpec>) => (await post(api, service("x", spec))).message;
    const prefix = 'Service "x" is invalid: spec';
    const type = "NodePort";
    expect(await refused({ type, ports: [{ port: 8, nodePort: 31_001 }] })).toBe(
      `${prefix}.ports[0].nodePort: Invalid value: 31001: provided port is already allocated`,
    );
    expect(await refused({ type, ports: [{ port: 8, nodePort: 80 }] })).toBe(
      `${prefix}.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`,
    );
    expect(await refused({ clusterIP: "10.96.0.1" })).toBe(
      `${prefix}.clusterIPs: Invalid value: ["10.96.0.1"]: failed to allocate IP 10.96.0.1: provided IP is already allocated`,
    );
    expect(await refused({ clusterIP: "10.1.0.1" })).toBe(
      `${prefix}.clusterIPs: Invalid value: ["10.1.0.1"]: failed to allocate IP 10.1.0.1: the provided IP (10.1.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16`,
    );
    expect(await refused({ clusterIP: "fd00::1" })).toBe(
      `${prefix}.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster`,
    );
    expect(await refused({ ipFamilies: ["IPv6"] })).toBe(
      `${prefix}.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster`,
    );
    expect(await refused({ ipFamilyPolicy: "RequireDualStack" })).toBe(
      `${prefix}.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`,
    );
  });

  test("a dry run takes nothing", async () => {
    await using api = await startTestApi();
    const body = service("a", { clusterIP: "10.96.0.77" });
    expect((await post(api, body, "?dryRun=All")).spec?.clusterIP).toBe("10.96.0.77");
    expect((await post(api, { ...body, metadata: { name: "b" } })).spec?.clusterIP).toBe("10.96.0.77");
  });

  test("one port over TCP and UDP shares its node port", async () => {
    await using api = await startTestApi();
    const ports = ["TCP", "UDP"].map((protocol) => ({ name: protocol.toLowerCase(), port: 53, protocol }));
    const { spec } = await post(api, service("dns", { type: "NodePort", ports }));
    const [tcp, udp] = spec?.ports ?? [];
    expect(tcp?.nodePort).toBe(udp?.nodePort ?? 0);
  });

  test("the way through all types keeps the address and drops what the type does not have", async () => {
    await using api = await startTestApi();
    const first = await post(api, service("web"));
    const ip = first.spec?.clusterIP ?? "";
    const balancer = await patch(api, "web", { spec: LOCAL_BALANCER });
    expect(balancer.spec).toMatchObject({ clusterIP: ip, allocateLoadBalancerNodePorts: true });
    expect(balancer.spec?.healthCheckNodePort).toBeGreaterThan(30_000);
    const status = { loadBalancer: { ingress: [{ ip: "127.0.0.1" }] } };
    api.store.update("services", { namespace: "default", name: "web" }, (now) => ({ ...now, status }), {
      subresource: "status",
    });
    const nodePort = await patch(api, "web", { spec: { type: "NodePort" } });
    expect(nodePort.status).toEqual({ loadBalancer: {} });
    expect(nodePort.spec?.ports).toEqual(balancer.spec?.ports ?? []);
    expect(nodePort.spec?.healthCheckNodePort).toBeUndefined();
    expect(nodePort.spec?.allocateLoadBalancerNodePorts).toBeUndefined();
    const inner = await patch(api, "web", { spec: { type: "ClusterIP" } });
    expect(inner.spec).toEqual(first.spec ?? {});
    const outer = await patch(api, "web", { spec: { type: "ExternalName", externalName: "a.b" } });
    expect(outer.spec?.clusterIP).toBeUndefined();
    expect(outer.spec?.ipFamilyPolicy).toBeUndefined();
    const again = await patch(api, "web", { spec: { type: "ClusterIP", externalName: null } });
    expect(again.spec?.clusterIP).toMatch(/^10\.96\./);
    const denied = await patch(api, "web", { spec: { clusterIP: "None" } });
    expect(denied.message).toBe(
      'Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set',
    );
  });

  test("a replacement without the allocated fields keeps them", async () => {
    await using api = await startTestApi();
    const first = await post(api, service("web", { type: "NodePort" }));
    const body = service("web", { type: "NodePort" });
    const put = await api.call(`${PATH}/web`, { method: "PUT", body });
    expect(put.body).toMatchObject({
      spec: first.spec,
      metadata: { resourceVersion: first.metadata?.resourceVersion },
    });
  });

  test("a load balancer may do without node ports", async () => {
    await using api = await startTestApi();
    const spec = { type: "LoadBalancer", allocateLoadBalancerNodePorts: false };
    expect((await post(api, service("web", spec))).spec?.ports?.[0]?.nodePort).toBeUndefined();
  });
});

describe("NumberPool", () => {
  test("hands out the upper part first, then the rest, then nothing", () => {
    const pool = new NumberPool({ first: 10, last: 14, staticCount: 2 }, [13]);
    const got = Array.from({ length: 5 }, () => pool.claimAny());
    expect(new Set(got.slice(0, 2))).toEqual(new Set([12, 14]));
    expect(new Set(got.slice(2, 4))).toEqual(new Set([10, 11]));
    expect(got[4]).toBeUndefined();
  });

  test("refuses what is taken or outside", () => {
    const pool = new NumberPool({ first: 10, last: 14, staticCount: 2 }, [13]);
    expect([9, 15, 10.5, 13, 12, 12].map((wanted) => pool.claim(wanted))).toEqual([
      "outside",
      "outside",
      "outside",
      "taken",
      undefined,
      "taken",
    ]);
  });
});

// Few names, addresses and ports, so that they meet.
const port: fc.Arbitrary<ServicePort> = fc.record(
  {
    name: fc.constantFrom("a", "b", "c"),
    port: fc.constantFrom(80, 81),
    protocol: fc.constantFrom("TCP", "UDP"),
    nodePort: fc.constantFrom(30_001, 30_002, 30_003),
  },
  { requiredKeys: ["name", "port"] },
);
const spec: fc.Arbitrary<Partial<ServiceSpec>> = fc.record(
  {
    type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    clusterIP: fc.constantFrom("10.96.0.5", "10.96.0.6", "None"),
    externalName: fc.constant("a.b"),
    externalTrafficPolicy: fc.constantFrom("Local", "Cluster"),
    ports: fc.uniqueArray(port, { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
  },
  { requiredKeys: ["type", "ports"] },
);
const step = fc.record({
  kind: fc.constantFrom("put", "put", "put", "delete"),
  name: fc.constantFrom("a", "b", "c", "d"),
  spec,
});

/** As the API writes: defaults, admission, validation. What is refused changes nothing. */
function write(store: Store, name: string, wanted: Partial<ServiceSpec>): void {
  const at = { namespace: "default", name };
  const info = resourceOf("services");
  if (info === undefined) throw new Error("no resource");
  const admit = allocateService(store, (size) => Math.floor(size / 2));
  const admitted = (before: KubeObject | undefined) => {
    const operation = before === undefined ? ("CREATE" as const) : ("UPDATE" as const);
    const object = applyDefaults(service(name, wanted));
    const parts = { info, object, operation, dryRun: false, warn: () => {} };
    return applyDefaults(admit(before === undefined ? parts : { ...parts, before }));
  };
  try {
    if (store.get("services", at) === undefined) {
      const fresh = admitted(undefined);
      refuseInvalidNew(fresh, { namespaced: true });
      store.create("services", fresh);
    } else {
      store.update("services", at, (current) => {
        const next = admitted(current);
        refuseInvalidChange(next, current);
        return next;
      });
    }
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    expect(["Invalid"]).toContain(error.reason);
  }
}

test("no history hands out one address or one port twice", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = openTestStore();
      try {
        for (const { kind, name, spec: wanted } of steps) {
          if (kind === "put") write(store, name, wanted);
          else if (store.get("services", { namespace: "default", name }) !== undefined)
            store.delete("services", { namespace: "default", name });
          expectUnique(store.list("services").items);
        }
      } finally {
        store.close();
      }
    }),
    { numRuns: 150 },
  );
});

function expectUnique(services: readonly Service[]): void {
  const ips = services.map((one) => one.spec?.clusterIP ?? "None").filter((ip) => ip !== "None");
  expect(new Set(ips).size).toBe(ips.length);
  // An ExternalName Service may say a node port, as on the real server; it opens none.
  const open = services.filter(({ spec: of }) => of?.type !== "ExternalName");
  const ports = open.flatMap(({ spec: of }) => {
    const own = (of?.ports ?? []).flatMap(({ nodePort = 0 }) => (nodePort === 0 ? [] : [nodePort]));
    return [...new Set(own), ...(of?.healthCheckNodePort === undefined ? [] : [of.healthCheckNodePort])];
  });
  expect(new Set(ports).size).toBe(ports.length);
  for (const { spec: of } of services) {
    if (of?.type === "ClusterIP")
      expect(of.ports?.some(({ nodePort }) => nodePort !== undefined)).toBe(false);
    if (of?.type !== "ExternalName") expect(of?.clusterIP).toBeDefined();
  }
}

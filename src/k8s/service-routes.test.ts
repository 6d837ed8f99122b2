import { describe, expect, test } from "bun:test";
import type { Endpoint, EndpointSlice, Service, ServiceSpec } from "../../generated/kubernetes.ts";
import { routesOf } from "./service-routes.ts";

function service(spec: Partial<ServiceSpec> = {}): Service {
  return {
    metadata: { name: "web", namespace: "shop" },
    spec: { type: "ClusterIP", clusterIP: "10.96.200.1", ports: [{ port: 80, protocol: "TCP" }], ...spec },
  };
}

function slice(endpoints: Endpoint[], change: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    metadata: {
      name: "web-a",
      namespace: "shop",
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints,
    ...change,
  };
}

const ready = (ip: string): Endpoint => ({
  addresses: [ip],
  conditions: { ready: true, serving: true, terminating: false },
});
const starting = (ip: string): Endpoint => ({
  addresses: [ip],
  conditions: { ready: false, serving: false, terminating: false },
});
const draining = (ip: string): Endpoint => ({
  addresses: [ip],
  conditions: { ready: false, serving: true, terminating: true },
});
const ending = (ip: string): Endpoint => ({
  addresses: [ip],
  conditions: { ready: false, serving: false, terminating: true },
});

const ipsOf = (endpoints: Endpoint[]): string[] =>
  routesOf(service(), [slice(endpoints)]).flatMap((route) => route.endpoints.map(({ ip }) => ip));

describe("routesOf", () => {
  test("tells all of one port", () => {
    expect(routesOf(service(), [slice([ready("10.0.0.1")])])).toEqual([
      {
        service: "shop/web",
        portName: "",
        protocol: "TCP",
        clusterIP: "10.96.200.1",
        port: 80,
        endpoints: [{ ip: "10.0.0.1", port: 8080 }],
      },
    ]);
  });

  test("leads to no port that is none: the API takes any number in a slice", () => {
    for (const port of [0, -1, 65_536, 2_147_483_647]) {
      const slices = [slice([ready("10.0.0.1")], { ports: [{ name: "", port, protocol: "TCP" }] })];
      expect(routesOf(service(), slices)).toMatchObject([{ endpoints: [] }]);
    }
  });

  test("[SV3] sends new connections to ready endpoints only, as long as there is one", () => {
    const all = [ready("10.0.0.1"), starting("10.0.0.2"), draining("10.0.0.3"), ending("10.0.0.4")];
    expect(ipsOf(all)).toEqual(["10.0.0.1"]);
  });

  test("[SV3] falls back to endpoints that serve while they terminate", () => {
    expect(ipsOf([starting("10.0.0.2"), draining("10.0.0.3"), ending("10.0.0.4")])).toEqual(["10.0.0.3"]);
  });

  test("[SV3] has nobody to send to where nobody serves, and says so", () => {
    expect(ipsOf([starting("10.0.0.2"), ending("10.0.0.4")])).toEqual([]);
    expect(routesOf(service(), [])).toHaveLength(1);
  });

  test("takes conditions nobody has written for good ones", () => {
    expect(ipsOf([{ addresses: ["10.0.0.9"] }])).toEqual(["10.0.0.9"]);
  });

  test("joins slices, once per address, in a stable order", () => {
    const slices = [slice([ready("10.0.0.2"), ready("10.0.0.1")]), slice([ready("10.0.0.1")])];
    const [route] = routesOf(service(), slices);
    expect(route?.endpoints.map(({ ip }) => ip)).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  test("matches ports by name and protocol, each at its own number", () => {
    const ports = [
      { name: "dns", port: 53, protocol: "TCP" },
      { name: "dns-udp", port: 53, protocol: "UDP" },
    ];
    const slices = [
      slice([ready("10.0.0.1")], {
        ports: [
          { name: "dns", port: 5353, protocol: "TCP" },
          { name: "dns-udp", port: 5354, protocol: "UDP" },
          { name: "dns", port: 9, protocol: "UDP" },
          { name: "dns", protocol: "TCP" },
        ],
      }),
    ];
    const routes = routesOf(service({ ports }), slices);
    expect(routes.map(({ endpoints }) => endpoints.map(({ port }) => port))).toEqual([[5353], [5354]]);
  });

  test("leaves out slices of other Services, namespaces and address families", () => {
    const of = (name: string, namespace: string): NonNullable<EndpointSlice["metadata"]> => ({
      name: "x",
      namespace,
      labels: { "kubernetes.io/service-name": name },
    });
    const slices = [
      slice([ready("10.0.0.1")], { metadata: of("other", "shop") }),
      slice([ready("10.0.0.1")], { metadata: of("web", "elsewhere") }),
      slice([ready("fd00::1")], { addressType: "IPv6" }),
      slice([{ addresses: ["example.com"] }], { addressType: "FQDN" }),
      slice([{ addresses: [] }]),
    ];
    expect(routesOf(service(), slices)[0]?.endpoints).toEqual([]);
  });

  test.each([{ clusterIP: "None" }, { clusterIP: "" }, { type: "ExternalName", externalName: "a.b" }])(
    "[SV6] has no route for %p",
    (spec) => {
      expect(routesOf(service(spec), [slice([ready("10.0.0.1")])])).toEqual([]);
    },
  );

  test("tells node port, load balancer and affinity", () => {
    const given = service({
      type: "LoadBalancer",
      ports: [{ port: 80, nodePort: 30_080, protocol: "TCP" }],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    });
    const waiting = routesOf(given, [])[0];
    expect(waiting).toMatchObject({ nodePort: 30_080, loadBalancer: { ips: [] }, affinitySeconds: 60 });
    const status = { loadBalancer: { ingress: [{ ip: "127.0.0.1" }, { hostname: "localhost" }] } };
    expect(routesOf({ ...given, status }, [])[0]?.loadBalancer).toEqual({ ips: ["127.0.0.1"] });
  });
});

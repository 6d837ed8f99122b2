import { describe, expect, test } from "bun:test";
import type { ServiceSpec } from "../../../generated/kubernetes.ts";
import { applyDefaults } from "../defaults.ts";
import type { FieldError } from "../field-error.ts";
import type { KubeObject } from "../object.ts";
import { validateService, validateServiceUpdate } from "./service.ts";

function service(spec: Partial<ServiceSpec>): KubeObject {
  return applyDefaults({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { ports: [{ port: 80 }], ...spec },
  });
}

const told = (errors: readonly FieldError[]): string[] =>
  errors.map(({ field, body }) => `${field}: ${body}`);
const creating = (spec: Partial<ServiceSpec>): string[] => told(validateService(service(spec)));
const changing = (before: Partial<ServiceSpec>, spec: Partial<ServiceSpec>): string[] =>
  told(validateServiceUpdate(service(spec), service(before)));

const IP = "10.96.200.1";
const placed = { clusterIP: IP, clusterIPs: [IP], ipFamilies: ["IPv4"] };

describe("validateService", () => {
  test.each<[Partial<ServiceSpec>, string]>([
    [{ type: "ExternalName" }, "spec.externalName: Required value"],
    [
      { type: "ExternalName", externalName: "a.b", clusterIP: IP },
      "spec.clusterIP: Forbidden: may not be set for ExternalName services",
    ],
    [
      { type: "ExternalName", externalName: "a.b", clusterIP: IP, clusterIPs: [IP] },
      "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
    ],
    [
      { type: "NodePort", clusterIP: "None", clusterIPs: ["None"] },
      `spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`,
    ],
    [
      { type: "LoadBalancer", ports: [{ port: 10_250 }] },
      "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet",
    ],
    [
      { ports: [{ port: 0, targetPort: 1 }] },
      "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ],
    [
      { ports: [{ port: 80, nodePort: 30_000 }] },
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ],
    [
      {
        type: "NodePort",
        ports: ["a", "b"].map((name, port) => ({ name, port: 80 + port, nodePort: 30_000 })),
      },
      "spec.ports[1].nodePort: Duplicate value: 30000",
    ],
    [
      { clusterIP: IP, clusterIPs: ["10.96.200.2"] },
      'spec.clusterIPs: Invalid value: ["10.96.200.2"]: first value must match `clusterIP`',
    ],
    [
      { clusterIPs: [IP] },
      'spec.clusterIPs: Invalid value: ["10.96.200.1"]: must be empty when `clusterIP` is not specified',
    ],
    [
      { clusterIP: "x", clusterIPs: ["x"] },
      'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
    [
      { clusterIP: IP, clusterIPs: [IP], ipFamilies: ["IPv6"] },
      'spec.clusterIPs[0]: Invalid value: "10.96.200.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ],
    [{ ipFamilies: ["IPv4", "IPv4"] }, 'spec.ipFamilies[1]: Duplicate value: "IPv4"'],
    [
      { ipFamilyPolicy: "Both" },
      'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
    ],
    [
      { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } } },
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
    ],
    [
      { externalIPs: ["127.0.0.1"] },
      'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
    [
      { externalTrafficPolicy: "Local" },
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ],
    [
      { healthCheckNodePort: 30_000 },
      "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
    [
      { allocateLoadBalancerNodePorts: true },
      "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
    [
      { loadBalancerClass: "a/b" },
      "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
    [
      { type: "LoadBalancer", loadBalancerSourceRanges: ["10.0.0.0/33"] },
      'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ],
    [
      { internalTrafficPolicy: "Near" },
      'spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"',
    ],
  ])("refuses %j", (spec, expected) => {
    expect(creating(spec)).toEqual([expected]);
  });

  test("[SV1] finds nothing wrong with what its defaults fill in", () => {
    for (const type of ["ClusterIP", "NodePort", "LoadBalancer"]) expect(creating({ type })).toEqual([]);
    expect(creating({ sessionAffinity: "ClientIP" })).toEqual([]);
  });
});

describe("validateServiceUpdate", () => {
  test.each<[Partial<ServiceSpec>, Partial<ServiceSpec>, string]>([
    [
      placed,
      { ...placed, clusterIP: "10.96.9.9", clusterIPs: ["10.96.9.9"] },
      'spec.clusterIPs[0]: Invalid value: ["10.96.9.9"]: may not change once set',
    ],
    [
      placed,
      { ...placed, clusterIP: "None", clusterIPs: ["None"] },
      'spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set',
    ],
    [
      placed,
      { ipFamilies: ["IPv4"] },
      "spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset",
    ],
    [
      { type: "LoadBalancer", loadBalancerClass: "a/b" },
      { type: "LoadBalancer", loadBalancerClass: "a/c" },
      'spec.loadBalancerClass: Invalid value: "a/c": may not change once set',
    ],
    [
      { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 30_001 },
      { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 30_002 },
      "spec.healthCheckNodePort: Forbidden: field is immutable",
    ],
  ])("refuses %j -> %j", (before, spec, expected) => {
    expect(changing(before, spec)).toEqual([expected]);
  });

  test("lets a Service become an ExternalName one and come back", () => {
    const external = { type: "ExternalName", externalName: "a.b" };
    expect(changing(placed, external)).toEqual([]);
    expect(changing(external, placed)).toEqual([]);
  });
});

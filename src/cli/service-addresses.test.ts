import { expect, test } from "bun:test";
import type { LoadBalancerIngress, Service, ServicePort } from "../../generated/kubernetes.ts";
import { addressesOf } from "./service-addresses.ts";

function balanced(ports: ServicePort[], ...ingress: LoadBalancerIngress[]): Service {
  return { spec: { type: "LoadBalancer", ports }, status: { loadBalancer: { ingress } } };
}

const AT = { ip: "127.0.0.1" };

test.each<[string, Service, string[]]>([
  ["no address yet", balanced([{ port: 80 }]), []],
  ["HTTP's own port", balanced([{ port: 80 }], AT), ["http://127.0.0.1"]],
  [
    "a port that moved",
    balanced([{ port: 80 }], { ...AT, ports: [{ port: 8000, protocol: "TCP" }] }),
    ["http://127.0.0.1:8000"],
  ],
  [
    "several ports, one of which nobody carries",
    balanced(
      [
        { port: 7, protocol: "SCTP" },
        { port: 443 },
        { port: 9090, name: "http-metrics" },
        { port: 5432 },
        { port: 53, protocol: "UDP" },
      ],
      { ip: "127.1.2.3" },
    ),
    ["https://127.1.2.3", "http://127.1.2.3:9090", "127.1.2.3:5432", "127.1.2.3:53/UDP"],
  ],
  [
    "a protocol that is not HTTP on a port that usually is",
    balanced(
      [
        { port: 8080, appProtocol: "kubernetes.io/h2c" },
        { port: 8081, appProtocol: "https" },
      ],
      AT,
    ),
    ["127.0.0.1:8080", "https://127.0.0.1:8081"],
  ],
  [
    "a node port",
    { spec: { type: "NodePort", ports: [{ port: 80, nodePort: 31_001 }] } },
    ["http://127.0.0.1:31001"],
  ],
  ["a Service for pods only", { spec: { type: "ClusterIP", ports: [{ port: 80 }] } }, []],
])("addressesOf() tells of %s", (_, service, expected) => {
  expect(addressesOf(service)).toEqual(expected);
});

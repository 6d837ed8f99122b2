import { expect, test } from "bun:test";
import type { ServiceSpec } from "../../generated/kubernetes.ts";
import { serviceWarnings } from "./service-warnings.ts";

test.each<[ServiceSpec, string[]]>([
  [{}, []],
  [{ type: "LoadBalancer", ports: [{ port: 80, protocol: "UDP" }], internalTrafficPolicy: "Local" }, []],
  [
    { ports: [{ port: 80 }, { port: 80, protocol: "SCTP" }], externalIPs: ["192.0.2.1"] },
    ["spec.ports[1].protocol", "spec.externalIPs"],
  ],
  [{ type: "NodePort", externalTrafficPolicy: "Local" }, ["spec.externalTrafficPolicy"]],
  [
    {
      type: "LoadBalancer",
      loadBalancerSourceRanges: ["10.0.0.0/8"],
      loadBalancerClass: "a/b",
      loadBalancerIP: "192.0.2.1",
    },
    ["spec.loadBalancerSourceRanges", "spec.loadBalancerClass", "spec.loadBalancerIP"],
  ],
])("%j", (spec, fields) => {
  const told = serviceWarnings(spec);
  expect(told.map((text) => text.replace(/^pillion: (.+?): .+$/, "$1"))).toEqual(fields);
});

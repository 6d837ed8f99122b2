import { describe, expect, test } from "bun:test";
import { faultsOfChange, faultsOfNew, type Fields, objectOf } from "./validation.test-support.ts";

const ENDPOINTS = "v1 Endpoints";
const SLICE = "discovery.k8s.io/v1 EndpointSlice";
const INGRESS = "networking.k8s.io/v1 Ingress";
const POLICY = "networking.k8s.io/v1 NetworkPolicy";
const backend = { service: { name: "web", port: { number: 80 } } };
const LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

type Case = readonly [string, Fields, string[]];

function check(cases: readonly Case[]): void {
  test.each(cases.map((one) => [...one] as const))("%s, case %#", (type, fields, expected) => {
    expect(faultsOfNew(objectOf(type, fields))).toEqual(expected);
  });
}

describe("Endpoints", () => {
  const subset = (rest: object) => ({ subsets: [{ addresses: [{ ip: "10.1.2.3" }], ...rest }] });
  check([
    [ENDPOINTS, {}, []],
    [ENDPOINTS, subset({ ports: [{ port: 80 }] }), []],
    [ENDPOINTS, subset({ addresses: [], notReadyAddresses: [{ ip: "fd00::1", hostname: "a" }] }), []],
    [
      ENDPOINTS,
      subset({ addresses: [] }),
      ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
    ],
    [
      ENDPOINTS,
      subset({
        addresses: [{ ip: "x", hostname: "A" }, { ip: "127.0.0.1" }],
        notReadyAddresses: [{ ip: "169.254.1.1", nodeName: "one" }],
      }),
      [
        `subsets[0].addresses[0].hostname: Invalid value: "A": ${LABEL}`,
        'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'subsets[0].addresses[1].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'subsets[0].notReadyAddresses[0].ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      ],
    ],
    [
      ENDPOINTS,
      subset({
        ports: [
          { port: 0, protocol: "ICMP" },
          { name: "b", port: 1 },
        ],
      }),
      [
        "subsets[0].ports[0].name: Required value",
        "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        'subsets[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
      ],
    ],
  ]);
});

describe("EndpointSlices", () => {
  const slice = (type: string, ...endpoints: object[]) => ({ addressType: type, endpoints });
  check([
    [SLICE, slice("IPv4", { addresses: ["10.1.2.3"], hostname: "a-0" }), []],
    [SLICE, slice("FQDN", { addresses: ["db.example."] }), []],
    [SLICE, {}, ["addressType: Required value"]],
    [
      SLICE,
      slice("IP", { addresses: ["10.1.2.3"] }),
      ['addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"'],
    ],
    [
      SLICE,
      slice("IPv6", { addresses: [] }, { addresses: ["10.1.2.3", "::1"], hostname: "A" }),
      [
        "endpoints[0].addresses: Required value: must contain at least 1 address",
        'endpoints[1].addresses[0]: Invalid value: "10.1.2.3": must be a valid IPv6 address',
        'endpoints[1].addresses[1]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        `endpoints[1].hostname: Invalid value: "A": ${LABEL}`,
      ],
    ],
    [
      SLICE,
      slice("FQDN", { addresses: ["db"] }),
      [
        'endpoints[0].addresses[0]: Invalid value: "db": should be a domain with at least two segments separated by dots',
      ],
    ],
    [
      SLICE,
      slice("IPv4", { addresses: Array.from({ length: 101 }, () => "10.1.2.3") }),
      ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
    ],
    [
      SLICE,
      {
        addressType: "IPv4",
        ports: [
          { name: "a", protocol: "ICMP" },
          { name: "a", appProtocol: "a b" },
        ],
      },
      [
        'ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        expect.stringContaining('ports[1].appProtocol: Invalid value: "a b": name part must consist of'),
        'ports[1].name: Duplicate value: "a"',
      ],
    ],
    [
      SLICE,
      slice(
        "IPv4",
        ...[1].map(() => ({
          addresses: ["10.1.2.3"],
          deprecatedTopology: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, "v"])),
        })),
      ),
      ["endpoints[0].deprecatedTopology: Too many: 17: must have at most 16 items"],
    ],
  ]);

  test("keep the type of their addresses", () => {
    expect(faultsOfChange(objectOf(SLICE, slice("IPv6")), objectOf(SLICE, slice("IPv4")))).toEqual([
      'addressType: Invalid value: "IPv6": field is immutable',
    ]);
  });
});

describe("Ingresses", () => {
  const path = (rest: object) => ({
    spec: { rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend, ...rest }] } }] },
  });
  const AT = "spec.rules[0].http.paths[0]";
  check([
    [INGRESS, { spec: { defaultBackend: backend, ingressClassName: "nginx" } }, []],
    [INGRESS, { spec: { rules: [{ host: "*.example.com" }, { host: "a.example.com" }] } }, []],
    [INGRESS, path({ backend: { resource: { apiGroup: "a.b", kind: "Bucket", name: "c" } } }), []],
    [
      INGRESS,
      { spec: {} },
      ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
    ],
    [
      INGRESS,
      { spec: { rules: [{ host: "10.1.2.3", http: {} }, { host: "a.*" }] } },
      [
        'spec.rules[0].host: Invalid value: "10.1.2.3": must be a DNS name, not an IP address',
        "spec.rules[0].http.paths: Required value",
        expect.stringContaining(
          `spec.rules[1].host: Invalid value: "a.*": a wildcard DNS-1123 subdomain must start with '*.', followed by`,
        ),
      ],
    ],
    [INGRESS, path({ pathType: undefined }), [`${AT}.pathType: Required value: pathType must be specified`]],
    [
      INGRESS,
      path({ pathType: "Regex" }),
      [
        `${AT}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
      ],
    ],
    [
      INGRESS,
      path({ path: "a//b/.." }),
      [
        `${AT}.path: Invalid value: "a//b/..": must be an absolute path`,
        `${AT}.path: Invalid value: "a//b/..": must not contain '//'`,
        `${AT}.path: Invalid value: "a//b/..": cannot end with '/..'`,
      ],
    ],
    [
      INGRESS,
      path({ backend: {} }),
      [`${AT}.backend: Invalid value: "": resource or service backend is required`],
    ],
    [
      INGRESS,
      path({ backend: { service: { name: "Web", port: { name: "http", number: 80 } } } }),
      [
        expect.stringContaining(
          `${AT}.backend.service.name: Invalid value: "Web": a DNS-1035 label must consist of`,
        ),
        `${AT}.backend: Invalid value: "": cannot set both port name & port number`,
      ],
    ],
    [
      INGRESS,
      path({ backend: { service: {} } }),
      [
        `${AT}.backend.service.name: Required value`,
        `${AT}.backend: Required value: port name or number is required`,
      ],
    ],
    [
      INGRESS,
      path({ backend: { ...backend, resource: { kind: "a", name: "b" } } }),
      [`${AT}.backend: Invalid value: "": cannot set both resource and service backends`],
    ],
  ]);

  test("say their class twice alike, or are refused when they are made", () => {
    const twice = {
      ...objectOf(INGRESS, { spec: { defaultBackend: backend, ingressClassName: "a" } }),
      metadata: { name: "x", namespace: "shop", annotations: { "kubernetes.io/ingress.class": "b" } },
    };
    expect(faultsOfNew(twice)).toEqual([
      'annotations.kubernetes.io/ingress.class: Invalid value: "b": must match `ingressClassName` when both are specified',
    ]);
    expect(faultsOfChange(twice, twice)).toEqual([]);
  });

  test("belong to classes whose controller stays", () => {
    const of = (spec: object) => ({
      ...objectOf("networking.k8s.io/v1 IngressClass", { spec }),
      metadata: { name: "x" },
    });
    const good = of({ controller: "acme.io/foo" });
    expect(faultsOfChange(good, good)).toEqual([]);
    expect(faultsOfChange(of({ controller: "acme" }), good)).toEqual([
      'spec.controller: Invalid value: "acme": must be a domain-prefixed path (such as "acme.io/foo")',
      'spec.controller: Invalid value: "acme": field is immutable',
    ]);
    const parameters = { kind: "Config", name: "c", scope: "Namespace" };
    expect(faultsOfChange(of({ controller: "acme.io/foo", parameters }), good)).toEqual([
      "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
    ]);
  });
});

describe("NetworkPolicies", () => {
  const rule = (rest: object) => ({ spec: { podSelector: {}, ingress: [rest] } });
  const block = (cidr: string, ...except: string[]) => rule({ from: [{ ipBlock: { cidr, except } }] });
  const AT = "spec.ingress[0]";
  check([
    [POLICY, { spec: { podSelector: {} } }, []],
    [
      POLICY,
      rule({ from: [{ podSelector: {}, namespaceSelector: {} }], ports: [{ port: 1, endPort: 2 }] }),
      [],
    ],
    [POLICY, block("10.0.0.0/8", "10.1.0.0/16"), []],
    [POLICY, block("2001:db8::/32", "2001:db8:1::/48"), []],
    [POLICY, rule({ from: [{}] }), [`${AT}.from[0]: Required value: must specify a peer`]],
    [
      POLICY,
      rule({ from: [{ podSelector: {}, ipBlock: { cidr: "10.0.0.0/8" } }] }),
      [`${AT}.from[0]: Forbidden: may not specify both ipBlock and another peer`],
    ],
    [POLICY, block(""), [`${AT}.from[0].ipBlock.cidr: Required value`]],
    [
      POLICY,
      block("10.0.0.0/33"),
      [
        `${AT}.from[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`,
      ],
    ],
    [
      POLICY,
      block("10.0.0.0/8", "11.0.0.0/16", "10.0.0.0/8", "2001:db8::/64"),
      [
        `${AT}.from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of \`cidr\``,
        `${AT}.from[0].ipBlock.except[1]: Invalid value: "10.0.0.0/8": must be a strict subset of \`cidr\``,
        `${AT}.from[0].ipBlock.except[2]: Invalid value: "2001:db8::/64": must be a strict subset of \`cidr\``,
      ],
    ],
    [
      POLICY,
      rule({
        ports: [
          { protocol: "ICMP", port: 0 },
          { port: "http", endPort: 3 },
          { endPort: 3 },
          { port: 9, endPort: 3 },
        ],
      }),
      [
        `${AT}.ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`,
        `${AT}.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive`,
        `${AT}.ports[1].endPort: Invalid value: 3: may not be specified when \`port\` is non-numeric`,
        `${AT}.ports[2].endPort: Invalid value: 3: may not be specified when \`port\` is not specified`,
        `${AT}.ports[3].endPort: Invalid value: 3: must be greater than or equal to \`port\``,
      ],
    ],
    [
      POLICY,
      { spec: { podSelector: {}, policyTypes: ["Ingress", "Both"] } },
      ['spec.policyTypes[1]: Unsupported value: "Both": supported values: "Ingress", "Egress"'],
    ],
  ]);
});

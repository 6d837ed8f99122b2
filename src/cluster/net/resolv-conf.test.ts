import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type DnsOfCluster,
  formatResolvConf,
  parseResolvConf,
  podResolvConf,
  withoutLoopback,
} from "./resolv-conf.ts";

const DNS: DnsOfCluster = {
  clusterDNS: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  host: { nameservers: ["192.0.2.1"], searches: ["corp.example"], options: ["edns0"] },
};
type PodSpecOfDns = Parameters<typeof podResolvConf>[0]["spec"];

const CLUSTER_TEXT = `search shop.svc.cluster.local svc.cluster.local cluster.local corp.example
nameserver 10.96.0.10
options ndots:5
`;
const HOST_TEXT = "search corp.example\nnameserver 192.0.2.1\noptions edns0\n";

const POLICIES: readonly { spec: PodSpecOfDns; text: string }[] = [
  { spec: {}, text: CLUSTER_TEXT },
  { spec: { dnsPolicy: "ClusterFirst" }, text: CLUSTER_TEXT },
  { spec: { dnsPolicy: "ClusterFirst", hostNetwork: true }, text: HOST_TEXT },
  { spec: { dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true }, text: CLUSTER_TEXT },
  { spec: { dnsPolicy: "Default" }, text: HOST_TEXT },
  { spec: { dnsPolicy: "None", dnsConfig: { nameservers: ["1.1.1.1"] } }, text: "nameserver 1.1.1.1\n" },
];

test.each(POLICIES)("dnsPolicy as in $spec asks the right resolver [N2, N6]", ({ spec, text }) => {
  expect(podResolvConf({ namespace: "shop", spec }, DNS)).toEqual({ text, warnings: [] });
});

test("dnsConfig is appended without duplicates, and its options win by name [N6]", () => {
  const dnsConfig = {
    nameservers: ["10.96.0.10", "1.1.1.1"],
    searches: ["cluster.local", "more.example"],
    options: [{ name: "ndots", value: "2" }, { name: "rotate" }],
  };
  expect(podResolvConf({ namespace: "shop", spec: { dnsConfig } }, DNS).text).toBe(
    `search shop.svc.cluster.local svc.cluster.local cluster.local corp.example more.example
nameserver 10.96.0.10
nameserver 1.1.1.1
options ndots:2 rotate
`,
  );
});

test("without a cluster DNS the node's resolver is used and the pod gets the kubelet's warning", () => {
  const { text, warnings } = podResolvConf({ namespace: "shop", spec: {} }, { ...DNS, clusterDNS: [] });
  expect(text).toBe(HOST_TEXT);
  expect(warnings.map(({ reason }) => reason)).toEqual(["MissingClusterDNS"]);
});

test("more than 3 nameservers or 32 search paths are cut with the kubelet's words [N7]", () => {
  const dnsConfig = {
    nameservers: ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4"],
    searches: Array.from({ length: 33 }, (_, index) => `s${index}`),
  };
  const { text, warnings } = podResolvConf(
    { namespace: "shop", spec: { dnsPolicy: "None", dnsConfig } },
    DNS,
  );
  const kept = dnsConfig.searches.slice(0, 32).join(" ");
  expect(text).toBe(`search ${kept}\nnameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\n`);
  expect(warnings.map(({ message }) => message)).toEqual([
    "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.0.0.1 1.0.0.2 1.0.0.3",
    `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${kept}`,
  ]);
});

test("the search line never exceeds its limits, and shorter lists are left alone [N7]", () => {
  const paths = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,300}$/), { maxLength: 40 });
  fc.assert(
    fc.property(paths, (searches) => {
      const spec = { dnsPolicy: "None", dnsConfig: { searches } };
      const { text, warnings } = podResolvConf({ namespace: "shop", spec }, DNS);
      const kept = parseResolvConf(text).searches;
      expect(kept.length).toBeLessThanOrEqual(32);
      expect(kept.join(" ").length).toBeLessThanOrEqual(2048);
      expect(kept.length === searches.length).toBe(warnings.length === 0);
    }),
  );
});

test("parseResolvConf() reads what people write", () => {
  const text =
    "# made by hand\nsearch old.example\nnameserver 192.0.2.1 \n\tnameserver ::1\nnameserver\nsearch a.example. a.example .\noptions a b:1\noptions b:2\nsortlist x\n";
  expect(parseResolvConf(text)).toEqual({
    nameservers: ["192.0.2.1", "::1"],
    searches: ["a.example", "."],
    options: ["a", "b:2"],
  });
});

test("what formatResolvConf() writes, parseResolvConf() reads", () => {
  expect(parseResolvConf(formatResolvConf(DNS.host))).toEqual(DNS.host);
});

test("withoutLoopback() drops resolvers that live on this machine's loopback", () => {
  const settings = { nameservers: ["127.0.0.53", "::1", "192.0.2.1"], searches: [], options: [] };
  expect(withoutLoopback(settings).nameservers).toEqual(["192.0.2.1"]);
});

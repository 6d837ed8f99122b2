import { describe, expect, test } from "bun:test";
import { viewOf } from "./cluster-view.ts";
import { dnsCluster } from "./dns-cluster.test-support.ts";
import { CLASS_IN, type RecordValue, TYPE } from "./dns-message.ts";
import { nameOf } from "./domain-name.ts";
import { resolveClusterName } from "./resolve-cluster-name.ts";

const zone = {
  domain: nameOf("cluster.local"),
  serverIp: "10.96.0.10",
  ranges: [
    { base: 0x0a_60_00_00, prefixLength: 16 },
    { base: 0x0a_f4_00_00, prefixLength: 16 },
  ],
};
const view = viewOf(dnsCluster());

function ask(name: string, type: keyof typeof TYPE | number = "A") {
  const number = typeof type === "number" ? type : TYPE[type];
  return resolveClusterName({ name: nameOf(name), type: number, class: CLASS_IN }, zone, view);
}

/** The answers' values in one line each, or what the answer is instead. */
function said(name: string, type: keyof typeof TYPE | number = "A"): readonly string[] | string {
  const found = ask(name, type);
  if (found.kind === "outside") return "outside";
  const values = found.answers.map(({ value }) => spelled(value));
  if (found.kind === "alias") return [...values, `then ${found.target.join(".")}`];
  if (values.length > 0) return values;
  expect(found.authorities.map(({ type: kind }) => kind)).toEqual([TYPE.SOA]);
  return found.exists ? "no data" : "no name";
}

function spelled(value: RecordValue): string {
  switch (value.kind) {
    case "address":
      return value.bytes.join(value.bytes.length === 4 ? "." : ",");
    case "name":
      return value.target.join(".");
    case "service":
      return `${value.priority} ${value.weight} ${value.port} ${value.target.join(".")}`;
    case "texts":
      return value.texts.join("|");
    case "bytes":
      return value.bytes.join(",");
    case "authority":
    default:
      return value.server.join(".");
  }
}

describe("names of Services", () => {
  test.each([
    ["web.default.svc.cluster.local", ["10.96.7.7"]],
    ["WEB.Default.SVC.cluster.LOCAL", ["10.96.7.7"]],
    ["web.other.svc.cluster.local", "no name"],
    ["web.nowhere.svc.cluster.local", "no name"],
    ["other.svc.cluster.local", "no data"],
    ["nowhere.svc.cluster.local", "no name"],
    ["svc.cluster.local", "no data"],
    ["cluster.local", "no data"],
    ["web.cluster.local", "no name"],
    ["a.b.c.web.default.svc.cluster.local", "no name"],
    ["www.example.com.default.svc.cluster.local", "no name"],
    ["web.default.svc", "outside"],
    ["cluster.locals", "outside"],
    [".", "outside"],
  ])("[SV8] %s", (name, answer) => {
    expect(said(name)).toEqual(answer);
  });

  test("[SV8] what has no IPv6 address exists all the same, and what does not exist does so for every type", () => {
    expect(said("web.default.svc.cluster.local", "AAAA")).toBe("no data");
    expect(said("web.default.svc.cluster.local", 65)).toBe("no data");
    expect(said("nobody.default.svc.cluster.local", "AAAA")).toBe("no name");
    expect(said("nobody.default.svc.cluster.local", 65)).toBe("no name");
  });

  test("[SV6] headless ones have the addresses of endpoints that are ready", () => {
    expect(said("db.default.svc.cluster.local")).toEqual(["10.244.0.5", "10.244.0.6"]);
    expect(said("db.default.svc.cluster.local", "AAAA")).toBe("no data");
    expect(said("six.default.svc.cluster.local", "AAAA")).toEqual(["253,0,0,0,0,0,0,0,0,0,0,0,0,0,0,6"]);
    expect(said("six.default.svc.cluster.local")).toBe("no data");
    expect(said("empty.default.svc.cluster.local")).toBe("no name");
  });

  test("[SV6] pods behind them have names: their hostname, else their address", () => {
    expect(said("db-0.db.default.svc.cluster.local")).toEqual(["10.244.0.5"]);
    expect(said("10-244-0-6.db.default.svc.cluster.local")).toEqual(["10.244.0.6"]);
    expect(said("10-244-0-5.db.default.svc.cluster.local")).toBe("no name");
    expect(said("db-2.db.default.svc.cluster.local")).toBe("no name");
    expect(said("one.web.default.svc.cluster.local")).toEqual(["10.244.0.20"]);
  });

  test("[SV8] SRV records tell port and target, and come with the target's address", () => {
    const web = "web.default.svc.cluster.local";
    expect(said(`_http._tcp.${web}`, "SRV")).toEqual([`0 100 80 ${web}`]);
    expect(said(`_quic._udp.${web}`, "SRV")).toEqual([`0 100 443 ${web}`]);
    expect(said(web, "SRV")).toEqual([`0 100 80 ${web}`, `0 100 443 ${web}`]);
    expect(said(`_http._udp.${web}`, "SRV")).toBe("no name");
    expect(said(`_http._tcp.${web}`)).toBe("no data");
    expect(said(`_tcp.${web}`, "SRV")).toBe("no data");
    expect(said(`_sctp.${web}`, "SRV")).toBe("no name");
    const db = "db.default.svc.cluster.local";
    expect(said(`_sql._tcp.${db}`, "SRV")).toEqual([`0 100 5432 db-0.${db}`, `0 100 5432 10-244-0-6.${db}`]);
    const found = ask(`_sql._tcp.${db}`, "SRV");
    expect(
      found.kind === "answer" && found.additionals.map(({ name, value }) => [name[0], spelled(value)]),
    ).toEqual([
      ["db-0", "10.244.0.5"],
      ["10-244-0-6", "10.244.0.6"],
    ]);
  });

  test("[SV7] ExternalName is an alias: of a name outside, of another Service, never for ever", () => {
    expect(said("outside.default.svc.cluster.local")).toEqual(["www.example.com", "then www.example.com"]);
    expect(said("outside.default.svc.cluster.local", "CNAME")).toEqual(["www.example.com"]);
    expect(said("inside.default.svc.cluster.local")).toEqual(["web.default.svc.cluster.local", "10.96.7.7"]);
    expect(said("inside.default.svc.cluster.local", "AAAA")).toEqual(["web.default.svc.cluster.local"]);
    expect(said("circle.default.svc.cluster.local")).toHaveLength(9);
    expect(said("broken.default.svc.cluster.local")).toBe("no name");
    expect(said("x.outside.default.svc.cluster.local")).toBe("no name");
  });
});

test.each([
  ["10-244-0-5.default.pod.cluster.local", ["10.244.0.5"]],
  ["10-244-0-5.nowhere.pod.cluster.local", "no name"],
  ["10-244-0-999.default.pod.cluster.local", "no name"],
  ["x.10-244-0-5.default.pod.cluster.local", "no name"],
  ["default.pod.cluster.local", "no data"],
  ["pod.cluster.local", "no data"],
])("names of pods: %s", (name, answer) => {
  expect(said(name)).toEqual(answer);
});

test.each([
  ["7.7.96.10.in-addr.arpa", ["web.default.svc.cluster.local"]],
  ["5.0.244.10.in-addr.arpa", ["db-0.db.default.svc.cluster.local"]],
  ["6.0.244.10.IN-ADDR.ARPA", ["10-244-0-6.db.default.svc.cluster.local"]],
  ["7.0.244.10.in-addr.arpa", "no name"],
  ["20.0.244.10.in-addr.arpa", "no name"],
  ["8.8.8.8.in-addr.arpa", "outside"],
  ["96.10.in-addr.arpa", "outside"],
])("names of addresses: %s", (name, answer) => {
  expect(said(name, "PTR")).toEqual(answer);
});

test("the zone tells about itself", () => {
  expect(said("dns-version.cluster.local", "TXT")).toEqual(["1.1.0"]);
  expect(said("cluster.local", "SOA")).toEqual(["ns.dns.cluster.local"]);
  expect(said("cluster.local", "NS")).toEqual(["ns.dns.cluster.local"]);
  expect(said("ns.dns.cluster.local")).toEqual(["10.96.0.10"]);
  expect(said("dns.cluster.local")).toBe("no data");
  expect(said("web.default.svc.cluster.local", "ANY")).toHaveLength(3);
});

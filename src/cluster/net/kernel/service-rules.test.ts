import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ServiceRoute } from "../../../k8s/service-routes.ts";
import { parseIpv4Range } from "../../../lib/ipv4.ts";
import {
  changeRules,
  emptyTable,
  LOST_DATAGRAMS,
  NO_RULES,
  type ServiceRules,
  serviceRules,
  staleConnections,
} from "./service-rules.ts";

const NODE = "10.244.0.1";

function rulesOf(routes: readonly ServiceRoute[]): ServiceRules {
  return serviceRules(routes, NODE);
}

function route(more: Partial<ServiceRoute> = {}): ServiceRoute {
  return {
    service: "default/shop",
    portName: "http",
    protocol: "TCP",
    clusterIP: "10.96.0.9",
    port: 80,
    endpoints: [{ ip: "10.244.0.2", port: 8080 }],
    ...more,
  };
}

function change(from: readonly ServiceRoute[], to: readonly ServiceRoute[]): string[] {
  return changeRules(rulesOf(from), rulesOf(to)).map((line) => line.replace("ip pillion-services ", ""));
}

describe("changeRules()", () => {
  test("a Service with an endpoint", () => {
    expect(change([], [route()])).toEqual([
      "add chain tcp-10.96.0.9-80-10.244.0.2-8080",
      "add chain tcp-10.96.0.9-80",
      "add rule tcp-10.96.0.9-80-10.244.0.2-8080 meta l4proto tcp dnat to 10.244.0.2:8080",
      "add rule tcp-10.96.0.9-80 numgen random mod 1 vmap { 0 : goto tcp-10.96.0.9-80-10.244.0.2-8080 }",
      "add element services { 10.96.0.9 . tcp . 80 : goto tcp-10.96.0.9-80 }",
      "add element endpoints { 10.244.0.2 . 10.244.0.2 }",
    ]);
  });

  test("a node port leads from the node's address to the same endpoints [SV5]", () => {
    expect(change([route()], [route({ nodePort: 31_001 })])).toEqual([
      "add element services { 10.244.0.1 . tcp . 31001 : goto tcp-10.96.0.9-80 }",
    ]);
  });

  test("no endpoints, and protocols that nobody carries: nothing, so that the node refuses", () => {
    expect(change([], [route({ endpoints: [] }), route({ protocol: "SCTP" })])).toEqual([]);
  });

  test("another endpoint changes one chain and leaves the choices of clients alone [SV3]", () => {
    const sticky = { affinitySeconds: 60 };
    const endpoints = [
      { ip: "10.244.0.2", port: 8080 },
      { ip: "10.244.0.3", port: 8080 },
    ];
    expect(change([route(sticky)], [route({ ...sticky, endpoints })])).toEqual([
      "add set tcp-10.96.0.9-80-10.244.0.3-8080-60s { type ipv4_addr; flags dynamic,timeout; timeout 60s; }",
      "add chain tcp-10.96.0.9-80-10.244.0.3-8080",
      "add rule tcp-10.96.0.9-80-10.244.0.3-8080 update @tcp-10.96.0.9-80-10.244.0.3-8080-60s { ip saddr }",
      "add rule tcp-10.96.0.9-80-10.244.0.3-8080 meta l4proto tcp dnat to 10.244.0.3:8080",
      "flush chain tcp-10.96.0.9-80",
      "add rule tcp-10.96.0.9-80 ip saddr @tcp-10.96.0.9-80-10.244.0.2-8080-60s goto tcp-10.96.0.9-80-10.244.0.2-8080",
      "add rule tcp-10.96.0.9-80 ip saddr @tcp-10.96.0.9-80-10.244.0.3-8080-60s goto tcp-10.96.0.9-80-10.244.0.3-8080",
      "add rule tcp-10.96.0.9-80 numgen random mod 2 vmap { 0 : goto tcp-10.96.0.9-80-10.244.0.2-8080, 1 : goto tcp-10.96.0.9-80-10.244.0.3-8080 }",
      "add element endpoints { 10.244.0.3 . 10.244.0.3 }",
    ]);
  });

  test("the last endpoint goes, and with it all that led there", () => {
    expect(change([route()], [route({ endpoints: [] })])).toEqual([
      "delete element services { 10.96.0.9 . tcp . 80 : goto tcp-10.96.0.9-80 }",
      "delete element endpoints { 10.244.0.2 . 10.244.0.2 }",
      "flush chain tcp-10.96.0.9-80-10.244.0.2-8080",
      "flush chain tcp-10.96.0.9-80",
      "delete chain tcp-10.96.0.9-80-10.244.0.2-8080",
      "delete chain tcp-10.96.0.9-80",
    ]);
  });

  test("after any history the table is as if it had been made anew, and no step is one that the kernel refuses", () => {
    fc.assert(
      fc.property(fc.array(anyRoutes(), { minLength: 1, maxLength: 6 }), (history) => {
        const table = new Table();
        let known = NO_RULES;
        for (const routes of history) {
          const next = rulesOf(routes);
          table.run(changeRules(known, next));
          known = next;
        }
        const anew = new Table();
        anew.run(changeRules(NO_RULES, known));
        expect(table.shown()).toEqual(anew.shown());
        expect(changeRules(known, rulesOf(history.at(-1) ?? []))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("staleConnections()", () => {
  const dns = (...ips: string[]) =>
    rulesOf([route({ protocol: "UDP", port: 53, endpoints: ips.map((ip) => ({ ip, port: 53 })) })]);

  test("datagrams to an endpoint that has gone begin anew, others do not", () => {
    const stale = staleConnections(dns("10.244.0.2", "10.244.0.3"), dns("10.244.0.3"));
    expect(stale).toEqual([dns("10.244.0.2").marks.values().next().value ?? LOST_DATAGRAMS]);
    expect(stale).not.toContainEqual([...dns("10.244.0.3").marks.values()][0]);
  });

  test("datagrams that had nowhere to go begin anew once there is somebody", () => {
    expect(staleConnections(dns(), dns("10.244.0.2"))).toEqual([LOST_DATAGRAMS]);
  });

  test("TCP is never disturbed", () => {
    expect(staleConnections(rulesOf([route()]), rulesOf([]))).toEqual([]);
  });
});

test("emptyTable() begins with what works whether or not the table is there", () => {
  const range = parseIpv4Range("10.96.0.0/16") ?? { base: 0, prefixLength: 0 };
  const [first, second, third] = emptyTable({ services: range, nodeIP: NODE });
  expect([first, second, third]).toEqual([
    "add table ip pillion-services",
    "delete table ip pillion-services",
    "add table ip pillion-services",
  ]);
});

function anyRoutes(): fc.Arbitrary<ServiceRoute[]> {
  const endpoint = fc.record({
    ip: fc.constantFrom("10.244.0.2", "10.244.0.3", "10.244.0.4"),
    port: fc.constantFrom(80, 8080),
  });
  return fc.array(
    fc
      .record({
        clusterIP: fc.constantFrom("10.96.0.9", "10.96.0.10"),
        protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
        affinitySeconds: fc.constantFrom(undefined, 60, 10_800),
        nodePort: fc.constantFrom(undefined, 31_001, 31_002),
        endpoints: fc.uniqueArray(endpoint, { maxLength: 4, selector: ({ ip, port }) => `${ip}:${port}` }),
      })
      .map(({ affinitySeconds, nodePort, ...more }) =>
        route({
          ...more,
          ...(affinitySeconds !== undefined && { affinitySeconds }),
          ...(nodePort !== undefined && { nodePort }),
        }),
      ),
    { maxLength: 5 },
  );
}

/** Does what nft(8) would, and refuses what the kernel would refuse. */
class Table {
  readonly #sets = new Map<string, Set<string>>([
    ["services", new Set()],
    ["endpoints", new Set()],
  ]);
  readonly #chains = new Map<string, string[]>();

  run(lines: readonly string[]): void {
    for (const line of lines) {
      const [verb = "", kind = "", , , name = "", ...rest] = line.split(" ");
      this.#step(`${verb} ${kind}`, name, rest.join(" "));
    }
  }

  shown(): unknown {
    const sorted = <T>(map: ReadonlyMap<string, T>) => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const sets = sorted(this.#sets).map(([name, values]) => [name, [...values].toSorted()]);
    return { sets, chains: sorted(this.#chains) };
  }

  #step(what: string, name: string, rest: string): void {
    const values = rest.slice(2, -2).split(", ");
    const chain = this.#chains.get(name);
    const set = this.#sets.get(name);
    if (what === "add set" && set === undefined) this.#sets.set(name, new Set([rest]));
    else if (what === "add chain" && chain === undefined) this.#chains.set(name, []);
    else if (what === "add rule" && chain !== undefined && this.#knows(rest)) chain.push(rest);
    else if (what === "flush chain" && chain !== undefined) chain.length = 0;
    else if (what === "delete chain" && chain?.length === 0 && !this.#isUsed(name)) this.#chains.delete(name);
    else if (what === "delete set" && set !== undefined && !this.#isUsed(name)) this.#sets.delete(name);
    else if (
      what === "add element" &&
      values.every((value) => set?.has(value) === false && this.#knows(value))
    )
      for (const value of values) set?.add(value);
    else if (what === "delete element" && values.every((value) => set?.delete(value) === true)) return;
    else throw new Error(`The kernel refuses: ${what} ${name} ${rest}`);
  }

  #knows(rule: string): boolean {
    const chains = [...rule.matchAll(/goto ([^ ,]+)/g)].every(([, name = ""]) => this.#chains.has(name));
    return chains && [...rule.matchAll(/@([^ ]+)/g)].every(([, name = ""]) => this.#sets.has(name));
  }

  #isUsed(name: string): boolean {
    const texts = [...this.#chains.values(), ...this.#sets.values()].flatMap((each) => [...each]);
    return texts.some((text) => text.split(/[ ,]/).some((word) => word === name || word === `@${name}`));
  }
}

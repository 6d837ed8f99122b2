import { describe, expect, test } from "bun:test";
import { type ExternalWish, findExternalAddress, ingressOf } from "./load-balancer-address.ts";
import type { Address } from "./service-network.ts";

const WISH: ExternalWish = {
  service: "default/shop",
  ports: [{ protocol: "TCP", port: 80 }],
  preferred: [],
  isTaken: () => false,
};

/** `codes`: by `IP:PORT`, `*:PORT` or `IP:*`. */
function machine(codes: Readonly<Record<string, string>>) {
  return (_protocol: "TCP" | "UDP", { ip, port }: Address) =>
    Promise.resolve(codes[`${ip}:${port}`] ?? codes[`*:${port}`] ?? codes[`${ip}:*`]);
}

async function find(codes: Readonly<Record<string, string>>, more: Partial<ExternalWish> = {}) {
  const found = await findExternalAddress(machine(codes), { ...WISH, ...more });
  return found?.ports.map(({ protocol, at }) => `${protocol} ${at.ip}:${at.port}`);
}

const OWN = /^TCP 127\.1\.\d+\.\d+:80$/;

describe("findExternalAddress()", () => {
  test("takes 127.0.0.1 where the port is free, else an address of the Service's own, the same each time [SV5]", async () => {
    expect(await find({})).toEqual(["TCP 127.0.0.1:80"]);
    const [own = ""] = (await find({ "127.0.0.1:80": "EADDRINUSE" })) ?? [];
    expect(own).toMatch(OWN);
    expect(await find({ "127.0.0.1:80": "EADDRINUSE" })).toEqual([own]);
    const taken = own.slice("TCP ".length);
    const [next = ""] = (await find({ "127.0.0.1:80": "EADDRINUSE", [taken]: "EADDRINUSE" })) ?? [];
    expect(next).toMatch(OWN);
    expect(next).not.toBe(own);
  });

  test("counts what other Services have, also where nobody listens yet", async () => {
    const isTaken = (_: string, { ip }: Address) => ip === "127.0.0.1";
    expect((await find({}, { isTaken }))?.[0]).toMatch(OWN);
  });

  test("takes the next free port from 8000 on where it may not be bound", async () => {
    const ports = [
      { protocol: "TCP", port: 80 },
      { protocol: "TCP", port: 443 },
      { protocol: "UDP", port: 53 },
      { protocol: "TCP", port: 8001 },
    ] as const;
    const codes = { "*:80": "EACCES", "*:443": "EACCES", "*:53": "EACCES", "127.0.0.1:8000": "EADDRINUSE" };
    expect(await find(codes, { ports })).toEqual([
      "TCP 127.0.0.1:8002",
      "TCP 127.0.0.1:8003",
      "UDP 127.0.0.1:8001",
      "TCP 127.0.0.1:8001",
    ]);
  });

  test("has all ports at one address", async () => {
    const ports = [
      { protocol: "TCP", port: 80 },
      { protocol: "TCP", port: 81 },
    ] as const;
    const found = (await find({ "127.0.0.1:81": "EADDRINUSE" }, { ports })) ?? [];
    expect(new Set(found.map((each) => each.split(":")[0])).size).toBe(1);
    expect(found[0]).toMatch(OWN);
  });

  test("moves ports where another program has them on all addresses, and gives up without a free one", async () => {
    expect(await find({ "*:80": "EADDRINUSE" })).toEqual(["TCP 127.0.0.1:8000"]);
    const nothing = await findExternalAddress(() => Promise.resolve("EADDRINUSE"), WISH);
    expect(nothing).toBeUndefined();
  });

  test("prefers what it had and what is asked for, where that is this machine's loopback", async () => {
    expect(await find({}, { preferred: ["192.0.2.1", "junk", "127.9.9.9"] })).toEqual(["TCP 127.9.9.9:80"]);
  });
});

test("ingressOf() names ports when one of them has moved", () => {
  const port = (number: number, at: number) =>
    ({ protocol: "TCP", port: number, at: { ip: "127.0.0.1", port: at } }) as const;
  expect(ingressOf({ ip: "127.0.0.1", ports: [port(8080, 8080)] })).toEqual({
    ip: "127.0.0.1",
    ipMode: "VIP",
  });
  expect(ingressOf({ ip: "127.0.0.1", ports: [port(80, 8000), port(8080, 8080)] })).toEqual({
    ip: "127.0.0.1",
    ipMode: "VIP",
    ports: [
      { port: 8000, protocol: "TCP" },
      { port: 8080, protocol: "TCP" },
    ],
  });
});

import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatIpv4, parseIpv4Range } from "../../lib/ipv4.ts";
import { addressPool } from "./network-addresses.ts";

const range = (text: string) => parseIpv4Range(text) ?? { base: 0, prefixLength: 32 };

test("take() leaves out the network, the gateway and the broadcast address", () => {
  const pool = addressPool(range("10.0.0.0/29"));
  const all = Array.from({ length: 5 }, () => formatIpv4(pool.take().address));
  expect(all).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  expect(() => pool.take()).toThrow("all 5 of 10.0.0.0/29 are in use");
});

test("the address that was freed first comes back first, and only after all fresh ones", () => {
  const pool = addressPool(range("10.0.0.0/29"));
  const [first, second] = [pool.take(), pool.take()];
  for (const { address } of [second, first, first]) pool.free(address);
  const fresh = [pool.take(), pool.take(), pool.take()];
  expect(fresh.map(({ address }) => formatIpv4(address))).toEqual(["10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  expect(fresh.some(({ reused }) => reused)).toBe(false);
  expect([pool.take(), pool.take()]).toEqual([
    { address: second.address, reused: true },
    { address: first.address, reused: true },
  ]);
});

test("an address that a pod of before has is not given out, and after it every one counts as used before", () => {
  const pool = addressPool(range("10.0.0.0/29"));
  const taken = (parseIpv4Range("10.0.0.3/32") ?? { base: 0 }).base;
  pool.adopt(taken);
  const all = Array.from({ length: 4 }, () => pool.take());
  expect(all.map(({ address }) => formatIpv4(address))).toEqual([
    "10.0.0.2",
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.6",
  ]);
  expect(all.every(({ reused }) => reused)).toBe(true);
  expect(() => pool.take()).toThrow("in use");
  pool.free(taken);
  expect(formatIpv4(pool.take().address)).toBe("10.0.0.3");
});

test("a range too small for a pod has no address", () => {
  for (const text of ["10.0.0.0/30", "10.0.0.0/31", "10.0.0.0/32"]) {
    const pool = addressPool(range(text));
    if (text.endsWith("/30")) pool.take();
    expect(() => pool.take()).toThrow("in use");
  }
});

test("no address is out twice, whatever is taken and freed", () => {
  const steps = fc.array(fc.oneof(fc.constant("take" as const), fc.nat({ max: 20 })), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (sequence) => {
      const pool = addressPool(range("10.0.0.0/28"));
      const out: number[] = [];
      for (const step of sequence) {
        if (step !== "take") {
          const [freed] = out.splice(step, 1);
          if (freed !== undefined) pool.free(freed);
        } else if (out.length < 13) {
          const { address } = pool.take();
          expect(out).not.toContain(address);
          out.push(address);
        } else {
          expect(() => pool.take()).toThrow("in use");
        }
      }
    }),
  );
});

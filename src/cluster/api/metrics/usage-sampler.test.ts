import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../testing/manual-clock.ts";
import type { KubeletPort } from "../../kubelet/port.ts";
import { type Measured, usageSampler } from "./usage-sampler.ts";

type Usage = ReturnType<KubeletPort["usage"]>;

/** A node whose one container uses a quarter of a CPU, and how often it was asked. */
function nodeOf(clock: ManualClock, restartAt = Number.POSITIVE_INFINITY) {
  const node = {
    calls: 0,
    containers: ["main"],
    memoryBytes: 1_000,
    usage(): Usage {
      node.calls += 1;
      const now = clock.monotonic();
      const since = now >= restartAt ? now - restartAt : now + 10_000;
      const use = { cpuNanoseconds: since * 250_000, memoryBytes: node.memoryBytes, measuredAt: clock.now() };
      const containers = node.containers.map((name) => ({ name, ...use }));
      return { node: use, pods: [{ namespace: "default", name: "p", containers }] };
    },
  };
  return node;
}

/** Lets the sampler get to its wait, then ends the wait. */
async function measured(asked: Promise<Measured>, clock: ManualClock): Promise<Measured> {
  await Promise.resolve();
  clock.advance(250);
  return await asked;
}

describe("usageSampler()", () => {
  test("measures twice for the first question, then from the last one on", async () => {
    const clock = new ManualClock();
    const node = nodeOf(clock);
    const measure = usageSampler(node, clock);
    const first = await measured(measure(), clock);
    const rate = { cpuNanocores: 250_000_000, memoryBytes: 1_000 };
    const pods = [{ namespace: "default", name: "p", containers: [{ name: "main", ...rate }] }];
    expect(first).toEqual({ at: clock.now(), window: 250, node: rate, pods });
    clock.advance(4_000);
    expect(await measure()).toEqual({ at: clock.now(), window: 4_000, node: rate, pods });
    expect([node.calls, clock.pending]).toEqual([3, 0]);
  });

  test("does not average over what was long ago", async () => {
    const clock = new ManualClock();
    const measure = usageSampler(nodeOf(clock), clock);
    await measured(measure(), clock);
    clock.advance(600_000);
    expect((await measured(measure(), clock)).window).toBe(250);
  });

  test("answers those who ask at the same time together", async () => {
    const clock = new ManualClock();
    const node = nodeOf(clock);
    const measure = usageSampler(node, clock);
    const [one, two] = [measure(), measure()];
    expect(await measured(one, clock)).toBe(await two);
    expect(node.calls).toBe(2);
  });

  test("has a true rate for what was started again", async () => {
    const clock = new ManualClock();
    const measure = usageSampler(nodeOf(clock, 100), clock);
    const { pods } = await measured(measure(), clock);
    expect(pods[0]?.containers).toEqual([{ name: "main", cpuNanocores: 150_000_000, memoryBytes: 1_000 }]);
  });

  test("leaves out pods until each of their containers has been measured", async () => {
    const clock = new ManualClock();
    const node = nodeOf(clock);
    const measure = usageSampler(node, clock);
    const asked = measure();
    node.containers = ["main", "new"];
    expect((await measured(asked, clock)).pods).toEqual([]);
    clock.advance(250);
    expect((await measure()).pods[0]?.containers).toMatchObject([{ name: "main" }, { name: "new" }]);
    node.memoryBytes = 0;
    clock.advance(250);
    expect((await measure()).pods).toEqual([]);
  });
});

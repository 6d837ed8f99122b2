import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { canRunContainers, openWorld, type TestWorld } from "../container.test-support.ts";
import { parseStat, parseStatus, processUsage } from "./process-usage.ts";

test("parseStat() reads times and parent behind whatever the program calls itself", () => {
  const fields = "S 17 3 3 0 -1 4194560 100 0 0 0 20 10 5 1 20 0 1 0 12345 1000000 300";
  for (const name of ["sh", "a b", ") S 1 1", "(("])
    expect(parseStat(`42 (${name}) ${fields}\n`)).toEqual({ parent: 17, cpuNanoseconds: 360_000_000 });
});

test("parseStatus() counts memory that cannot be dropped, and knows the first process of a namespace", () => {
  const text = (pids: string) =>
    `Name:\tx\nNSpid:\t${pids}\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t  700 kB\nRssShmem:\t  20 kB\n`;
  expect(parseStatus(text("500\t1"))).toEqual({ isFirst: true, memoryBytes: 120 * 1024 });
  expect(parseStatus(text("500\t11"))).toEqual({ isFirst: false, memoryBytes: 120 * 1024 });
  // A process of the kernel has no memory of its own.
  expect(parseStatus("Name:\tkthread\n")).toEqual({ isFirst: false, memoryBytes: 0 });
});

describe.if(canRunContainers())("processUsage()", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  test("sums up all processes of a container, and looks again when a rate is wanted", async () => {
    const clock = new ManualClock();
    const measure = processUsage(clock);
    const argv = [
      "sh",
      "-c",
      "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 1000 & sleep 1000 & echo; wait",
    ];
    const { container, logPath } = await world.start({ argv });
    while (!(await Bun.file(logPath).exists()) || Bun.file(logPath).size === 0) await Bun.sleep(2);
    const use = measure(container.pid);
    expect(use?.cpuNanoseconds).toBeGreaterThanOrEqual(20_000_000);
    // Three processes with a stack and a heap each.
    expect(use?.memoryBytes).toBeGreaterThan(100_000);
    container.kill(9);
    await container.exited;
    expect(measure(container.pid)).toEqual(use);
    // The shortest time between the two looks of a rate: with the first one's numbers it would be zero.
    clock.advance(250);
    expect(measure(container.pid)).toBeUndefined();
    expect(measure(2 ** 30)).toBeUndefined();
  });
});

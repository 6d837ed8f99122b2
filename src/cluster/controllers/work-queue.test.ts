import { expect, test } from "bun:test";
import { StatusError } from "../../k8s/status-error.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { createWorkQueue } from "./work-queue.ts";

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("a key is worked on once however often it is added, and only after the adding code has returned", async () => {
  const done: string[] = [];
  const queue = createWorkQueue(new ManualClock(), (key) => void done.push(key));
  for (const key of ["a", "b", "a"]) queue.add(key);
  expect(done).toEqual([]);
  await settled();
  expect(done).toEqual(["a", "b"]);
  queue.add("a");
  await settled();
  expect(done).toEqual(["a", "b", "a"]);
});

test("work may add keys, its own too", async () => {
  const done: string[] = [];
  const queue = createWorkQueue(new ManualClock(), (key) => {
    done.push(key);
    if (done.length < 3) queue.add(key);
  });
  queue.add("a");
  await settled();
  expect(done).toEqual(["a", "a", "a"]);
});

test("what fails is tried again after pauses that double, and afresh when it is added", async () => {
  const clock = new ManualClock();
  const tries: number[] = [];
  const queue = createWorkQueue(clock, () => {
    tries.push(clock.monotonic());
    throw new StatusError("InternalError", "disk is full");
  });
  queue.add("a");
  for (let step = 0; step < 8; step += 1) {
    await settled();
    clock.advance(100);
  }
  expect(tries).toEqual([0, 100, 300, 700]);
  queue.add("a");
  await settled();
  expect([tries.length, clock.pending]).toEqual([5, 1]);
  queue.stop();
  expect(clock.pending).toBe(0);
});

test("a key whose work takes its time is not worked on twice at once, but again afterwards when it was added meanwhile", async () => {
  const begun: (() => void)[] = [];
  const queue = createWorkQueue(new ManualClock(), async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    begun.push(resolve);
    await promise;
  });
  queue.add("a");
  await settled();
  queue.add("a");
  queue.add("a");
  await settled();
  expect(begun).toHaveLength(1);
  begun[0]?.();
  await settled();
  expect(begun).toHaveLength(2);
  begun[1]?.();
  await settled();
  expect(begun).toHaveLength(2);
});

test("a key that its work adds before the first await waits for the end of that work", async () => {
  const steps: string[] = [];
  const queue = createWorkQueue(new ManualClock(), async (key) => {
    const isFirst = steps.length === 0;
    steps.push("begin");
    if (isFirst) queue.add(key);
    await settled();
    steps.push("end");
  });
  queue.add("a");
  for (let turn = 0; turn < 4; turn++) await settled();
  expect(steps).toEqual(["begin", "end", "begin", "end"]);
});

test("a key that was put off is worked on at the earliest of its times", async () => {
  const clock = new ManualClock();
  const done: number[] = [];
  const queue = createWorkQueue(clock, () => void done.push(clock.monotonic()));
  const start = clock.monotonic();
  queue.addAfter("a", 500);
  queue.addAfter("a", 200);
  queue.addAfter("a", 900);
  clock.advance(1_000);
  await settled();
  expect(done).toHaveLength(1);
  queue.addAfter("a", 100);
  queue.stop();
  clock.advance(1_000);
  await settled();
  expect({ done: done.length, start }).toEqual({ done: 1, start: 0 });
});

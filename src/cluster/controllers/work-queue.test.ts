import { expect, test } from "bun:test";
import { StatusError } from "../../k8s/status-error.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { createWorkQueue } from "./work-queue.ts";

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("a key is worked on once however often it is added, and only after the adding code has returned", async () => {
  const done: string[] = [];
  const queue = createWorkQueue(new ManualClock(), (key) => done.push(key));
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

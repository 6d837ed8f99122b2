import { expect, test } from "bun:test";
import { SharedWork } from "./shared-work.ts";

test("join() starts the work once for all who ask meanwhile, and anew for who asks later", async () => {
  const shared = new SharedWork<number>();
  const gate = Promise.withResolvers<void>();
  let starts = 0;
  const start = async (): Promise<number> => {
    starts += 1;
    await gate.promise;
    return starts;
  };
  const both = Promise.all([shared.join("a", start), shared.join("a", start)]);
  const other = shared.join("b", () => Promise.resolve(9));
  gate.resolve();
  expect([await both, await other, await shared.join("a", start)]).toEqual([[1, 1], 9, 2]);
});

test("join() tells everybody who waits when the work fails, and lets the next try", async () => {
  const shared = new SharedWork<number>();
  const failing = (): Promise<number> => Promise.reject(new Error("no"));
  const results = await Promise.allSettled([shared.join("a", failing), shared.join("a", failing)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await shared.join("a", () => Promise.resolve(1))).toBe(1);
});

test("join() aborts the work only when the last one has gone", async () => {
  const shared = new SharedWork<number>();
  const [first, second] = [new AbortController(), new AbortController()];
  let signal = new AbortController().signal;
  const start = (given: AbortSignal): Promise<number> => {
    signal = given;
    return new Promise((_resolve, reject) =>
      given.addEventListener("abort", () => reject(new Error("stopped"))),
    );
  };
  const waiting = [shared.join("a", start, first.signal), shared.join("a", start, second.signal)];
  first.abort(new Error("one"));
  await expect(waiting[0]).rejects.toThrow("one");
  expect(signal.aborted).toBe(false);
  second.abort(new Error("two"));
  await expect(waiting[1]).rejects.toThrow("two");
  expect(signal.aborted).toBe(true);
  await expect(shared.join("a", start, AbortSignal.abort(new Error("late")))).rejects.toThrow("late");
});

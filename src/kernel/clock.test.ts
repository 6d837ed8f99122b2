import { expect, test } from "bun:test";
import { systemClock } from "./clock.ts";

test("a time that no timer of the runtime can hold is waited for, not over at once", async () => {
  const fired: string[] = [];
  const cancel = systemClock.schedule(2 ** 31, () => fired.push("far"));
  await new Promise<void>((resolve) => {
    systemClock.schedule(5, () => {
      fired.push("near");
      resolve();
    });
  });
  cancel();
  expect(fired).toEqual(["near"]);
});

test("what is cancelled does not come", async () => {
  const fired: string[] = [];
  systemClock.schedule(1, () => fired.push("cancelled"))();
  await new Promise<void>((resolve) => systemClock.schedule(3, resolve));
  expect(fired).toEqual([]);
});

import { expect, test } from "bun:test";
import { BytePipe } from "./byte-pipe.ts";

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  return settled;
}

test("a writer waits as long as more than the limit is unread", async () => {
  const pipe = new BytePipe(4);
  expect(await isSettled(pipe.write(Buffer.alloc(4)))).toBe(true);
  const waiting = pipe.write(Buffer.alloc(3));
  expect(await isSettled(waiting)).toBe(false);
  const reader = pipe[Symbol.asyncIterator]();
  await reader.next();
  // The first chunk counts as read when the reader comes for the next.
  expect(await isSettled(waiting)).toBe(false);
  await reader.next();
  expect(await isSettled(waiting)).toBe(true);
});

test("what was written before the end is read, what comes after is dropped", async () => {
  const pipe = new BytePipe(100);
  void pipe.write(Buffer.from("a"));
  pipe.end();
  await pipe.write(Buffer.from("b"));
  const read: string[] = [];
  for await (const chunk of pipe) read.push(Buffer.from(chunk).toString());
  expect(read).toEqual(["a"]);
});

test("a reader that leaves, and a cancel, let writers go", async () => {
  const left = new BytePipe(0);
  const first = left.write(Buffer.from("a"));
  for await (const _ of left) break;
  expect(await isSettled(first)).toBe(true);
  const cancelled = new BytePipe(0);
  const second = cancelled.write(Buffer.from("a"));
  cancelled.cancel();
  expect(await isSettled(second)).toBe(true);
  expect((await cancelled[Symbol.asyncIterator]().next()).done).toBe(true);
});

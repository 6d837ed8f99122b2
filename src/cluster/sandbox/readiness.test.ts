import { expect, test } from "bun:test";
import { closeSync, writeSync } from "node:fs";
import { ptr } from "bun:ffi";
import { loadLauncher } from "./launcher.ts";
import { O_CLOEXEC, O_NONBLOCK } from "./linux-constants.ts";
import { openReadiness } from "./readiness.ts";

function openPipe(): { readonly from: number; readonly to: number } {
  const ends = new Int32Array(2);
  loadLauncher().call("pipe2", [ptr(ends), O_CLOEXEC | O_NONBLOCK]);
  const [from = -1, to = -1] = ends;
  return { from, to };
}

/** A callback, and promises of its calls. */
function calls(): { readonly onReady: () => void; next(): Promise<void> } {
  let count = 0;
  let seen = 0;
  let wake: (() => void) | undefined;
  return {
    onReady() {
      count += 1;
      wake?.();
    },
    async next() {
      if (count === seen) await new Promise<void>((resolve) => (wake = resolve));
      wake = undefined;
      seen = count;
    },
  };
}

test("watch() tells of the end of a process", async () => {
  const launcher = loadLauncher();
  const readiness = openReadiness(launcher);
  const child = Bun.spawn(["cat"], { stdin: "pipe" });
  const fd = launcher.call("pidfd_open", [child.pid, 0]);
  const ends = calls();
  const stop = readiness.watch(fd, ends.onReady);
  await child.stdin.end();
  await ends.next();
  expect(await child.exited).toBe(0);
  stop();
  closeSync(fd);
  readiness.close();
});

test("watch() tells again when more comes, also while nobody has read what is there", async () => {
  const readiness = openReadiness(loadLauncher());
  const { from, to } = openPipe();
  writeSync(to, "before");
  const reads = calls();
  const stop = readiness.watch(from, reads.onReady);
  await reads.next();
  writeSync(to, "more");
  await reads.next();
  stop();
  writeSync(to, "nobody listens");
  for (const fd of [from, to]) closeSync(fd);
  readiness.close();
  readiness.close();
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { startTimeOf } from "../../lib/process-identity.ts";
import { adoptedExit } from "./adopted-exits.ts";
import { loadLauncher } from "./launcher.ts";
import { openReadiness, type Readiness } from "./readiness.ts";

const launcher = loadLauncher();
let readiness: Readiness;

beforeAll(() => {
  readiness = openReadiness(launcher);
});
afterAll(() => readiness.close());

/** Whether process 1, or a subreaper of the test, reaps at once is not ours to choose: a shell is the parent here. */
function startOrphan(script: string, parent: string) {
  const shell = Bun.spawn(["sh", "-c", `sh -c '${script}' & echo $!; ${parent}`], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  return { shell, pid: readPid(shell.stdout) };
}

async function readPid(stream: ReadableStream<Uint8Array>): Promise<number> {
  const { value } = await stream.getReader().read();
  return Number(Buffer.from(value ?? []).toString());
}

function identityOf(pid: number) {
  return { pid, startTime: startTimeOf(pid) ?? "" };
}

test("a process that nobody reaps tells its exit code, while it ends and afterwards", async () => {
  // `exec sleep` becomes the parent, and never waits.
  const { shell, pid } = startOrphan("exec sleep 1000", "exec sleep 1000");
  const identity = identityOf(await pid);
  const running = adoptedExit({ launcher, readiness }, identity);
  process.kill(identity.pid, "SIGTERM");
  expect(await running).toEqual({ exitCode: 143, signal: 15 });
  expect(readFileSync(`/proc/${identity.pid}/stat`, "utf8")).toContain(") Z ");
  expect(await adoptedExit({ launcher, readiness }, identity)).toEqual({ exitCode: 143, signal: 15 });
  shell.kill();
  await shell.exited;
});

test("a process that somebody reaps tells its exit code where the kernel remembers it, and 137 elsewhere", async () => {
  const { shell, pid } = startOrphan("sleep 0.1; exit 42", "wait; exec sleep 1000");
  const identity = identityOf(await pid);
  const ended = adoptedExit({ launcher, readiness }, identity);
  const [major = 0, minor = 0] = readFileSync("/proc/sys/kernel/osrelease", "utf8").split(".").map(Number);
  const remembers = major > 6 || (major === 6 && minor >= 15);
  const end = await ended;
  // The parent may reap before or after it is looked at.
  expect(remembers ? [42] : [42, 137]).toContain(end.exitCode);
  shell.kill();
  await shell.exited;
});

test("a process that is gone, or whose number is another's, is lost", async () => {
  const shell = Bun.spawn(["true"]);
  await shell.exited;
  expect(await adoptedExit({ launcher, readiness }, { pid: shell.pid, startTime: "1" })).toEqual({
    exitCode: 137,
    isLost: true,
  });
  expect(await adoptedExit({ launcher, readiness }, { pid: process.pid, startTime: "1" })).toEqual({
    exitCode: 137,
    isLost: true,
  });
});

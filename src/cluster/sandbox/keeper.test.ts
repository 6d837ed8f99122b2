import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import { childrenOf } from "../../lib/process-children.ts";
import { startTimeOf } from "../../lib/process-identity.ts";
import { processesOf } from "../../testing/host-snapshot.ts";
import { adoptedExit } from "./adopted-exits.ts";
import { commandKeepers, endKeeping, keepsPods } from "./keeper.ts";
import { findKeepers, findKeptPods } from "./kept-pods.ts";
import { loadLauncher } from "./launcher.ts";
import { reapLeftovers } from "./leftovers.ts";
import { openReadiness } from "./readiness.ts";

const launcher = loadLauncher();
let stateDir = "";

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "pillion-keeper-"));
});
afterEach(async () => {
  await reapLeftovers(stateDir);
  rmSync(stateDir, { recursive: true, force: true });
});

/** A keeper whose engine is a shell script, which prints the pid of a child and is gone. */
async function startKeeper(script: string) {
  const engine = ["/bin/sh", "-c", script];
  const code = `import { becomeKeeper } from ${JSON.stringify(join(import.meta.dirname, "keeper.ts"))};
    import { loadLauncher } from ${JSON.stringify(join(import.meta.dirname, "launcher.ts"))};
    const [stateDir, ...engine] = process.argv.slice(1);
    becomeKeeper({ launcher: loadLauncher(), stateDir, engine, env: { PATH: process.env.PATH } });`;
  const keeper = Bun.spawn([process.execPath, "-e", code, stateDir, ...engine], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = Number(await keeper.stdout.text());
  while (!childrenOf([keeper.pid]).includes(pid)) await Bun.sleep(1);
  return { keeper, pid, keepers: commandKeepers({ launcher, clock: systemClock }, findKeepers(stateDir)) };
}

const exists = (pid: number) => existsSync(`/proc/${pid}`);

test("a keeper inherits what a killed engine leaves, and holds its exit code until it is told", async () => {
  const { keeper, pid, keepers } = await startKeeper(
    "sh -c 'sleep 0.05; exit 42' >/dev/null & echo $!; kill -9 $$",
  );
  const readiness = openReadiness(launcher);
  const identity = { pid, startTime: startTimeOf(pid) ?? "" };
  expect(await adoptedExit({ launcher, readiness }, identity)).toEqual({ exitCode: 42 });
  const isBash = readFileSync("/bin/sh").includes("bash");
  if (!isBash) expect(readFileSync(`/proc/${pid}/stat`, "utf8")).toContain(") Z ");
  keepers.reapSoon();
  keepers.reapSoon();
  while (exists(pid)) await Bun.sleep(1);
  expect(keeper.exitCode).toBeNull();
  keepers.stop();
  expect(await keeper.exited).toBe(0);
  readiness.close();
});

test("killUnknown() ends what was started and not written down, and spares the rest", async () => {
  const { keeper, pid, keepers } = await startKeeper("sleep 1000 >/dev/null & echo $!; kill -9 $$");
  keepers.killUnknown(new Set([pid]));
  expect(readFileSync(`/proc/${pid}/stat`, "utf8")).not.toContain(") Z ");
  keepers.killUnknown(new Set());
  keepers.reapSoon();
  while (exists(pid)) await Bun.sleep(1);
  keepers.stop();
  await keeper.exited;
});

test("a keeper can be found by its state folder, and goes with all that it has when a killed engine is cleared away", async () => {
  const { keeper, pid } = await startKeeper("sleep 1000 >/dev/null & echo $!; kill -9 $$");
  expect(keepsPods(stateDir)).toBe(true);
  // While it becomes another program it has no command line.
  while (processesOf(stateDir).length === 0) await Bun.sleep(1);
  expect(processesOf(stateDir)).toHaveLength(1);
  // Without a node there is nothing to go on with.
  expect(findKeptPods(stateDir)).toBeUndefined();
  endKeeping(stateDir);
  expect(keepsPods(stateDir)).toBe(false);
  await reapLeftovers(stateDir);
  expect(await keeper.exited).toBe(137);
  expect(startTimeOf(pid)).toBeUndefined();
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRunning } from "../../lib/process-identity.ts";
import { openProcessRecords, reapLeftovers, sandboxFolder } from "./leftovers.ts";

let stateDir = "";
const children: Bun.Subprocess[] = [];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "pillion-leftovers-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  rmSync(stateDir, { recursive: true, force: true });
});

function startSleeper(): Bun.Subprocess {
  const child = Bun.spawn(["sleep", "1000"]);
  children.push(child);
  return child;
}
const folder = () => join(sandboxFolder(stateDir), "processes");

test("reapLeftovers() ends exactly the recorded processes and forgets them", async () => {
  const [recorded, other] = [startSleeper(), startSleeper()];
  const identity = openProcessRecords(stateDir).add(recorded.pid, "container web");
  if (identity === undefined) throw new Error("the sleeper ended by itself");
  expect(await reapLeftovers(stateDir)).toEqual({ killed: 1 });
  expect(isRunning(identity)).toBe(false);
  expect(other.exitCode).toBeNull();
  expect(existsSync(folder())).toBe(false);
});

test("a record whose start time does not match spares the process that has the pid now", async () => {
  const sleeper = startSleeper();
  openProcessRecords(stateDir).add(sleeper.pid, "container web");
  const [name = ""] = readdirSync(folder());
  rmSync(join(folder(), name));
  writeFileSync(join(folder(), name.replace(/^\d+-\d+/, `${sleeper.pid}-1`)), "");
  expect(await reapLeftovers(stateDir)).toEqual({ killed: 0 });
  expect(sleeper.exitCode).toBeNull();
});

test("records of another boot, of another pid namespace and files that are none are dropped", async () => {
  const sleeper = startSleeper();
  const identity = openProcessRecords(stateDir).add(sleeper.pid, "x");
  const [name = ""] = readdirSync(folder());
  rmSync(join(folder(), name));
  writeFileSync(join(folder(), name.replace(/[\da-f]{12}$/, "000000000000")), "");
  writeFileSync(join(folder(), name.replace(/^(\d+-\d+)-\d+/, "$1-1")), "");
  writeFileSync(join(folder(), "-1-1-1-x"), "");
  writeFileSync(join(folder(), `0-${identity?.startTime}`), "");
  expect(await reapLeftovers(stateDir)).toEqual({ killed: 0 });
  expect(sleeper.exitCode).toBeNull();
  expect(existsSync(folder())).toBe(false);
});

test("a removed record is not reaped, and an ended process is not recorded", async () => {
  const [kept, ended] = [startSleeper(), startSleeper()];
  const records = openProcessRecords(stateDir);
  const identity = records.add(kept.pid, "pod shop/web");
  if (identity === undefined) throw new Error("the sleeper ended by itself");
  const [name = ""] = readdirSync(folder());
  expect(readFileSync(join(folder(), name), "utf8")).toBe("pod shop/web\n");
  records.remove(identity);
  ended.kill("SIGKILL");
  await ended.exited;
  expect(records.add(ended.pid, "x")).toBeUndefined();
  expect(await reapLeftovers(stateDir)).toEqual({ killed: 0 });
  expect(kept.exitCode).toBeNull();
});

test("a state folder without records is fine, as often as one likes", async () => {
  expect(await reapLeftovers(stateDir)).toEqual({ killed: 0 });
  expect(await reapLeftovers(join(stateDir, "missing"))).toEqual({ killed: 0 });
});

test("records that cannot be read are a problem with a fix", async () => {
  mkdirSync(sandboxFolder(stateDir), { recursive: true });
  writeFileSync(folder(), "not a folder");
  chmodSync(folder(), 0o600);
  expect(reapLeftovers(stateDir)).rejects.toMatchObject({ code: "E_STATE_UNREADABLE" });
});

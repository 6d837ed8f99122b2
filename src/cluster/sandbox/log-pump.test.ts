import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import { watchExits, type Exits } from "./exits.ts";
import { loadLauncher } from "./launcher.ts";
import { openLogPump, type LogPump } from "./log-pump.ts";
import { rotatedLogs } from "./log-file.ts";
import { Program } from "./program.ts";

const launcher = loadLauncher();
const folder = mkdtempSync(join(tmpdir(), "log-pump-"));
let exits: Exits;
let count = 0;

beforeAll(() => {
  exits = watchExits(launcher, systemClock);
});
afterAll(() => {
  exits.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(path?: string): { pump: LogPump; logPath: string; pipes: string; lost: unknown[] } {
  count += 1;
  const pipes = mkdtempSync(join(folder, "pipes-"));
  const logPath = path ?? join(folder, `${count}.log`);
  const lost: unknown[] = [];
  const pump = openLogPump({
    launcher,
    clock: systemClock,
    folder: pipes,
    id: "c",
    logPath,
    uid: 0,
    gid: 0,
    onLost: (error) => lost.push(error),
  });
  return { pump, logPath, pipes, lost };
}

function start(pump: LogPump, script: string): { pid: number; exited: Promise<unknown> } {
  const pid = launcher.start(
    new Program()
      .call("dup3", [pump.stdout, 1, 0])
      .call("dup3", [pump.stderr, 2, 0])
      .call("close_range", [3, 0x7fff_ffff, 0])
      .call("execve", ["/bin/sh", ["sh", "-c", script], ["PATH=/usr/bin:/bin"]]),
  );
  const exited = exits.watch(pid);
  pump.started();
  return { pid, exited };
}

function texts(logPath: string): string[] {
  return readFileSync(logPath, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => line.replace(/^\S+ /, ""));
}

describe("openLogPump()", () => {
  test("drained() comes after the last byte of both streams, and removes the pipes", async () => {
    const { pump, logPath, pipes } = open();
    const { exited } = start(
      pump,
      "echo out; echo err >&2; echo again > /dev/stdout; echo more > /dev/stderr; printf tail",
    );
    await exited;
    await pump.drained();
    const lines = texts(logPath);
    expect(lines.filter((line) => line.startsWith("stdout"))).toEqual([
      "stdout F out",
      "stdout F again",
      "stdout F tail",
    ]);
    expect(lines.filter((line) => line.startsWith("stderr"))).toEqual(["stderr F err", "stderr F more"]);
    expect(readdirSync(pipes)).toEqual([]);
  });

  test("200000 lines arrive complete and in order across rotations [M4]", async () => {
    const { pump, logPath } = open();
    const { exited } = start(pump, "seq -f 'line %.0f' 1 200000");
    await exited;
    await pump.drained();
    const all = [...rotatedLogs(logPath), logPath].flatMap(texts);
    expect(all.length).toBe(200_000);
    expect(all.findIndex((line, index) => line !== `stdout F line ${index + 1}`)).toBe(-1);
  });

  test("a pipe that a process outside still holds does not hold up the end", async () => {
    const { pump, logPath } = open();
    const outside = openSync(`/proc/self/fd/${pump.stdout}`, "r+");
    const { exited } = start(pump, "echo said");
    await exited;
    writeSync(outside, "after\n");
    await pump.drained();
    closeSync(outside);
    expect(texts(logPath)).toEqual(["stdout F said", "stdout F after"]);
  });

  test("a full disk loses lines, says so once, and does not stop the container", async () => {
    const { pump, lost } = open("/dev/full");
    const { exited } = start(pump, "yes | head -c 1000000; exit 3");
    expect(await exited).toMatchObject({ exitCode: 3 });
    await pump.drained();
    expect(lost.map(String)).toEqual(["Error: ENOSPC: no space left on device, write"]);
  });

  test("abandon() leaves nothing behind", () => {
    const { pump, pipes, logPath } = open();
    pump.abandon();
    expect([readdirSync(pipes), existsSync(logPath)]).toEqual([[], true]);
  });

  test("an unread flood is held back: the container waits, memory stays", async () => {
    const { pump, logPath } = open();
    const { pid, exited } = start(pump, "exec yes 0123456789012345678901234567890123456789");
    // What waits counts, not what waits for the collector: this process runs many other tests, too.
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    const end = performance.now() + 700;
    while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
    // Nobody reads for a while: this thread is busy.
    Bun.sleepSync(300);
    Bun.gc(true);
    const grown = process.memoryUsage.rss() - before;
    launcher.call("kill", [pid, 9]);
    await exited;
    await pump.drained();
    expect(grown).toBeLessThan(64 * 1024 * 1024);
    const files = [...rotatedLogs(logPath), logPath];
    expect(files.length).toBeLessThanOrEqual(5);
    expect(files.every((file) => statSync(file).size <= 10 * 1024 * 1024)).toBe(true);
  });
});

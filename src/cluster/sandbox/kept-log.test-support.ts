/** An engine of one container for the tests of kept logs: it is killed, and another one goes on. */
import { closeSync, readFileSync } from "node:fs";
import { systemClock } from "../../kernel/clock.ts";
import { findFdStore, openFdStore } from "./fd-store.ts";
import { adoptKeptLog, openKeptLog } from "./kept-log.ts";
import { loadLauncher } from "./launcher.ts";
import { rotatedLogs } from "./log-file.ts";
import { openPipePeek } from "./pipe-peek.ts";
import { Program } from "./program.ts";
import { openReadiness } from "./readiness.ts";

export interface EngineTask {
  readonly folder: string;
  readonly logPath: string;
  /** The first engine starts this program; the others adopt it. */
  readonly argv?: readonly string[];
  readonly adopt?: { readonly pid: number; readonly holder: number };
}

/** A command; it prints `{ pid, holder }` once it reads, and ends once the program has ended and its log is complete. */
export function engineCommand(task: EngineTask): string[] {
  return [process.execPath, import.meta.path, JSON.stringify(task)];
}

async function runEngine({ folder, logPath, argv = [], adopt }: EngineTask): Promise<void> {
  const launcher = loadLauncher();
  const readiness = openReadiness(launcher);
  const tools = { readiness, peek: openPipePeek(launcher) };
  const common = { launcher, clock: systemClock, folder, id: "c", logPath, uid: 0, gid: 0, tools };
  let log;
  let pid: number;
  let holder: number;
  if (adopt === undefined) {
    const store = openFdStore(launcher);
    const [input, output] = store.ends;
    holder = launcher.start(
      new Program()
        .call("dup3", [input, 0, 0])
        .call("dup3", [output, 1, 0])
        .call("close_range", [3, 0x7fff_ffff, 0])
        .call("execve", ["/bin/sleep", ["sleep", "100"], []]),
    );
    log = openKeptLog({ ...common, store });
    pid = launcher.start(
      new Program()
        .call("setsid", [])
        .call("dup3", [log.stdout, 1, 0])
        .call("dup3", [log.stderr, 2, 0])
        .call("close_range", [3, 0x7fff_ffff, 0])
        .call("execve", ["/bin/sh", ["sh", "-c", ...argv], ["PATH=/usr/bin:/bin"]]),
    );
  } else {
    ({ pid, holder } = adopt);
    log = adoptKeptLog({ ...common, store: findFdStore(launcher, holder, [0, 1]) });
  }
  log.started();
  console.log(JSON.stringify({ pid, holder }));
  await ended(pid);
  await log.drained();
  readiness.close();

  async function ended(process: number): Promise<void> {
    const fd = launcher.tryCall("pidfd_open", [process, 0]);
    if (fd < 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = readiness.watch(fd, resolve);
    await promise;
    stop();
    closeSync(fd);
  }
}

/** Texts of one stream in all files of the log, without the columns of the log format. */
export function streamTexts(logPath: string, stream: string): string[] {
  const files = [...rotatedLogs(logPath), logPath];
  const lines = files.flatMap((file) => readFileSync(file, "utf8").split("\n"));
  return lines
    .filter((line) => line.split(" ")[1] === stream)
    .map((line) => line.split(" ").slice(3).join(" "));
}

if (import.meta.main) await runEngine(JSON.parse(process.argv[2] ?? "") as EngineTask);

/** Starts processes by running programs of system calls in a vforked child; the only piece of C in the engine, made at start. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cc, ptr } from "bun:ffi";
import { messageOf, Problem } from "../../kernel/problem.ts";
import { errnoName, errnoText } from "./errno.ts";
import source from "./launcher.c" with { type: "text" };
import { O_CLOEXEC, WNOHANG } from "./linux-constants.ts";
import { layOutCall, Program, type Argument, type LaidOut, type Slot } from "./program.ts";
import type { SyscallName } from "./syscall-numbers.ts";

/** A system call of the engine failed. */
export class SyscallError extends Error {
  /** Such as `mount(overlay,/usr)`. */
  readonly call: string;
  readonly errno: number;

  /** `EPERM`. */
  get errnoName(): string {
    return errnoName(this.errno);
  }

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoText(errno)} (${errnoName(errno)})`);
    this.name = "SyscallError";
    this.call = call;
    this.errno = errno;
  }
}

/** A program stopped before its `execve`; its process is gone and reaped. */
export class LaunchError extends SyscallError {
  /** Index of the op in the program; -1 when the process could not be made at all. */
  readonly index: number;
  readonly #laidOut: LaidOut;

  constructor(program: Program, index: number, { errno, laidOut }: { errno: number; laidOut: LaidOut }) {
    super(program.nameOf(index), errno);
    this.name = "LaunchError";
    this.index = index;
    this.#laidOut = laidOut;
  }

  /** What an op left in a slot before the program stopped: a result, −errno, or 0 when it never ran. */
  slot(slot: Slot): number {
    return this.#laidOut.slot(slot);
  }
}

/** How a process ended, from the word `wait4` gives. */
export interface WaitStatus {
  /** 0–255; 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly signal?: number;
}

export interface Launcher {
  /**
   * Runs `program` in a new process, in new namespaces as `cloneFlags` (CLONE_NEW…) say. Returns its pid (that of the
   * second process when the program forks) at its `execve`;
   * throws `LaunchError` when an op failed. Blocks the thread meanwhile: programs take 1–3 ms. One that somebody stops or
   * traces, or that takes longer than 5 s, is ended: `ECANCELED`.
   */
  start(program: Program, cloneFlags?: number): number;
  /** Runs a program that ends by itself, without `execve`; throws `LaunchError` when an op failed. For probes. */
  run(program: Program, cloneFlags?: number): WaitStatus;
  /** One system call of the engine itself; throws `SyscallError`. */
  call(name: SyscallName, args: readonly Argument[]): number;
  /** The same, but answers −errno instead of throwing. */
  tryCall(name: SyscallName, args: readonly Argument[]): number;
  /** Starts a thread that can go where JavaScript must not: into another network namespace. */
  startThread(): ProgramThread;
  /** `wait4` for one child: its status once it has ended, else undefined. Never hangs unless `hang`. */
  wait(pid: number, hang?: boolean): WaitStatus | undefined;
}

/** A thread of the engine that runs programs of system calls, and never JavaScript. What it opens is the engine's. */
export interface ProgramThread {
  /** Runs the program to its end, 20 µs and what its calls take; throws `LaunchError` when an op failed. */
  run(program: Program): LaidOut;
  /** Ends the thread. Idempotent. */
  close(): void;
}

/** What the C part exports. */
interface Native {
  launch(job: number, flags: number, from: number): number;
  here(op: number): number;
  startThread(from: number, to: number): number;
  startWatch(from: number, to: number, milliseconds: number): number;
  runInThread(job: number, to: number, from: number): number;
}

/** Meanwhile the engine does nothing else. */
export const PATIENCE_MS = 5_000;

const ESRCH = 3;
const EINTR = 4;
const ECHILD = 10;

let loaded: Launcher | undefined;

/** The launcher of this thread, made on first use. Throws `Problem` E_LAUNCHER where it cannot work. */
export function loadLauncher(): Launcher {
  loaded ??= makeLauncher();
  return loaded;
}

/** Exit code or signal of a `wait4` status word (WEXITSTATUS, WTERMSIG). */
export function decodeWaitStatus(word: number): WaitStatus {
  const signal = word & 0x7f;
  return signal === 0 ? { exitCode: (word >> 8) & 0xff } : { exitCode: 128 + signal, signal };
}

/** A launcher whose programs have so many milliseconds until their `execve`. */
export function makeLauncher(patienceMs = PATIENCE_MS): Launcher {
  const native = compile();
  const launcher = wrap(native);
  startWatch(native, (name, args) => launcher.call(name, args), patienceMs);
  selfTest(launcher);
  return launcher;
}

function compile(): Native {
  if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) {
    throw new Problem({
      code: "E_LAUNCHER",
      message: `Cannot start pods: they need Linux on x64 or arm64, and this is "${process.platform}" on "${process.arch}"`,
      fix: "use a Linux machine, virtual machine or container",
    });
  }
  // `cc` reads a file, and in a compiled program the source is not one.
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), "pillion-launcher-"));
    const file = join(folder, "launcher.c");
    writeFileSync(file, source, { mode: 0o600 });
    const { symbols } = cc({
      source: file,
      symbols: {
        launch: { args: ["ptr", "int64_t", "int64_t"], returns: "int64_t" },
        here: { args: ["ptr"], returns: "int64_t" },
        start_thread: { args: ["int64_t", "int64_t"], returns: "int64_t" },
        start_watch: { args: ["int64_t", "int64_t", "int64_t"], returns: "int64_t" },
        run_in_thread: { args: ["ptr", "int64_t", "int64_t"], returns: "int64_t" },
      },
    });
    return {
      launch: (job, flags, from) => Number(symbols.launch(pointer(job), flags, from)),
      here: (op) => Number(symbols.here(pointer(op))),
      startThread: (from, to) => Number(symbols.start_thread(from, to)),
      startWatch: (from, to, milliseconds) => Number(symbols.start_watch(from, to, milliseconds)),
      runInThread: (job, to, from) => Number(symbols.run_in_thread(pointer(job), to, from)),
    };
  } catch (cause) {
    throw new Problem({
      code: "E_LAUNCHER",
      message: `Cannot start pods: Bun ${Bun.version} did not compile the launcher: ${messageOf(cause)}`,
      fix: `use the Bun version that Pillion pins (npm install), and see that "${tmpdir()}" can be written to`,
      cause,
    });
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

type Address = ReturnType<typeof ptr>;

/** Bun types addresses as a branded number. */
function pointer(address: number): Address {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the only way to make Bun's branded pointer from a number
  return address as Address;
}

function wrap(native: Native): Launcher {
  const status = new Int32Array(2);
  const tryCall = (name: SyscallName, args: readonly Argument[]): number => {
    const arena = layOutCall(name, args);
    return native.here(arena.address);
  };
  const call = (name: SyscallName, args: readonly Argument[]): number => {
    const result = tryCall(name, args);
    if (result < 0 && result >= -4095)
      throw new SyscallError(new Program().call(name, args).nameOf(0), -result);
    return result;
  };
  const wait = (pid: number, hang = false): WaitStatus | undefined => {
    let result: number;
    do result = tryCall("wait4", [pid, ptr(status), hang ? 0 : WNOHANG, 0]);
    while (result === -EINTR);
    // A child that somebody else reaped cannot be asked any more; it has certainly ended.
    if (result === -ECHILD) return { exitCode: 255 };
    return result === pid ? decodeWaitStatus(status[0] ?? 0) : undefined;
  };
  const launch = (program: Program, cloneFlags: number): { pid: number; laidOut: LaidOut } => {
    const gate = program.gate === undefined ? NO_PIPE : openPipe(call);
    const laidOut = program.layOut(gate.to);
    const child = native.launch(laidOut.address, cloneFlags, gate.from);
    if (gate !== NO_PIPE) call("close", [gate.from]);
    if (child < 0) throw new LaunchError(program, -1, { errno: -child, laidOut });
    const pid = program.forked === undefined ? child : laidOut.slot(program.forked);
    // The one that forked has ended by now.
    if (pid !== child) wait(child, true);
    if (laidOut.error() === 0 && pid > 0) return { pid, laidOut };
    if (pid > 0) wait(pid, true);
    // Killed before it came to its fork: no op failed.
    if (laidOut.error() === 0) throw new LaunchError(program, laidOut.at(), { errno: ESRCH, laidOut });
    throw new LaunchError(program, laidOut.at(), { errno: laidOut.error(), laidOut });
  };
  return {
    start: (program, cloneFlags = 0) => launch(program, cloneFlags).pid,
    run(program, cloneFlags = 0) {
      const { pid } = launch(program, cloneFlags);
      return wait(pid, true) ?? { exitCode: 255 };
    },
    startThread: () => startThread(native, call),
    call,
    tryCall,
    wait,
  };
}

function startWatch(native: Native, call: Launcher["call"], patienceMs: number): void {
  const launches = openPipe(call);
  const started = native.startWatch(launches.from, launches.to, patienceMs);
  if (started !== 0) throw new SyscallError("pthread_create()", -started);
}

function startThread(native: Native, call: Launcher["call"]): ProgramThread {
  const requests = openPipe(call);
  const answers = openPipe(call);
  const started = native.startThread(requests.from, answers.to);
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    for (const fd of [requests.to, answers.from]) call("close", [fd]);
  };
  if (started !== 0) {
    for (const fd of [requests.from, answers.to]) call("close", [fd]);
    close();
    throw new SyscallError("pthread_create()", -started);
  }
  return {
    run(program) {
      if (!isOpen) throw new Error("The thread has ended");
      const laidOut = program.layOut();
      const result = native.runInThread(laidOut.address, requests.to, answers.from);
      if (result !== 0) throw new SyscallError("run_in_thread()", -result);
      if (laidOut.error() !== 0)
        throw new LaunchError(program, laidOut.at(), { errno: laidOut.error(), laidOut });
      return laidOut;
    },
    close,
  };
}

interface Pipe {
  readonly from: number;
  readonly to: number;
}

const NO_PIPE: Pipe = { from: -1, to: -1 };

function openPipe(call: Launcher["call"]): Pipe {
  const ends = new Int32Array(new ArrayBuffer(8));
  call("pipe2", [ptr(ends), O_CLOEXEC]);
  const [from = -1, to = -1] = ends;
  return { from, to };
}

/** Proves with one real child that ops run in order, slots hold results, errors come back, and memory is laid out alike. */
function selfTest(launcher: Launcher): void {
  const program = new Program();
  const own = program.slot();
  const skipped = program.label();
  program
    .call("getpid", [], { save: own })
    .call("chdir", ["/"])
    .call("close", [-1], { ignore: 9, orElse: skipped })
    .exit(1)
    .place(skipped)
    .call("kill", [own, 0])
    .exit(42);
  const failing = new Program().call("chdir", ["/"]).call("chdir", ["/proc/self/no such folder"]);
  let outcome: string;
  try {
    outcome = `exit code ${launcher.run(program).exitCode}`;
    launcher.run(failing);
    outcome += ", an error was not reported";
  } catch (error) {
    if (error instanceof LaunchError && error.index === 1 && error.errnoName === "ENOENT") return;
    outcome = messageOf(error);
  }
  throw new Problem({
    code: "E_LAUNCHER",
    message: `Cannot start pods: the self-test of the launcher failed (${outcome})`,
    fix: "use the Bun version that Pillion pins (npm install); if it is, report this as a bug of Pillion",
  });
}

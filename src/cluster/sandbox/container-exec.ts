/** Starts programs beside process 1 of a running container: pipes or a terminal on the engine's side, then one launch. */
import { closeSync, fchownSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { Clock } from "../../kernel/clock.ts";
import { messageOf } from "../../kernel/problem.ts";
import { openJoins } from "./cgroups/join-cgroup.ts";
import type { ContainerCgroup } from "./cgroups/open-cgroups.ts";
import type { ContainerUser } from "./container-user.ts";
import type { ExecPause } from "./exec-pause.ts";
import { explainLaunch } from "./exec-plan.ts";
import { execProgram } from "./exec-program.ts";
import type { Exits } from "./exits.ts";
import { InputWriter } from "./input-writer.ts";
import { LaunchError, SyscallError, type Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { OutputReader } from "./output-reader.ts";
import type { ExecProcess, ExecSpec } from "./process-io.ts";
import type { ProgramStreams } from "./program-streams.ts";
import { ContainerStartError, type ContainerSpec } from "./sandbox.ts";
import type { Tracers } from "./tracers.ts";
import { openTerminalOf, type Terminal } from "./terminal.ts";

export interface ExecTools {
  readonly launcher: Launcher;
  readonly exits: Exits;
  readonly clock: Clock;
  /** Capabilities of the engine. */
  readonly permitted: bigint;
  readonly tracers: Tracers;
  readonly pause: ExecPause;
}

/** A container as it was started: an exec repeats what process 1 got. */
export interface ExecTarget {
  readonly pid: number;
  readonly spec: ContainerSpec;
  readonly user: ContainerUser;
  readonly cgroup: ContainerCgroup | undefined;
  /** False once the pid may be somebody else's. */
  isRunning(): boolean;
}

/** What the engine and the program each hold of a process's streams. */
interface Streams {
  readonly inside: ProgramStreams;
  readonly stdin: InputWriter | undefined;
  readonly stdout: OutputReader;
  readonly stderr: OutputReader | undefined;
  readonly terminal: Terminal | undefined;
}

/**
 * Takes about 1 ms, for which the thread is blocked. Throws `ContainerStartError` with the words of runc, or of containerd
 * when the container has ended.
 */
export function startExec(tools: ExecTools, target: ExecTarget, spec: ExecSpec): ExecProcess {
  if (!target.isRunning()) throw hasEnded();
  tools.pause.refuse(target.pid);
  const opened: number[] = [];
  try {
    const streams = spec.tty
      ? openTerminalStreams(tools, target, spec)
      : openPipes(tools, target, spec, opened);
    let pid: number;
    const launched = tools.pause.begin();
    try {
      pid = launch(tools, target, { spec, streams: streams.inside });
    } catch (error) {
      close(streams);
      throw error;
    } finally {
      launched(target.pid);
    }
    return follow(tools, pid, streams);
  } catch (error) {
    throw asExecError(error, target);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function launch(
  { launcher, permitted, tracers }: ExecTools,
  { pid, spec: container, user, cgroup }: ExecTarget,
  { spec, streams }: { readonly spec: ExecSpec; readonly streams: ProgramStreams },
): number {
  const fds: number[] = [];
  try {
    const process1 = launcher.call("pidfd_open", [pid, 0]);
    fds.push(process1);
    const joins = openJoins(cgroup);
    fds.push(...joins);
    const { program, exec } = execProgram({
      spec: container,
      user,
      permitted,
      argv: spec.argv,
      env: spec.tty ? withTerminal(container.env) : container.env,
      target: process1,
      joins,
      streams,
      isTraceable: tracers.areIn(`/proc/${pid}/ns/pid`),
    });
    try {
      const start = () => launcher.start(program);
      return cgroup === undefined ? start() : cgroup.whileJoining(start);
    } catch (error) {
      throw error instanceof LaunchError && !isGone(error) ? explainLaunch(error, exec) : error;
    }
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function follow({ launcher, exits }: ExecTools, pid: number, streams: Streams): ExecProcess {
  const { stdin, stdout, stderr, terminal } = streams;
  const exited = exits.watch(pid).then(({ exitCode, signal }) => {
    stdin?.close();
    // Not before: a program that closes its own ends a moment before it ends would be hung up.
    terminal?.closeSlave();
    stdout.ended();
    stderr?.ended();
    return signal === undefined ? { exitCode } : { exitCode, signal };
  });
  return {
    ...(stdin === undefined ? {} : { stdin }),
    stdout,
    ...(stderr === undefined ? {} : { stderr }),
    exited,
    kill(signal) {
      if (exits.isRunning(pid)) launcher.tryCall("kill", [pid, signal]);
    },
    resize: (size) => terminal?.resize(size),
    detach: () => close(streams),
  };
}

function close({ stdin, stdout, stderr }: Streams): void {
  stdin?.close();
  stdout.close();
  stderr?.close();
}

function openTerminalStreams(
  { launcher, clock }: ExecTools,
  { pid, user }: ExecTarget,
  { stdin, size }: ExecSpec,
): Streams {
  const terminal = openTerminalOf(launcher, pid, user.uid);
  const { master: fd, slave } = terminal;
  if (size !== undefined) terminal.resize(size);
  const writer = stdin
    ? new InputWriter({ fd, clock, close() {}, endOfFile: () => terminal.endOfFile() })
    : undefined;
  const hangUp = (): void => {
    // The descriptor is somebody else's afterwards.
    writer?.close();
    terminal.close();
  };
  return {
    inside: { stdin: slave, stdout: slave, stderr: slave, isTerminal: true },
    stdin: writer,
    stdout: new OutputReader({ fd, launcher, clock, close: hangUp }),
    stderr: undefined,
    terminal,
  };
}

/** `inside` are the program's ends, to be closed after the launch: they are added to `opened`. */
function openPipes(
  { launcher, clock }: ExecTools,
  { user }: ExecTarget,
  spec: ExecSpec,
  opened: number[],
): Streams {
  const mine: number[] = [];
  try {
    const [stdinEnd, stdinMine] = spec.stdin ? pipe(launcher) : [];
    if (stdinEnd !== undefined) opened.push(stdinEnd);
    if (stdinMine !== undefined) mine.push(stdinMine);
    const [stdoutMine, stdoutEnd] = pipe(launcher);
    opened.push(stdoutEnd);
    mine.push(stdoutMine);
    const [stderrMine, stderrEnd] = pipe(launcher);
    opened.push(stderrEnd);
    mine.push(stderrMine);
    for (const fd of mine) launcher.call("fcntl", [fd, linux.F_SETFL, linux.O_NONBLOCK]);
    // Else the program could not open /dev/stdout again.
    if (user.uid !== 0 || user.gid !== 0) for (const fd of opened) fchownSync(fd, user.uid, user.gid);
    const tools = { launcher, clock };
    return {
      inside: { stdin: stdinEnd, stdout: stdoutEnd, stderr: stderrEnd, isTerminal: false },
      stdin:
        stdinMine === undefined
          ? undefined
          : new InputWriter({ fd: stdinMine, clock, close: () => closeSync(stdinMine) }),
      stdout: new OutputReader({ fd: stdoutMine, ...tools, close: () => closeSync(stdoutMine) }),
      stderr: new OutputReader({ fd: stderrMine, ...tools, close: () => closeSync(stderrMine) }),
      terminal: undefined,
    };
  } catch (error) {
    for (const fd of mine) closeSync(fd);
    throw error;
  }
}

/** The end to read from, and the one to write to. */
function pipe(launcher: Launcher): readonly [number, number] {
  const ends = new Int32Array(2);
  launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC]);
  const [from = -1, to = -1] = ends;
  return [from, to];
}

/** containerd sets it for every exec with a terminal, whatever the container has. */
function withTerminal(env: readonly string[]): readonly string[] {
  return [...env.filter((entry) => !entry.startsWith("TERM=")), "TERM=xterm"];
}

const ESRCH = 3;
const ENOMEM = 12;

/** `setns` finds no process, or `clone` a pid namespace that is being ended (which it calls a lack of memory). */
function isGone({ call, errno }: LaunchError): boolean {
  return (call === "setns(container)" && errno === ESRCH) || (call === "clone()" && errno === ENOMEM);
}

function hasEnded(cause?: unknown): ContainerStartError {
  return new ContainerStartError("RunContainerError", "container is in CONTAINER_EXITED state", { cause });
}

function asExecError(error: unknown, target: ExecTarget): ContainerStartError {
  if (error instanceof LaunchError && isGone(error)) return hasEnded(error);
  if (error instanceof SyscallError && error.errno === ESRCH && !target.isRunning()) return hasEnded(error);
  const message = `OCI runtime exec failed: exec failed: ${messageOf(error)}: unknown`;
  return new ContainerStartError("StartError", message, { cause: error });
}

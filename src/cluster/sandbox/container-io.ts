/** Standard input, output and error of process 1, on the engine's side: the log, and the clients that are attached. */
import { closeSync, fchownSync } from "node:fs";
import { ptr } from "bun:ffi";
import { Attachments } from "./attachments.ts";
import type { LogStream } from "./cri-lines.ts";
import { InputWriter } from "./input-writer.ts";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { openLogPump, type LogPump, type LogPumpOptions } from "./log-pump.ts";
import type { AttachedProcess, AttachSpec } from "./process-io.ts";
import type { ProgramStreams } from "./program-streams.ts";
import type { ContainerSpec } from "./sandbox.ts";
import { openTerminalLog } from "./terminal-log.ts";
import type { Terminal } from "./terminal.ts";

export interface ContainerIo {
  readonly inside: ProgramStreams;
  /** The container holds its ends: closes ours and starts to read. */
  started(): void;
  attach(spec: AttachSpec): AttachedProcess;
  /** The container has ended: resolves when everything it wrote is in the log and with those attached. Never rejects. */
  drained(): Promise<void>;
  /** The container did not start: removes everything. */
  abandon(): void;
}

export interface ContainerIoOptions extends Omit<LogPumpOptions, "onOutput" | "id" | "logPath"> {
  readonly spec: ContainerSpec;
  /** Owned from now on. */
  readonly terminal: Terminal | undefined;
}

/** Throws what the file system says. */
export function openContainerIo({ spec, terminal, ...options }: ContainerIoOptions): ContainerIo {
  const input = terminal === undefined && spec.stdin === true ? openInput(options) : undefined;
  const stdin = terminal === undefined ? input?.writer : terminalInput(spec, terminal, options);
  const attachments = new Attachments({
    clock: options.clock,
    stdin,
    stdinOnce: spec.stdinOnce === true,
    resize: terminal === undefined ? undefined : (size) => terminal.resize(size),
  });
  const onOutput = (stream: LogStream, chunk: Uint8Array) => attachments.offer(stream, chunk);
  const { id, logPath } = spec;
  let pump: LogPump;
  try {
    pump = openPump({ ...options, id, logPath, onOutput }, terminal);
  } catch (error) {
    input?.letGo();
    stdin?.close();
    terminal?.close();
    throw error;
  }
  const { stdout, stderr } = pump;
  const isTerminal = terminal !== undefined;
  return {
    inside: { stdin: isTerminal ? stdout : input?.inside, stdout, stderr, isTerminal },
    started() {
      input?.letGo();
      pump.started();
    },
    attach: (wanted) => attachments.attach(wanted),
    async drained() {
      stdin?.close();
      attachments.hurry();
      await pump.drained();
      attachments.end();
    },
    abandon() {
      input?.letGo();
      stdin?.close();
      pump.abandon();
    },
  };
}

function openPump(options: LogPumpOptions, terminal: Terminal | undefined): LogPump {
  return terminal === undefined ? openLogPump(options) : openTerminalLog(options, terminal);
}

function terminalInput(
  spec: ContainerSpec,
  terminal: Terminal,
  { clock }: Pick<LogPumpOptions, "clock">,
): InputWriter | undefined {
  if (spec.stdin !== true) return undefined;
  return new InputWriter({
    fd: terminal.master,
    clock,
    close() {},
    endOfFile: () => terminal.endOfFile(),
  });
}

interface Input {
  readonly writer: InputWriter;
  /** The program's end. */
  readonly inside: number;
  /** Closes our copy of it: only the program's own count as readers. */
  letGo(): void;
}

function openInput({
  launcher,
  clock,
  uid,
  gid,
}: {
  readonly launcher: Launcher;
} & Pick<LogPumpOptions, "clock" | "uid" | "gid">): Input {
  const ends = new Int32Array(2);
  launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC]);
  const [inside = -1, fd = -1] = ends;
  launcher.call("fcntl", [fd, linux.F_SETFL, linux.O_NONBLOCK]);
  // Else the program could not open /dev/stdin.
  if (uid !== 0 || gid !== 0) fchownSync(inside, uid, gid);
  return {
    writer: new InputWriter({ fd, clock, close: () => closeSync(fd) }),
    inside,
    letGo: () => closeSync(inside),
  };
}

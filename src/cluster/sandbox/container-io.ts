/** Standard input, output and error of process 1, on the engine's side: the log, and the clients that are attached. */
import { closeSync, fchownSync } from "node:fs";
import { ptr } from "bun:ffi";
import { Attachments } from "./attachments.ts";
import type { LogStream } from "./cri-lines.ts";
import type { FdStore } from "./fd-store.ts";
import { InputWriter } from "./input-writer.ts";
import { adoptKeptLog, type KeptLogTools, openKeptLog } from "./kept-log.ts";
import * as linux from "./linux-constants.ts";
import { openLogPump, type LogPump, type LogPumpOptions } from "./log-pump.ts";
import type { AttachedProcess, AttachSpec } from "./process-io.ts";
import type { ProgramStreams } from "./program-streams.ts";
import { ContainerStartError, type ContainerSpec } from "./sandbox.ts";
import { openTerminalLog } from "./terminal-log.ts";
import { type Terminal, terminalOf } from "./terminal.ts";

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
  /** For a container that outlives the engine. */
  readonly keeping?: Keeping | undefined;
}

/** What a log needs so that the next engine can go on with it. */
export interface Keeping {
  readonly tools: KeptLogTools;
  /** Absent where the kernel does not hand it over: then what is in the pipes ends with the container. */
  readonly store: FdStore | undefined;
}

/** Throws what the file system says. */
export function openContainerIo(options: ContainerIoOptions): ContainerIo {
  const { spec, terminal, keeping } = options;
  const input = terminal === undefined && spec.stdin === true ? openInput(options) : undefined;
  const stdin = terminal === undefined ? input?.writer : terminalInput(spec, terminal, options);
  return connectIo(options, {
    input,
    stdin,
    open(pump) {
      if (terminal !== undefined) return openTerminalLog(pump, terminal, keeping?.store);
      return keeping === undefined ? openLogPump(pump) : openKeptLog({ ...pump, ...keeping });
    },
  });
}

/** The streams of a container that an earlier engine started. `recovered` is what its store has held. */
export function adoptContainerIo(
  options: Omit<ContainerIoOptions, "terminal"> & { readonly keeping: Keeping },
  recovered: ReadonlyMap<string, readonly number[]>,
): ContainerIo {
  const { spec, keeping, launcher } = options;
  const [first, second] = recovered.get(spec.id) ?? [];
  if (spec.tty === true && first !== undefined && second !== undefined) {
    const terminal = terminalOf(launcher, first, second);
    return connectIo(
      { ...options, terminal },
      {
        input: undefined,
        stdin: terminalInput(spec, terminal, options),
        open: (pump) => openTerminalLog(pump, terminal, keeping.store),
      },
    );
  }
  // Pipes of output are opened again by their paths.
  for (const fd of recovered.get(spec.id) ?? []) closeSync(fd);
  const [fd] = recovered.get(inputKey(spec.id)) ?? [];
  const stdin = fd === undefined ? undefined : keptWriter(options, spec.id, fd);
  const adopted = { ...options, terminal: undefined };
  return connectIo(adopted, {
    input: undefined,
    stdin,
    open: (pump) => adoptKeptLog({ ...pump, ...keeping }),
  });
}

/** Nothing can be read any more of a container that runs: its pipes are gone. */
export function lostContainerIo(): ContainerIo {
  return {
    inside: { stdin: undefined, stdout: -1, stderr: -1, isTerminal: false },
    started() {},
    attach() {
      throw new ContainerStartError(
        "RunContainerError",
        "cannot attach: the streams of the container ended with the engine that started it",
      );
    },
    drained: () => Promise.resolve(),
    abandon() {},
  };
}

function inputKey(id: string): string {
  return `${id}.stdin`;
}

/** The store's copy goes too: a program waits for the end of its input until all writers are gone. */
function keptWriter(
  { clock, keeping }: Pick<ContainerIoOptions, "clock" | "keeping">,
  id: string,
  fd: number,
): InputWriter {
  keeping?.store?.hold(inputKey(id), [fd]);
  const close = (): void => {
    keeping?.store?.drop(inputKey(id));
    closeSync(fd);
  };
  return new InputWriter({ fd, clock, close });
}

interface IoParts {
  readonly input: Input | undefined;
  readonly stdin: InputWriter | undefined;
  readonly open: (options: LogPumpOptions) => LogPump;
}

function connectIo(
  { spec, terminal, ...options }: ContainerIoOptions,
  { input, stdin, open }: IoParts,
): ContainerIo {
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
    pump = open({ ...options, id, logPath, onOutput });
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

function openInput(options: ContainerIoOptions): Input {
  const { launcher, uid, gid } = options;
  const ends = new Int32Array(2);
  launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC]);
  const [inside = -1, fd = -1] = ends;
  launcher.call("fcntl", [fd, linux.F_SETFL, linux.O_NONBLOCK]);
  // Else the program could not open /dev/stdin.
  if (uid !== 0 || gid !== 0) fchownSync(inside, uid, gid);
  return {
    writer: keptWriter(options, options.spec.id, fd),
    inside,
    letGo: () => closeSync(inside),
  };
}

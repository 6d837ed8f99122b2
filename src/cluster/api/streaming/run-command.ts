/** Joins a client's channels with a process's streams, and tells the client how the process ended. */
import { messageOf } from "../../../kernel/problem.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import type { ProcessInput, ProcessStreams } from "../../kubelet/port.ts";
import type { ByteWriter, CommandChannels } from "./command-channels.ts";

export interface StartedCommand extends ProcessStreams {
  readonly exited: Promise<{ readonly exitCode: number }>;
}

export interface Command {
  /** Rejects when there is nothing to talk to. */
  readonly start: () => Promise<StartedCommand>;
  /** What the client reads when `start` has failed, before the reason. */
  readonly failure: string;
  /** The client is told a non-zero exit code as a failure. An attached client is not: the pod's status has it. */
  readonly reportsExitCode: boolean;
}

/** Resolves when the process has ended and the client knows, or the client has gone. Never rejects. */
export async function runCommand(channels: CommandChannels, command: Command): Promise<void> {
  let process: StartedCommand;
  try {
    process = await command.start();
  } catch (error) {
    await channels.finish(failedToStart(error, command.failure));
    return;
  }
  const letGo = () => process.detach();
  if (channels.gone.aborted) letGo();
  channels.gone.addEventListener("abort", letGo, { once: true });
  channels.onResize((size) => process.resize(size));
  const ended = serve(process, channels, command);
  const exitCode = await Promise.race([ended, aborted(channels.gone)]);
  if (exitCode === undefined) return;
  channels.gone.removeEventListener("abort", letGo);
  letGo();
  await channels.finish(command.reportsExitCode ? exitStatus(exitCode) : SUCCESS);
}

/** Resolves when there is nothing more to carry, with the exit code as far as it matters. */
async function serve(
  process: StartedCommand,
  channels: CommandChannels,
  { reportsExitCode }: Command,
): Promise<number> {
  const fed = feed(channels.stdin, process.stdin);
  const exited = process.exited.then(({ exitCode }) => exitCode);
  const hasOutput = process.stdout !== undefined || process.stderr !== undefined;
  await Promise.all([copy(process.stdout, channels.stdout), copy(process.stderr, channels.stderr)]);
  if (reportsExitCode) return await exited;
  // Who is attached has been served when the streams are over, as containerd has it; the program may live on.
  if (!hasOutput) await Promise.race([exited, fed]);
  return 0;
}

async function feed(
  from: AsyncIterable<Uint8Array> | undefined,
  to: ProcessInput | undefined,
): Promise<void> {
  try {
    for await (const chunk of from ?? []) await to?.write(chunk);
  } finally {
    to?.end();
  }
}

/** A stream that breaks is over; how the process ended says more than why its pipe broke. */
async function copy(from: AsyncIterable<Uint8Array> | undefined, to: ByteWriter | undefined): Promise<void> {
  if (from === undefined) return;
  try {
    for await (const chunk of from) await to?.write(chunk);
  } catch {
    return;
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
}

const SUCCESS = { metadata: {}, status: "Success" };

/** As `k8s.io/cri-streaming` remotecommand writes it; clients take the exit code from the cause. */
function exitStatus(exitCode: number): object {
  if (exitCode === 0) return SUCCESS;
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}

const INTERNAL = "Internal error occurred: ";

function failedToStart(error: unknown, failure: string): object {
  const message = messageOf(error);
  const why = message.startsWith(INTERNAL) ? message.slice(INTERNAL.length) : message;
  return internalError(`${failure}: ${why}`);
}

/** A `v1.Status` for what goes wrong after the upgrade. */
export function internalError(why: string): object {
  const cause = { causes: [{ message: why }] };
  return new StatusError("InternalError", `${INTERNAL}${why}`, cause).toStatus();
}

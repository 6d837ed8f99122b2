/** Runs a command in a container to its end and keeps the beginning of what it says: exec probes and exec hooks. */
import { messageOf } from "../../../kernel/problem.ts";
import type { ExecProcess } from "../../sandbox/process-io.ts";
import type { RunningContainer } from "../../sandbox/sandbox.ts";

const SIGKILL = 9;

export interface CapturedCommand {
  /** 0–255; 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CaptureLimits {
  /** Bytes kept of each stream; what comes after is read and dropped, so that the command never waits. */
  readonly bytes: number;
  /** Kills the command; the promise then rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Rejects with the runtime's words when the command cannot be run. */
export async function captureCommand(
  running: Pick<RunningContainer, "exec">,
  argv: readonly string[],
  { bytes, signal }: CaptureLimits,
): Promise<CapturedCommand> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  let child: ExecProcess | undefined;
  const onAbort = (): void => {
    child?.kill(SIGKILL);
    child?.detach();
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([aborted, run()]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }

  async function run(): Promise<CapturedCommand> {
    try {
      child = await running.exec({ argv, stdin: false, tty: false });
    } catch (cause) {
      // As containerd's answer reaches the kubelet.
      const message = `rpc error: code = Unknown desc = failed to exec in container: ${messageOf(cause)}`;
      throw new Error(message, { cause });
    }
    // It may have taken longer to start than it was given.
    if (signal.aborted) onAbort();
    const [stdout, stderr, { exitCode }] = await Promise.all([
      firstBytes(child.stdout, bytes),
      firstBytes(child.stderr, bytes),
      child.exited,
    ]);
    return { exitCode, stdout, stderr };
  }
}

async function firstBytes(stream: AsyncIterable<Uint8Array> | undefined, limit: number): Promise<string> {
  const kept: Uint8Array[] = [];
  let left = limit;
  for await (const chunk of stream ?? []) {
    if (left <= 0) continue;
    kept.push(chunk.subarray(0, left));
    left -= chunk.length;
  }
  return Buffer.concat(kept).toString("utf8");
}

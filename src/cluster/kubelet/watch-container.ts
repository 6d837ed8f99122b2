/** Waits for the end of a container and puts it into the pod's state. */
import { closeSync, constants, openSync, readSync, rmSync } from "node:fs";
import type { Container } from "../../../generated/kubernetes.ts";
import type { ContainerEnd } from "../../k8s/container-status.ts";
import type { ExitStatus, RunningContainer } from "../sandbox/sandbox.ts";
import { unknownEnd } from "./adopt-status.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { lastLogLines } from "./logs/log-tail.ts";
import type { PodState } from "./pod-state.ts";

/** `MaxContainerTerminationMessageLength` and the limits of FallbackToLogsOnError. */
const MESSAGE_BYTES = 4096;
const FALLBACK_BYTES = 2048;
const FALLBACK_LINES = 80;

/** Resolves after the end is in the state. Never rejects. */
export async function watchContainer(
  {
    context,
    state,
    container,
  }: {
    readonly context: Pick<KubeletContext, "clock">;
    readonly state: PodState;
    readonly container: Container;
  },
  { running, logPath }: { readonly running: RunningContainer; readonly logPath: string },
): Promise<void> {
  const exit = await running.exited;
  const record = state.record(container.name);
  if (record.running !== running) return;
  const { terminationLog } = record;
  const message = terminationMessage(container, exit, { terminationLog, logPath });
  if (terminationLog !== undefined) discard(terminationLog);
  const end = exit.isLost === true ? unknownEnd(exit.finishedAt) : endOf(exit, message);
  state.end(container.name, end);
  state.endedAt(end, context.clock);
}

/** What cannot be removed goes with the pod's folder: an end is never lost for it. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The machine's trouble, not the container's.
  }
}

function endOf({ exitCode, oomKilled, finishedAt }: ExitStatus, message: string): ContainerEnd {
  const reason = oomKilled ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
  return { exitCode, reason, finishedAt, ...(message === "" ? {} : { message }) };
}

function terminationMessage(
  { terminationMessagePolicy }: Container,
  { exitCode }: ExitStatus,
  { terminationLog, logPath }: { readonly terminationLog: string | undefined; readonly logPath: string },
): string {
  const message = terminationLog === undefined ? "" : readMessage(terminationLog);
  if (message !== "" || exitCode === 0 || terminationMessagePolicy !== "FallbackToLogsOnError")
    return message;
  return lastLogLines(logPath, { lines: FALLBACK_LINES, bytes: FALLBACK_BYTES });
}

/** The last bytes of the file. A container may have replaced what is behind the name only inside its own root. */
function readMessage(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(MESSAGE_BYTES);
    const size = Bun.file(path).size;
    const length = readSync(file, buffer, 0, MESSAGE_BYTES, Math.max(0, size - MESSAGE_BYTES));
    return buffer.toString("utf8", 0, length);
  } catch (error) {
    return `Error on reading termination log: ${String(error)}`;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

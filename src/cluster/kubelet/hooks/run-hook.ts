/** Runs a lifecycle hook of a container (kubelet lifecycle/handlers.go). Who calls it decides what a failure means. */
import type { Container, HTTPGetAction, LifecycleHandler } from "../../../../generated/kubernetes.ts";
import { goQuote } from "../../../k8s/go-format.ts";
import { describePod, type StoredPod } from "../../../k8s/pod.ts";
import { messageOf } from "../../../kernel/problem.ts";
import { sleep } from "../../../lib/sleep.ts";
import type { RunningContainer, Sandbox } from "../../sandbox/sandbox.ts";
import type { KubeletContext } from "../kubelet-context.ts";
import { podEvent } from "../pod-events.ts";
import { captureCommand } from "../probes/capture-command.ts";
import { BodyError, NotTlsError } from "../probes/http-exchange.ts";
import { httpGet } from "../probes/http-get.ts";
import { httpRequest, type HttpRequest } from "../probes/http-target.ts";

const OUTPUT_BYTES = 10 * 1024;

/** A hook that failed, or was given up. The message is the kubelet's: it shows in a status, never in an event. */
export class HookError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "HookError";
  }
}

export interface HookTarget {
  readonly context: Pick<KubeletContext, "clock" | "recorder"> & {
    readonly sandbox: Pick<Sandbox, "connect">;
  };
  readonly pod: StoredPod;
  readonly podIP: string;
  readonly container: Container;
  readonly running: Pick<RunningContainer, "exec">;
}

/**
 * Resolves when the hook is done. Rejects with `HookError`, and nothing else: the hook failed, cannot be run, or `signal`
 * gave it up. Without an abort it may take for ever (H1).
 */
export async function runHook(
  handler: LifecycleHandler,
  target: HookTarget,
  signal: AbortSignal,
): Promise<void> {
  const of = `for Container "${target.container.name}" in Pod "${describePod(target.pod)}" failed - error:`;
  if (handler.exec !== undefined) {
    const argv = handler.exec.command ?? [];
    const { error, output } = await runExec(argv, target, signal);
    if (error === undefined) return;
    throw new HookError(
      `Exec lifecycle hook ([${argv.join(" ")}]) ${of} ${error}, message: ${goQuote(output)}`,
    );
  }
  if (handler.httpGet !== undefined) {
    const { httpGet } = handler;
    try {
      await runHttpGet(httpGet, target, signal);
      return;
    } catch (cause) {
      throw new HookError(`HTTP lifecycle hook (${httpGet.path ?? ""}) ${of} ${messageOf(cause)}`, { cause });
    }
  }
  if (handler.sleep !== undefined) {
    const { seconds } = handler.sleep;
    if (await sleep(seconds * 1000, target.context.clock, signal)) return;
    const error = "container terminated before sleep hook finished";
    throw new HookError(`Sleep lifecycle hook (${seconds}) ${of} ${error}`);
  }
  throw new HookError(`Cannot run handler: invalid handler: ${goHandler(handler)}`);
}

async function runExec(
  argv: readonly string[],
  { running }: HookTarget,
  signal: AbortSignal,
): Promise<{ readonly error?: string; readonly output: string }> {
  try {
    const { exitCode, stdout, stderr } = await captureCommand(running, argv, { bytes: OUTPUT_BYTES, signal });
    const output = stdout + stderr;
    if (exitCode === 0) return { output };
    return { output, error: `command '${argv.join(" ")}' exited with ${exitCode}: ${stderr}` };
  } catch (error) {
    return { output: "", error: signal.aborted ? "context canceled" : messageOf(error) };
  }
}

/** Any answer will do (H4). */
async function runHttpGet(action: HTTPGetAction, target: HookTarget, signal: AbortSignal): Promise<void> {
  const { context, container, pod, podIP } = target;
  const request = httpRequest(action, container, { podIP, purpose: "lifecycle" });
  try {
    await httpGet(context.sandbox, request, signal);
  } catch (error) {
    if (error instanceof BodyError) return;
    if (!isNotTls(error)) throw error;
    try {
      await httpGet(context.sandbox, asPlainHttp(request), signal);
    } catch (second) {
      // The first error says what is wrong.
      if (!(second instanceof BodyError)) throw error;
    }
    const { authority } = request.target;
    const message = `request to HTTPS lifecycle hook ${authority} got HTTP response, retry with HTTP succeeded`;
    podEvent(context.recorder, pod, { type: "Warning", reason: "LifecycleHTTPFallback", message });
  }
}

function isNotTls(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof NotTlsError;
}

function asPlainHttp(request: HttpRequest): HttpRequest {
  return {
    ...request,
    target: { ...request.target, scheme: "http" },
    headers: request.headers.filter(([name]) => name !== "Authorization"),
  };
}

/** The handler as Go prints it; only a tcpSocket or an empty one gets here, and validation lets the first through (H3). */
function goHandler({ tcpSocket }: LifecycleHandler): string {
  const socket = tcpSocket === undefined ? "nil" : goTcpSocket(tcpSocket);
  return `&LifecycleHandler{Exec:nil,HTTPGet:nil,TCPSocket:${socket},Sleep:nil,}`;
}

function goTcpSocket({ port, host = "" }: NonNullable<LifecycleHandler["tcpSocket"]>): string {
  const portText = typeof port === "number" ? `{0 ${port} }` : `{1 0 ${port}}`;
  return `&TCPSocketAction{Port:${portText},Host:${host},}`;
}

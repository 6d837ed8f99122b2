/** Executes one probe once, or again when that was not the container's fault (kubelet prober.go). */
import type { Container, Probe } from "../../../../generated/kubernetes.ts";
import { expandReferences } from "../../../k8s/env-expansion.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { messageOf } from "../../../kernel/problem.ts";
import type { RunningContainer, Sandbox } from "../../sandbox/sandbox.ts";
import { goDuration } from "../crash-backoff.ts";
import { captureCommand } from "./capture-command.ts";
import { dial, hostPort } from "./dial.ts";
import { checkGrpcHealth } from "./grpc-health.ts";
import { BodyError } from "./http-exchange.ts";
import { httpGet } from "./http-get.ts";
import { httpRequest } from "./http-target.ts";
import { DeadlineError } from "../../../k8s/network-error.ts";
import { targetPort } from "./target-port.ts";

/** `error`: it is not known how the container is; `state` is what the kubelet's event calls that. */
export type ProbeOutcome =
  | { readonly kind: "success" }
  | { readonly kind: "warning"; readonly output: string }
  | { readonly kind: "failure"; readonly output: string }
  | { readonly kind: "error"; readonly state: "unknown" | "failure"; readonly message: string };

/** Every outcome that an event tells of. */
export type ProbeTrouble = Exclude<ProbeOutcome, { readonly kind: "success" }>;

export interface ProbeTarget {
  readonly sandbox: Pick<Sandbox, "connect">;
  readonly clock: Clock;
  readonly container: Container;
  readonly podIP: string;
  readonly running: Pick<RunningContainer, "exec">;
}

const SUCCESS: ProbeOutcome = { kind: "success" };
/** `maxProbeRetries`. */
const ATTEMPTS = 3;
/** `maxReadLength` of exec probes. */
const OUTPUT_BYTES = 10 * 1024;

/** Errors are tried again at once, failures are not (PR14). Rejects only when \`signal\` aborts. */
export async function runProbe(
  probe: Probe,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  let outcome: ProbeOutcome = SUCCESS;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    outcome = await attemptProbe(probe, target, signal);
    signal.throwIfAborted();
    if (outcome.kind !== "error") break;
  }
  return outcome;
}

/** One attempt, within `timeoutSeconds`. */
async function attemptProbe(probe: Probe, target: ProbeTarget, outer: AbortSignal): Promise<ProbeOutcome> {
  const timeoutMs = (probe.timeoutSeconds || 1) * 1000;
  const controller = new AbortController();
  const cancel = target.clock.schedule(timeoutMs, () => controller.abort(new DeadlineError()));
  const onAbort = (): void => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  outer.addEventListener("abort", onAbort, { once: true });
  try {
    return await execute(probe, target, { signal: controller.signal, timeout: goDuration(timeoutMs) });
  } catch (error) {
    return { kind: "error", state: "unknown", message: messageOf(error) };
  } finally {
    cancel();
    outer.removeEventListener("abort", onAbort);
  }
}

interface Limit {
  readonly signal: AbortSignal;
  /** As texts name it, such as `1s`. */
  readonly timeout: string;
}

/** What it throws is an error of the probe. */
async function execute(probe: Probe, target: ProbeTarget, limit: Limit): Promise<ProbeOutcome> {
  const { container, podIP, sandbox } = target;
  if (probe.exec !== undefined) return runExec(probe.exec.command ?? [], target, limit);
  if (probe.httpGet !== undefined) {
    const request = httpRequest(probe.httpGet, container, { podIP, purpose: "probe" });
    try {
      const { status, body } = await httpGet(sandbox, request, limit.signal);
      return httpOutcome(status, body);
    } catch (error) {
      if (error instanceof BodyError) return { kind: "error", state: "failure", message: error.message };
      return { kind: "failure", output: messageOf(error) };
    }
  }
  if (probe.tcpSocket !== undefined) {
    const port = targetPort(probe.tcpSocket.port, container);
    const host = probe.tcpSocket.host ?? "";
    return runTcp({ host: host === "" ? podIP : host, port }, target, limit);
  }
  if (probe.grpc !== undefined) {
    const { port, service = "" } = probe.grpc;
    const check = { target: { host: podIP, port }, service, timeout: limit.timeout };
    const output = await checkGrpcHealth(target, check, limit.signal);
    return output === undefined ? SUCCESS : { kind: "failure", output };
  }
  throw new Error(`missing probe handler for ${container.name}`);
}

function httpOutcome(status: number, body: string): ProbeOutcome {
  if (status >= 200 && status < 300) return SUCCESS;
  if (status >= 300 && status < 400)
    return { kind: "warning", output: `Probe terminated redirects, Response body: ${body}` };
  return { kind: "failure", output: `HTTP probe failed with statuscode: ${status}` };
}

async function runExec(
  command: readonly string[],
  { container, running }: ProbeTarget,
  { signal, timeout }: Limit,
): Promise<ProbeOutcome> {
  const argv = expandStatic(command, container);
  try {
    const { exitCode, stdout, stderr } = await captureCommand(running, argv, { bytes: OUTPUT_BYTES, signal });
    if (exitCode === 0) return SUCCESS;
    return { kind: "failure", output: (stdout + stderr).slice(0, OUTPUT_BYTES) };
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    return { kind: "failure", output: `command timed out: "${argv.join(" ")}" timed out after ${timeout}` };
  }
}

/** `ExpandContainerCommandOnlyStatic`: values as they are written, and nothing for those that come from elsewhere. */
function expandStatic(command: readonly string[], { env = [] }: Container): string[] {
  const values = new Map(env.map(({ name, value = "" }) => [name, value]));
  return command.map((word) => expandReferences(word, (name) => values.get(name)).text);
}

async function runTcp(
  address: { readonly host: string; readonly port: number },
  { sandbox }: ProbeTarget,
  { signal }: Limit,
): Promise<ProbeOutcome> {
  try {
    const socket = await dial(sandbox, address, signal);
    socket.on("error", () => undefined).destroy();
    return SUCCESS;
  } catch (error) {
    const output =
      error instanceof DeadlineError ? `dial tcp ${hostPort(address)}: i/o timeout` : messageOf(error);
    return { kind: "failure", output };
  }
}

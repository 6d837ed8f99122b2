/** One start of one container: image, configuration, process (kubelet startContainer). */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "../../../generated/kubernetes.ts";
import type { ContainerInstance, StartFailure } from "../../k8s/container-status.ts";
import { messageOf } from "../../kernel/problem.ts";
import type { ResolvedImage } from "../images/image.ts";
import {
  ContainerStartError,
  type ContainerSpec,
  type PodSandbox,
  type RunningContainer,
} from "../sandbox/sandbox.ts";
import { withStartNotes } from "./adopt-pod.ts";
import { ContainerConfigError } from "./config-error.ts";
import { containerSpec } from "./container-config.ts";
import { ensureImage } from "./ensure-image.ts";
import { containerLogFolder, podFolder, type KubeletContext } from "./kubelet-context.ts";
import { containerEvent } from "./pod-events.ts";
import { postStart } from "./post-start.ts";
import type { PodState } from "./pod-state.ts";
import { watchContainer } from "./watch-container.ts";
import { referencedObjects } from "./referenced-objects.ts";
import { stopSignalOf } from "./stop-signal.ts";

/** What the kubelet waits before it syncs a pod again whose sync has failed. */
const RETRY_MS = 10_000;

export interface StartRequest {
  readonly context: KubeletContext;
  readonly state: PodState;
  readonly sandbox: PodSandbox;
  readonly container: Container;
  readonly signal: AbortSignal;
  readonly retriesNow: boolean;
  /** Called before a step that may take long, so that what is so far is seen. */
  readonly onSlowStep: () => void;
  /** Asks for another pass: the container has ended. */
  readonly wake: () => void;
}

/** True when it runs. Otherwise the reason is in the pod's state. Rejects only when the signal aborts. */
export async function startContainer(request: StartRequest): Promise<boolean> {
  const { context, state, container } = request;
  if (!context.images.isPresent(container.image ?? "")) request.onSlowStep();
  const outcome = await ensureImage(request);
  if ("failure" in outcome) {
    remember(request, outcome.failure, outcome.retryInMs);
    return false;
  }
  request.signal.throwIfAborted();
  const { rootfs } = outcome.image;
  if (rootfs.kind === "image") state.record(container.name).rootfs = rootfs.path;
  const restartCount = nextRestartCount(request);
  let prepared: PreparedStart;
  try {
    prepared = prepareStart(request, outcome.image, restartCount);
  } catch (error) {
    return refuse(request, error);
  }
  const running = await runContainer(request, { ...prepared, image: outcome.image, restartCount });
  return running !== undefined && (await postStart({ ...request, running }));
}

interface PreparedStart {
  readonly spec: ContainerSpec;
  readonly terminationLog: string;
}

function prepareStart(request: StartRequest, image: ResolvedImage, restartCount: number): PreparedStart {
  const { context, state, sandbox, container } = request;
  const { pod } = state;
  const logFolder = containerLogFolder(context.folders, pod, container.name);
  mkdirSync(logFolder, { recursive: true });
  const terminationLog = newTerminationLog(request);
  const processesOf = targetOf(state, container.name);
  const spec = containerSpec({
    pod,
    container,
    image,
    id: randomBytes(32).toString("hex"),
    hostname: state.hostname,
    addresses: { hostIPs: [context.sandbox.nodeIP], podIPs: [sandbox.ip] },
    objects: referencedObjects(context.store, pod.metadata.namespace, (key) => state.references.add(key)),
    allocatable: context.node.allocatable,
    allowPrivileged: context.allowPrivileged,
    hasOneGroup: !context.sandbox.tier.otherUsers,
    volumes: state.volumes ?? new Map(),
    podFiles: state.podFiles,
    terminationLog,
    logPath: join(logFolder, `${restartCount}.log`),
    ...(processesOf === undefined ? {} : { processesOf }),
  });
  return { spec, terminationLog };
}

/** Id of the container whose processes an ephemeral one shares. Throws when it does not run. */
function targetOf(state: PodState, name: string): string | undefined {
  const ephemeral = state.pod.spec.ephemeralContainers?.find((container) => container.name === name);
  const target = ephemeral?.targetContainerName;
  if (target === undefined || target === "") return undefined;
  const record = state.containers.get(target);
  if (record?.current === undefined)
    throw new ContainerConfigError(`unable to find target container ${target}`);
  if (record.running !== undefined) return record.running.id;
  const problem = `container "${target}" is not running - in state CONTAINER_EXITED`;
  throw new ContainerStartError("CreateContainerError", problem);
}

async function runContainer(
  request: StartRequest,
  start: PreparedStart & {
    readonly image: ResolvedImage;
    readonly restartCount: number;
  },
): Promise<RunningContainer | undefined> {
  const { state, sandbox, container } = request;
  const { spec, image, restartCount } = start;
  const instance = {
    name: container.name,
    id: spec.id,
    restartCount,
    image: container.image ?? "",
    imageID: image.id,
  };
  try {
    const stopSignal = stopSignalOf(container, image.config.stopSignal);
    const { terminationLog } = start;
    const running = await sandbox.startContainer(
      withStartNotes(spec, { ...instance, terminationLog, stopSignal }),
    );
    tell(request, "Normal", "Created", "Container created");
    tell(request, "Normal", "Started", "Container started");
    const user = running.user === undefined ? {} : { user: running.user };
    state.begin({ ...instance, ...user, startedAt: running.startedAt });
    const record = state.record(container.name);
    record.running = running;
    record.terminationLog = start.terminationLog;
    record.stopSignal = stopSignal;
    dropOldLogs(request, restartCount);
    record.ended = watchContainer(request, { running, logPath: spec.logPath }).finally(request.wake);
    return running;
  } catch (error) {
    if (!(error instanceof ContainerStartError)) throw error;
    if (error.reason === "CreateContainerError" || error.reason === "CreateContainerConfigError") {
      refuse(request, error);
      return undefined;
    }
    failToRun(request, instance, error.message);
    return undefined;
  }
}

/** The runtime made the container and could not run it: an instance that ended at once, with exit code 128. */
function failToRun(request: StartRequest, instance: ContainerInstance, message: string): void {
  const { context, state } = request;
  tell(request, "Normal", "Created", "Container created");
  tell(request, "Warning", "Failed", `Error: ${message}`);
  const now = context.clock.now();
  state.begin({ ...instance, startedAt: now });
  state.end(instance.name, { exitCode: 128, reason: "StartError", message, finishedAt: now });
  state.record(instance.name).failure = { reason: "RunContainerError", message };
  dropOldLogs(request, instance.restartCount);
}

/** What was wrong before there was a container; tried again, also when an object it names changes. */
function refuse(request: StartRequest, error: unknown): false {
  delete request.state.record(request.container.name).rootfs;
  const message = messageOf(error);
  let reason = "CreateContainerError";
  if (error instanceof ContainerConfigError) reason = "CreateContainerConfigError";
  else if (error instanceof ContainerStartError) ({ reason } = error);
  const known = request.state.record(request.container.name).failure;
  if (known?.reason !== reason || known.message !== message)
    tell(request, "Warning", "Failed", `Error: ${message}`);
  remember(request, { reason, message }, RETRY_MS);
  return false;
}

function remember(
  { context, state, container }: StartRequest,
  failure: StartFailure,
  retryInMs: number | undefined,
): void {
  const retryAt = retryInMs === undefined ? {} : { retryAt: context.clock.monotonic() + retryInMs };
  state.record(container.name).failure = { ...failure, ...retryAt };
}

/** Kept logs of an earlier engine tell how often a container had been started (calcRestartCountByLogDir). */
function nextRestartCount({ context, state, container }: StartRequest): number {
  const { current, previous } = state.record(container.name);
  if (current !== undefined || previous !== undefined) return state.nextRestartCount(container.name);
  const folder = containerLogFolder(context.folders, state.pod, container.name);
  try {
    const counts = readdirSync(folder).map((name) => Number(/^(\d+)\.log/.exec(name)?.[1] ?? -1) + 1);
    return Math.max(0, ...counts);
  } catch {
    // No folder: never started.
    return 0;
  }
}

/** Logs are kept of the present instance and of the one before, as `kubectl logs --previous` shows no other. */
function dropOldLogs({ context, state, container }: StartRequest, restartCount: number): void {
  const folder = containerLogFolder(context.folders, state.pod, container.name);
  for (const name of readdirSync(folder)) {
    const count = Number(/^(\d+)\.log/.exec(name)?.[1] ?? restartCount);
    if (count < restartCount - 1) rmSync(join(folder, name), { force: true });
  }
}

/** A file of its own for each instance, so that no message outlives a restart; any user may write it. */
function newTerminationLog({ context, state, container }: StartRequest): string {
  const folder = join(podFolder(context.folders, state.pod.metadata.uid), "containers", container.name);
  // A start that failed has left one.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const path = join(folder, randomBytes(4).toString("hex"));
  writeFileSync(path, "");
  chmodSync(path, 0o666);
  return path;
}

function tell(
  { context, state, container }: StartRequest,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
): void {
  containerEvent(context.recorder, { pod: state.pod, name: container.name }, { type, reason, message });
}

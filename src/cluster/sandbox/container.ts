/** Starts containers: runs the program that makes each, and goes on with those of an earlier engine. */
import { closeSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../kernel/problem.ts";
import { type ProcessIdentity, startTimeOf } from "../../lib/process-identity.ts";
import { openJoins } from "./cgroups/join-cgroup.ts";
import { processUsage } from "./cgroups/process-usage.ts";
import type { ContainerContext, ContainerRuntimeOptions, Surroundings } from "./container-context.ts";
import {
  adoptContainerIo,
  lostContainerIo,
  openContainerIo,
  type ContainerIo,
  type Keeping,
} from "./container-io.ts";
import { ContainerMembers, MountNamespaceName } from "./container-members.ts";
import { containerProgram, type PodNamespaces } from "./container-program.ts";
import { ExecPause } from "./exec-pause.ts";
import { explainLaunch } from "./exec-plan.ts";
import type { ProcessExit } from "./exits.ts";
import { followContainer, type StartedContainer } from "./follow-container.ts";
import { readIdMap } from "./id-map.ts";
import type { ContainerDetails } from "./kept-details.ts";
import { LaunchError } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { makeOwnedFolders, removeOwnedFolders, type OwnedFolders } from "./owned-folders.ts";
import { type LaunchParts, prepareContainer } from "./prepare-container.ts";
import { ContainerStartError, type ContainerSpec, type RunningContainer } from "./sandbox.ts";
import { Tracers } from "./tracers.ts";

export interface ContainerRuntime {
  /** Takes 2–3 ms, of which the thread is blocked for all but the copying of files. Rejects with `ContainerStartError`. */
  start(spec: ContainerSpec, surroundings: Surroundings): Promise<StartedContainer>;
  /** Goes on with a container that an earlier engine started. Never throws: it may have lost its streams, or have ended. */
  adopt(adopted: AdoptedProcess, surroundings: Omit<Surroundings, "namespaces">): RunningContainer;
  /** Takes away what containers shared, so that `folder` can be removed. Containers are not touched. */
  close(): Promise<void>;
}

export interface AdoptedProcess {
  readonly identity: ProcessIdentity;
  readonly details: ContainerDetails;
  readonly ended: Promise<ProcessExit>;
  /** Descriptors that were kept for it. */
  readonly recovered: ReadonlyMap<string, readonly number[]>;
}

/** The namespaces that a process holds for its pod; `processesOf` is in the process namespace that the container joins. */
export function namespacesOf(pid: number, processesOf?: number): PodNamespaces {
  return {
    ...(processesOf === undefined ? {} : { pid: `/proc/${processesOf}/ns/pid` }),
    net: `/proc/${pid}/ns/net`,
    ipc: `/proc/${pid}/ns/ipc`,
    uts: `/proc/${pid}/ns/uts`,
  };
}

export function createContainerRuntime(options: ContainerRuntimeOptions): ContainerRuntime {
  const mountPoint = join(options.folder, "mnt");
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  const { launcher, stateDir } = options;
  const ownedFolder = join(options.folder, "owned");
  let owned: Promise<OwnedFolders> | undefined;
  const context: ContainerContext = {
    ...options,
    mountPoint,
    ids: readIdMap(),
    permitted: permittedCapabilities(),
    members: new ContainerMembers(launcher),
    tracers: new Tracers(),
    pause: new ExecPause(options.clock),
    measure: processUsage(options.clock),
    ownedFolders: () => (owned ??= makeOwnedFolders({ launcher, folder: ownedFolder, stateDir })),
  };
  return {
    start: (spec, surroundings) =>
      start(context, spec.tty === true ? { ...spec, env: terminalEnv(spec.env) } : spec, surroundings),
    adopt: (adopted, surroundings) => adopt(context, adopted, surroundings),
    async close() {
      await owned?.catch(() => undefined);
      if (owned !== undefined) removeOwnedFolders(launcher, ownedFolder);
    },
  };
}

/** What containerd adds when neither the image nor the pod says otherwise. */
function terminalEnv(env: readonly string[]): readonly string[] {
  return env.some((entry) => entry.startsWith("TERM=")) ? env : ["TERM=xterm", ...env];
}

async function start(
  context: ContainerContext,
  spec: ContainerSpec,
  surroundings: Surroundings,
): Promise<StartedContainer> {
  // What must not stay open, whether the container starts or not.
  const fds: number[] = [];
  let io: ContainerIo | undefined;
  try {
    const prepared = await prepareContainer(context, { spec, surroundings, fds });
    io = openContainerIo({
      launcher: context.launcher,
      clock: context.clock,
      folder: context.folder,
      spec,
      terminal: prepared.terminal,
      keeping: context.diesWithEngine ? undefined : keepingOf(context, surroundings),
      uid: prepared.user.uid,
      gid: prepared.user.gid,
      onLost: (error) => context.onLogLost?.(spec.id, error),
    });
    const { namespaces } = surroundings;
    const processes = namespaces.pid === undefined ? undefined : readlinkSync(namespaces.pid);
    const mountNamespace = new MountNamespaceName();
    const pid = launch(context, { spec, ...surroundings, ...prepared, mountNamespace, streams: io.inside });
    return followContainer(context, {
      spec,
      pid,
      io,
      user: prepared.user,
      cgroup: surroundings.cgroup,
      shared: processes === undefined ? undefined : { mnt: String(mountNamespace), pid: processes },
      startedAt: context.clock.now(),
      // Read before the child can be reaped: its pid is still its own, even as a zombie.
      startTime: startTimeOf(pid) ?? "",
      ended: context.exits.watch(pid),
    });
  } catch (error) {
    io?.abandon();
    surroundings.cgroup?.remove();
    throw asStartError(error);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function launch(context: ContainerContext, parts: LaunchParts): number {
  const { permitted, diesWithEngine } = context;
  const joins = openJoins(parts.cgroup);
  const { program, exec } = containerProgram({ ...parts, permitted, diesWithEngine, joins });
  try {
    const ownProcesses = parts.namespaces.pid === undefined ? linux.CLONE_NEWPID : 0;
    return context.launcher.start(program, ownProcesses | linux.CLONE_NEWNS);
  } catch (error) {
    throw error instanceof LaunchError ? explainLaunch(error, exec) : error;
  } finally {
    for (const fd of joins) closeSync(fd);
  }
}

function keepingOf(
  { keptLogs }: ContainerContext,
  { store }: Pick<Surroundings, "store">,
): Keeping | undefined {
  return keptLogs === undefined ? undefined : { tools: keptLogs, store };
}

function adopt(
  context: ContainerContext,
  { identity, details, ended, recovered }: AdoptedProcess,
  surroundings: Omit<Surroundings, "namespaces">,
): RunningContainer {
  const { spec, user, startedAt, shared } = details;
  const { launcher, clock, folder } = context;
  const keeping = keepingOf(context, surroundings);
  const onLost = (error: unknown) => context.onLogLost?.(spec.id, error);
  let io: ContainerIo;
  try {
    if (keeping === undefined) throw new Error("The engine keeps no logs");
    const { uid, gid } = user;
    io = adoptContainerIo({ launcher, clock, folder, spec, keeping, uid, gid, onLost }, recovered);
  } catch (error) {
    onLost(error);
    io = lostContainerIo();
  }
  const { cgroup } = surroundings;
  return followContainer(context, { spec, ...identity, io, user, cgroup, shared, startedAt, ended });
}

/** CapPrm of this process. */
function permittedCapabilities(): bigint {
  const hex = /^CapPrm:\s*([\da-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return BigInt(`0x${hex ?? "0"}`);
}

/** The contract has one kind of error: a file system that fails in a new way must not stop the kubelet's loop. */
function asStartError(error: unknown): ContainerStartError {
  if (error instanceof ContainerStartError) return error;
  const message = `failed to create container: ${messageOf(error)}`;
  return new ContainerStartError("CreateContainerError", message, { cause: error });
}

/** Starts containers: prepares everything on the engine's side, runs the program that makes the container, follows it to its end. */
import { closeSync, mkdirSync, readFileSync, readlinkSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../kernel/clock.ts";
import { messageOf } from "../../kernel/problem.ts";
import { type ProcessIdentity, startTimeOf } from "../../lib/process-identity.ts";
import { accountFiles } from "./account-files.ts";
import { openJoins } from "./cgroups/join-cgroup.ts";
import type { ContainerCgroup } from "./cgroups/open-cgroups.ts";
import { type MeasureContainer, processUsage } from "./cgroups/process-usage.ts";
import { ContainerMembers, type Membership, MountNamespaceName } from "./container-members.ts";
import { prepareCgroups } from "./container-cgroups.ts";
import { prepareDev } from "./container-dev.ts";
import { startExec } from "./container-exec.ts";
import {
  adoptContainerIo,
  lostContainerIo,
  openContainerIo,
  type ContainerIo,
  type ContainerIoOptions,
  type Keeping,
} from "./container-io.ts";
import { openMounts } from "./container-mounts.ts";
import { containerProgram, type PodNamespaces } from "./container-program.ts";
import { resolveUser, type ContainerUser } from "./container-user.ts";
import { detachedTerminals, detachedTmpfs } from "./detached-mount.ts";
import { ExecPause } from "./exec-pause.ts";
import { explainLaunch } from "./exec-plan.ts";
import type { Exits, ProcessExit } from "./exits.ts";
import type { FdStore } from "./fd-store.ts";
import type { MountPoint } from "./host-mount-points.ts";
import { prepareHostRoot } from "./host-root.ts";
import { readIdMap, type IdMap } from "./id-map.ts";
import { prepareImageRoot } from "./image-root.ts";
import type { ContainerDetails } from "./kept-details.ts";
import type { KeptLogTools } from "./kept-log.ts";
import { LaunchError, type Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { makeOwnedFolders, removeOwnedFolders, type OwnedFolders } from "./owned-folders.ts";
import type { Root, Scratch } from "./root-layers.ts";
import { ContainerStartError, type ContainerSpec, type RunningContainer } from "./sandbox.ts";
import { openTerminal } from "./terminal.ts";
import { Tracers } from "./tracers.ts";

const TTY_GROUP = 5;
const SIGKILL = 9;

export interface ContainerRuntimeOptions {
  readonly launcher: Launcher;
  readonly exits: Exits;
  readonly clock: Clock;
  /** A folder of the runtime's own, made 0700: the pipes of logs, and a place where children mount. */
  readonly folder: string;
  /** The cluster's folder, which no container may see. */
  readonly stateDir: string;
  /** Containers get SIGKILL when the engine's main thread ends, however it ends. */
  readonly diesWithEngine: boolean;
  /** For containers that do not, and for those that are adopted. */
  readonly keptLogs?: KeptLogTools | undefined;
  /** Told when lines of a container's log cannot be written, once per outage. */
  readonly onLogLost?: ((containerId: string, error: unknown) => void) | undefined;
}

export interface ContainerRuntime {
  /** Takes 2–3 ms, of which the thread is blocked for all but the copying of files. Rejects with `ContainerStartError`. */
  start(spec: ContainerSpec, surroundings: Surroundings): Promise<StartedContainer>;
  /** Goes on with a container that an earlier engine started. Never throws: it may have lost its streams, or have ended. */
  adopt(adopted: AdoptedProcess, surroundings: Omit<Surroundings, "namespaces">): RunningContainer;
  /** Takes away what containers shared, so that `folder` can be removed. Containers are not touched. */
  close(): Promise<void>;
}

export interface StartedContainer extends RunningContainer {
  /** For the engine that adopts it. */
  readonly details: Omit<ContainerDetails, "kind" | "podUid">;
}

export interface AdoptedProcess {
  readonly identity: ProcessIdentity;
  readonly details: ContainerDetails;
  readonly ended: Promise<ProcessExit>;
  /** Descriptors that were kept for it. */
  readonly recovered: ReadonlyMap<string, readonly number[]>;
}

/** What a container is put into. */
export interface Surroundings {
  readonly namespaces: PodNamespaces;
  /** Absent where control groups cannot be used. The runtime removes it once the container has ended. */
  readonly cgroup?: ContainerCgroup;
  /** The pod's /dev/shm, on the engine's side. */
  readonly sharedMemory?: string;
  /** Holds its pipes when the engine is gone. */
  readonly store?: FdStore | undefined;
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
  const context: Context = {
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

interface Context extends ContainerRuntimeOptions {
  readonly mountPoint: string;
  readonly ids: IdMap;
  readonly permitted: bigint;
  readonly members: ContainerMembers;
  readonly tracers: Tracers;
  readonly pause: ExecPause;
  readonly measure: MeasureContainer;
  /** Made when the first container needs them, kept for the others. */
  readonly ownedFolders: () => Promise<OwnedFolders>;
}

/** What containerd adds when neither the image nor the pod says otherwise. */
function terminalEnv(env: readonly string[]): readonly string[] {
  return env.some((entry) => entry.startsWith("TERM=")) ? env : ["TERM=xterm", ...env];
}

async function start(
  context: Context,
  spec: ContainerSpec,
  surroundings: Surroundings,
): Promise<StartedContainer> {
  // What must not stay open, whether the container starts or not.
  const fds: number[] = [];
  let io: ContainerIo | undefined;
  try {
    const prepared = await prepare(context, { spec, surroundings, fds });
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
    return follow(context, {
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

type LaunchParts = Omit<Parameters<typeof containerProgram>[0], "permitted" | "diesWithEngine" | "joins"> &
  Pick<Surroundings, "cgroup">;
type Prepared = Omit<LaunchParts, "spec" | "namespaces" | "cgroup" | "streams" | "mountNamespace"> &
  Pick<ContainerIoOptions, "terminal">;

interface PrepareInput {
  readonly spec: ContainerSpec;
  readonly surroundings: Surroundings;
  /** Gets what has to be closed. */
  readonly fds: number[];
}

async function prepare(context: Context, { spec, surroundings, fds }: PrepareInput): Promise<Prepared> {
  const { launcher, ids } = context;
  const user = resolveUser(spec.user, accountFiles(launcher, spec), ids);
  // Not `nodev`: the nodes of /dev are in it. What the container sees of it is bound `nodev`.
  const mount = detachedTmpfs(launcher, { mode: 0o755, nodev: false });
  fds.push(mount);
  const scratch: Scratch = { path: `/proc/self/fd/${mount}`, isUserNamespace: ids.isUserNamespace };
  for (const name of ["root", "upper", "work"]) mkdirSync(join(scratch.path, name));
  const mounts = openMounts(launcher, spec);
  fds.push(...mounts.fds);
  const cgroups = prepareCgroups(launcher, scratch, surroundings.cgroup?.views ?? []);
  fds.push(...cgroups.fds);
  const root = await prepareRoot(context, { spec, scratch, mountPoints: mounts.attachments });
  const hasTtyGroup = ids.isGid(TTY_GROUP);
  const terminals =
    spec.tty === true ? detachedTerminals(launcher, hasTtyGroup ? TTY_GROUP : undefined) : undefined;
  if (terminals !== undefined) fds.push(terminals);
  return {
    user,
    scratch: { mount, folder: context.mountPoint },
    root,
    mountDev: prepareDev(scratch, {
      privileged: spec.privileged,
      hasTtyGroup,
      terminals,
      sharedMemory: surroundings.sharedMemory,
    }),
    mountCgroups: cgroups.mount,
    attachments: mounts.attachments,
    // The last: it is the first that somebody has to close.
    terminal:
      terminals === undefined
        ? undefined
        : openTerminal(launcher, { root: terminals, path: "ptmx", uid: user.uid }),
  };
}

interface RootParts {
  readonly spec: ContainerSpec;
  readonly scratch: Scratch;
  readonly mountPoints: readonly MountPoint[];
}

async function prepareRoot(context: Context, { spec, scratch, mountPoints }: RootParts): Promise<Root> {
  const nodev = !spec.privileged;
  if (spec.rootfs.kind === "image") return prepareImageRoot(scratch, { path: spec.rootfs.path, nodev });
  const owned = scratch.isUserNamespace ? await context.ownedFolders() : new Map<string, string>();
  return prepareHostRoot(scratch, spec.rootfs, { stateDir: context.stateDir, nodev, mountPoints, owned });
}

function launch(context: Context, parts: LaunchParts): number {
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

function keepingOf({ keptLogs }: Context, { store }: Pick<Surroundings, "store">): Keeping | undefined {
  return keptLogs === undefined ? undefined : { tools: keptLogs, store };
}

function adopt(
  context: Context,
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
  return follow(context, { spec, ...identity, io, user, cgroup, shared, startedAt, ended });
}

interface Started {
  readonly spec: ContainerSpec;
  readonly pid: number;
  readonly io: ContainerIo;
  readonly user: ContainerUser;
  readonly cgroup: ContainerCgroup | undefined;
  /** Where others have processes in the same namespace: what the container's own are known by. */
  readonly shared: Membership | undefined;
  readonly startedAt: number;
  readonly startTime: string;
  readonly ended: Promise<ProcessExit>;
}

function follow(
  context: Context,
  { spec, pid, io, user, cgroup, shared, startedAt, startTime, ended }: Started,
): StartedContainer {
  const { exits, launcher, clock } = context;
  const forgetTracer = context.tracers.add(pid, spec);
  const endMembers = shared === undefined ? async () => {} : context.members.track(pid, shared);
  io.started();
  const exited = ended.then(async (exit) => {
    const oomKilled = cgroup?.hasOomKills() ?? false;
    // In a process namespace that others share, what it has started lives on.
    cgroup?.kill();
    await endMembers();
    forgetTracer();
    context.pause.forget(pid);
    cgroup?.remove();
    await io.drained();
    return { ...exit, oomKilled };
  });
  return {
    details: { spec, user, startedAt, ...(shared === undefined ? {} : { shared }) },
    id: spec.id,
    pid,
    startTime,
    startedAt,
    exited,
    user: { uid: user.uid, gid: user.gid, supplementalGroups: user.groups ?? [] },
    exec: async (program) =>
      startExec(context, { pid, spec, user, cgroup, isRunning: () => exits.isRunning(pid) }, program),
    attach(wanted) {
      if (exits.isRunning(pid)) return io.attach(wanted);
      throw new ContainerStartError("RunContainerError", "container is in CONTAINER_EXITED state");
    },
    writtenBytes: () => (exits.isRunning(pid) ? writtenBytes(pid) : undefined),
    usage() {
      const use = exits.isRunning(pid) ? (cgroup?.usage() ?? context.measure(pid)) : undefined;
      return use === undefined ? undefined : { ...use, measuredAt: clock.now() };
    },
    kill(signal) {
      if (!exits.isRunning(pid)) return;
      if (signal === SIGKILL) cgroup?.hurry();
      launcher.tryCall("kill", [pid, signal]);
    },
  };
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

/** What is in the tmpfs that holds everything a container changes; it shows through the container's root. */
function writtenBytes(pid: number): number | undefined {
  try {
    const { blocks, bfree, bsize } = statfsSync(`/proc/${pid}/root/`);
    return (blocks - bfree) * bsize;
  } catch {
    // It has ended just now.
    return undefined;
  }
}

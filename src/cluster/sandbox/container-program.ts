/** The system calls that make one container, in the order in which they are safe. */
import { attachMount, makeFolder, type Attachment } from "./attach.ts";
import { becomeUser, dieWithEngine } from "./become-user.ts";
import { hideOuterCgroups, joinCgroups } from "./cgroups/join-cgroup.ts";
import type { MountNamespaceName } from "./container-members.ts";
import { mountPseudo } from "./container-pseudo.ts";
import type { ContainerUser } from "./container-user.ts";
import { MOUNT_ATTRIBUTES_BYTES, mountAttributes } from "./detached-mount.ts";
import { addExec, type ExecPlan } from "./exec-plan.ts";
import * as linux from "./linux-constants.ts";
import { HOLD, OPEN_HOW_BYTES } from "./open-inside.ts";
import { Program, type Slot } from "./program.ts";
import { connectStreams, takeTerminal, type ProgramStreams } from "./program-streams.ts";
import type { Root } from "./root-layers.ts";
import type { ContainerSpec } from "./sandbox.ts";

/** The kubelet's `oom_score_adj` of BestEffort pods. */
const FIRST_TO_GO = 1000;

/** What the containers of a pod share: descriptors, or paths such as /proc/PID/ns/net. */
export interface PodNamespaces {
  readonly net: number | string;
  readonly ipc: number | string;
  readonly uts: number | string;
  /** Absent for a process namespace of the container's own. */
  readonly pid?: string;
}

export interface ContainerParts {
  readonly spec: ContainerSpec;
  readonly namespaces: PodNamespaces;
  readonly user: ContainerUser;
  /** The detached mount of the scratch space, and a folder to put it over. */
  readonly scratch: { readonly mount: number; readonly folder: string };
  readonly root: Root;
  readonly mountDev: (program: Program) => void;
  readonly mountCgroups: (program: Program) => void;
  /** Parents before children. */
  readonly attachments: readonly Attachment[];
  /** Filled by the program. */
  readonly mountNamespace: MountNamespaceName;
  /** Files of the control groups to be in, open for writing. */
  readonly joins: readonly number[];
  readonly streams: ProgramStreams;
  /** Capabilities of the engine, one bit each: a container cannot have others. */
  readonly permitted: bigint;
  /** SIGKILL when the engine's thread ends. */
  readonly diesWithEngine: boolean;
}

export interface ContainerProgram {
  readonly program: Program;
  readonly exec: ExecPlan;
}

/** For a child with CLONE_NEWNS, and CLONE_NEWPID where the container has processes of its own. */
export function containerProgram(parts: ContainerParts): ContainerProgram {
  const program = new Program();
  const { spec, root } = parts;
  // By the engine's /proc, before the container's processes can see this one.
  setOomScore(program, spec);
  parts.mountNamespace.note(program);
  if (parts.namespaces.pid !== undefined) joinProcesses(program, parts.namespaces.pid);
  join(program, parts.namespaces);
  enterScratch(program, parts.scratch);
  root.mount(program);
  parts.mountDev(program);
  mountPseudo(program, spec);
  parts.mountCgroups(program);
  switchRoot(program);
  // Before the pod's volumes are there: one of them could have put something else in the place of /dev/null.
  connectStreams(program, parts.streams);
  takeTerminal(program, parts.streams);
  const bases = spec.readOnlyRootFilesystem ? root.writable.map((path) => hold(program, path)) : [];
  for (const attachment of parts.attachments) attachMount(program, attachment);
  const workingDir = spec.workingDir === "" ? "/" : spec.workingDir;
  const folder = makeFolder(program, workingDir, `working directory "${workingDir}"`);
  for (const base of bases) makeReadOnly(program, base);
  program.call("fchdir", [folder], { name: `working directory "${workingDir}"` });
  // Late: what the kernel needs for mounts and namespaces is not to be paid for by the container's memory limit.
  joinCgroups(program, parts.joins);
  hideOuterCgroups(program, parts.joins);
  // Closed, not just marked: until execve, /proc/self/fd would lead to folders of the engine.
  program.closeFiles();
  becomeUser(program, parts);
  if (parts.diesWithEngine) dieWithEngine(program);
  return { program, exec: addExec(program, spec, parts.user.home) };
}

/**
 * All that follows happens in a process that others can see, and that shares the engine's memory until `execve`. A container
 * with CAP_SYS_PTRACE in there could take over a root that sets up mounts: only clusters with `--allow-privileged` give it.
 */
function joinProcesses(program: Program, path: string): void {
  const namespace = program.slot();
  program
    .call("openat", [linux.AT_FDCWD, path, linux.O_RDONLY | linux.O_CLOEXEC, 0], { save: namespace })
    .call("setns", [namespace, linux.CLONE_NEWPID], { name: "setns(pid)" })
    .call("prctl", [linux.PR_SET_DUMPABLE, 0, 0, 0, 0])
    .fork();
}

function join(program: Program, { net, ipc, uts }: PodNamespaces): void {
  const namespaces: readonly (readonly [string, number | string, number])[] = [
    ["net", net, linux.CLONE_NEWNET],
    ["ipc", ipc, linux.CLONE_NEWIPC],
    ["uts", uts, linux.CLONE_NEWUTS],
  ];
  for (const [name, namespace, type] of namespaces) {
    let fd: number | Slot;
    if (typeof namespace === "number") {
      fd = namespace;
    } else {
      fd = program.slot();
      program.call("openat", [linux.AT_FDCWD, namespace, linux.O_RDONLY | linux.O_CLOEXEC, 0], { save: fd });
    }
    program.call("setns", [fd, type], { name: `setns(${name})` });
  }
  // No key of the engine's session keyring is the container's.
  program.call("keyctl", [linux.KEYCTL_JOIN_SESSION_KEYRING, 0], { ignore: "all" }).call("setsid", []);
}

function enterScratch(program: Program, { mount, folder }: ContainerParts["scratch"]): void {
  program
    .call("umask", [0])
    .call("mount", [0, "/", 0, linux.MS_REC | linux.MS_PRIVATE, 0], { name: "mount(private,/)" })
    .call("move_mount", [mount, "", linux.AT_FDCWD, folder, linux.MOVE_MOUNT_F_EMPTY_PATH], {
      name: "mount(scratch)",
    })
    .call("fchdir", [mount]);
}

/** From here on no path leads to the engine's side any more; only descriptors do. */
function switchRoot(program: Program): void {
  program
    .call("chdir", ["root"])
    .call("pivot_root", [".", "."])
    .call("umount2", [".", linux.MNT_DETACH])
    .call("chdir", ["/"]);
}

/** Rather the container than the engine or the user's editor. Going below the engine's own value takes a capability. */
export function setOomScore(program: Program, { oomScoreAdj = FIRST_TO_GO }: ContainerSpec): void {
  const file = program.slot();
  const text = String(oomScoreAdj);
  program
    .call("openat", [linux.AT_FDCWD, "/proc/self/oom_score_adj", linux.O_WRONLY | linux.O_CLOEXEC, 0], {
      save: file,
    })
    .call("write", [file, text, text.length], { ignore: "all" });
}

function hold(program: Program, path: string): Slot {
  const held = program.slot();
  program.call("openat2", [linux.AT_FDCWD, path, HOLD, OPEN_HOW_BYTES], {
    save: held,
    name: `read-only root ${path}`,
  });
  return held;
}

function makeReadOnly(program: Program, mount: Slot): void {
  const attributes = mountAttributes(linux.MOUNT_ATTR_RDONLY);
  program.call("mount_setattr", [mount, "", linux.AT_EMPTY_PATH, attributes, MOUNT_ATTRIBUTES_BYTES], {
    name: "read-only root",
  });
}

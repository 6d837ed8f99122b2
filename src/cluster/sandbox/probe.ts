/** Finds out what the kernel lets us do by doing it, once, in short-lived children; only trying tells the truth. */
import { MOUNT_ATTRIBUTES_BYTES, mountAttributes } from "./detached-mount.ts";
import { readIdMap } from "./id-map.ts";
import * as linux from "./linux-constants.ts";
import { LaunchError, type Launcher } from "./launcher.ts";
import { Program } from "./program.ts";

/** One entry per check: undefined when it worked, else the call that failed and why. */
export interface ProbeResult {
  /** Pods: network, IPC and UTS namespace. */
  readonly podNamespaces: string | undefined;
  readonly sethostname: string | undefined;
  /** Containers: mount and pid namespace, with the root made private. */
  readonly containerNamespaces: string | undefined;
  readonly tmpfs: string | undefined;
  readonly bind: string | undefined;
  /** Mounts that are made first and attached later: Linux 5.12. */
  readonly detachedMount: string | undefined;
  /** A writable overlay of /usr, made as containers make theirs. */
  readonly overlay: string | undefined;
  /** A /proc of one's own in a pid namespace of one's own. */
  readonly proc: string | undefined;
  /** A /sys of one's own in a network namespace of one's own. */
  readonly sysfs: string | undefined;
  /** Becoming another user; fails where the user namespace holds one id only. */
  readonly setuid: string | undefined;
}

interface Check {
  readonly flags: number;
  readonly program: Program;
}

const { CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS } = linux;

/**
 * Runs every check; together about 10 ms. `folder` must exist: file systems are mounted over it, seen by the children
 * only. Call it inside the engine's namespaces: before, the answers are too good as root and too bad rootless.
 */
export function probe(launcher: Launcher, folder: string): ProbeResult {
  const result = (check: Check) => failureOf(launcher, check);
  return {
    podNamespaces: result({
      flags: CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
      program: new Program().exit(0),
    }),
    sethostname: result({
      flags: CLONE_NEWUTS,
      program: new Program().call("sethostname", ["probe", 5]),
    }),
    containerNamespaces: result({ flags: CLONE_NEWNS | CLONE_NEWPID, program: privateRoot() }),
    tmpfs: result({ flags: CLONE_NEWNS, program: onTmpfs(folder) }),
    bind: result({
      flags: CLONE_NEWNS,
      program: onTmpfs(folder).call("mount", ["/usr", folder, 0, linux.MS_BIND | linux.MS_REC, 0]),
    }),
    detachedMount: result({ flags: CLONE_NEWNS, program: detachedMount(folder) }),
    overlay: result({ flags: CLONE_NEWNS, program: overlay(folder) }),
    proc: result({ flags: CLONE_NEWNS | CLONE_NEWPID, program: pseudo("proc", folder) }),
    sysfs: result({ flags: CLONE_NEWNS | CLONE_NEWNET, program: pseudo("sysfs", folder) }),
    setuid: result({
      flags: 0,
      program: new Program().call("setresgid", [1, 1, 1]).call("setresuid", [1, 1, 1]),
    }),
  };
}

function failureOf(launcher: Launcher, { flags, program }: Check): string | undefined {
  try {
    const { exitCode } = launcher.run(program, flags);
    return exitCode === 0 ? undefined : `ended with exit code ${exitCode}`;
  } catch (error) {
    if (error instanceof LaunchError) return error.message;
    throw error;
  }
}

/** Mounts must not travel out of the child's namespace. */
function privateRoot(): Program {
  return new Program().call("mount", [0, "/", 0, linux.MS_REC | linux.MS_PRIVATE, 0], {
    name: "mount(private /)",
  });
}

function onTmpfs(folder: string): Program {
  return privateRoot().call("mount", [
    "tmpfs",
    folder,
    "tmpfs",
    linux.MS_NOSUID | linux.MS_NODEV,
    "mode=755",
  ]);
}

function overlay(folder: string): Program {
  const { isUserNamespace } = readIdMap();
  const program = onTmpfs(folder);
  for (const name of ["upper", "work", "root"]) {
    program.call("mkdirat", [linux.AT_FDCWD, `${folder}/${name}`, 0o755]);
  }
  const options = `lowerdir=/usr,upperdir=upper,workdir=work${isUserNamespace ? ",userxattr" : ""}`;
  return program
    .call("chdir", [folder])
    .call("mount", ["overlay", "root", "overlay", 0, options], { name: "mount(overlay)" })
    .call("mkdirat", [linux.AT_FDCWD, "root/.probe", 0o755]);
}

function pseudo(type: "proc" | "sysfs", folder: string): Program {
  const flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC;
  return privateRoot().call("mount", [type, folder, type, flags, 0]);
}

function detachedMount(folder: string): Program {
  const program = privateRoot();
  const tree = program.slot();
  const clone = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC;
  const attributes = mountAttributes(linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NODEV);
  return program
    .call("open_tree", [linux.AT_FDCWD, folder, clone], { save: tree })
    .call("mount_setattr", [tree, "", linux.AT_EMPTY_PATH, attributes, MOUNT_ATTRIBUTES_BYTES])
    .call("move_mount", [tree, "", linux.AT_FDCWD, folder, linux.MOVE_MOUNT_F_EMPTY_PATH]);
}

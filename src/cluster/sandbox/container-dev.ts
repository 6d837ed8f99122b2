/** The /dev of a container: the few devices that every program may use, or all of them for a privileged container. */
import { mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as linux from "./linux-constants.ts";
import type { Program } from "./program.ts";
import { bind, type Scratch } from "./root-layers.ts";
import { SHM_FLAGS, SHM_OPTIONS } from "./shared-memory.ts";

/** Major and minor number (Documentation/admin-guide/devices.txt). */
const DEVICES: readonly (readonly [name: string, major: number, minor: number])[] = [
  ["full", 1, 7],
  ["null", 1, 3],
  ["random", 1, 8],
  ["tty", 5, 0],
  ["urandom", 1, 9],
  ["zero", 1, 5],
];
const CHARACTER_DEVICE = 0o020000;
const LINKS: readonly (readonly [name: string, target: string])[] = [
  ["fd", "/proc/self/fd"],
  ["ptmx", "pts/ptmx"],
  ["stderr", "/proc/self/fd/2"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
];
const MOUNTED = ["mqueue", "pts", "shm"];
const QUIET = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC;
/** Group `tty`, which owns terminals in Debian's and Alpine's /etc/group. */
export const TTY_GROUP = 5;

export interface DevOptions {
  readonly privileged: boolean;
  readonly hasTtyGroup: boolean;
  /** Terminals that the engine has made, as a detached mount; the container makes its own otherwise. */
  readonly terminals: number | undefined;
  /** The pod's /dev/shm, on the engine's side; without, the container gets one of its own. */
  readonly sharedMemory: string | undefined;
}

/** Fills `dev` of the scratch space; the ops mount it at `root/dev`. */
export function prepareDev(
  scratch: Scratch,
  { privileged, hasTtyGroup, terminals, sharedMemory }: DevOptions,
): (program: Program) => void {
  const folder = join(scratch.path, "dev");
  mkdirSync(folder);
  for (const name of MOUNTED) mkdirSync(join(folder, name));
  for (const [name, target] of LINKS) symlinkSync(target, join(folder, name));
  for (const [name] of DEVICES) writeFileSync(join(folder, name), "");
  if (!scratch.isUserNamespace) mkdirSync(join(scratch.path, "devices"));
  const others = privileged ? prepareAllDevices(folder) : [];
  const ptsOptions = `newinstance,ptmxmode=0666,mode=0620${hasTtyGroup ? `,gid=${TTY_GROUP}` : ""}`;
  return (program) => {
    // CAP_MKNOD is in the default set: nodes that the container makes must not open.
    bind(program, { source: "dev", target: "root/dev", attributes: privileged ? 0 : linux.MOUNT_ATTR_NODEV });
    for (const device of DEVICES) addDevice(program, device, scratch);
    if (terminals === undefined) {
      const flags = linux.MS_NOSUID | linux.MS_NOEXEC;
      program.call("mount", ["devpts", "root/dev/pts", "devpts", flags, ptsOptions]);
    } else {
      program.call(
        "move_mount",
        [terminals, "", linux.AT_FDCWD, "root/dev/pts", linux.MOVE_MOUNT_F_EMPTY_PATH],
        {
          name: "mount(devpts)",
        },
      );
    }
    if (sharedMemory === undefined)
      program.call("mount", ["shm", "root/dev/shm", "tmpfs", SHM_FLAGS, SHM_OPTIONS]);
    else bind(program, { source: sharedMemory, target: "root/dev/shm", attributes: 0 });
    // Kernels without POSIX queues exist; nothing else needs them.
    program.call("mount", ["mqueue", "root/dev/mqueue", "mqueue", QUIET, 0], { ignore: "all" });
    for (const name of others) {
      program.call("mount", [`/dev/${name}`, `root/dev/${name}`, 0, linux.MS_BIND | linux.MS_REC, 0], {
        ignore: "all",
      });
    }
  };
}

/**
 * The node is never the machine's own where the container could change its mode: root gets a new one, and in a user
 * namespace, which may not make any, the machine's is bound read-only (devices can be written all the same).
 */
function addDevice(program: Program, device: (typeof DEVICES)[number], { isUserNamespace }: Scratch): void {
  const [name, major, minor] = device;
  const target = `root/dev/${name}`;
  if (isUserNamespace) {
    bind(program, { source: `/dev/${name}`, target, attributes: linux.MOUNT_ATTR_RDONLY });
    return;
  }
  const node = `devices/${name}`;
  program.call("mknodat", [linux.AT_FDCWD, node, CHARACTER_DEVICE | 0o666, (major << 8) | minor]);
  bind(program, { source: node, target, attributes: 0 });
}

/** Returns the names to bind, devices and folders of devices. */
function prepareAllDevices(folder: string): readonly string[] {
  const taken = new Set([...DEVICES.map(([name]) => name), ...MOUNTED, ...LINKS.map(([name]) => name)]);
  const names: string[] = [];
  for (const entry of readdirSync("/dev", { withFileTypes: true })) {
    const { name } = entry;
    if (taken.has(name)) continue;
    if (entry.isSymbolicLink()) {
      symlinkSync(readlinkSync(`/dev/${name}`), join(folder, name));
      continue;
    }
    if (entry.isDirectory()) mkdirSync(join(folder, name));
    else if (entry.isBlockDevice() || entry.isCharacterDevice()) writeFileSync(join(folder, name), "");
    else continue;
    names.push(name);
  }
  return names;
}

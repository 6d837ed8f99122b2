/** Mounts that belong to no folder yet: the engine makes them, a container puts them into its own tree; closing the descriptor undoes them. */
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";

export interface TmpfsOptions {
  readonly mode: number;
  /** Bytes; without, the kernel's half of the memory. */
  readonly sizeLimit?: number | undefined;
  readonly nodev: boolean;
}

/** `struct mount_attr`; the tree also stops handing its mounts on to, or getting mounts from, the one it was cloned from. */
export function mountAttributes(set: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(set), 0n, BigInt(linux.MS_PRIVATE), 0n).buffer);
}

export const MOUNT_ATTRIBUTES_BYTES = 32;

/** A fresh tmpfs. Returns a descriptor. Throws `SyscallError`. */
export function detachedTmpfs(launcher: Launcher, { mode, sizeLimit, nodev }: TmpfsOptions): number {
  const context = launcher.call("fsopen", ["tmpfs", linux.FSOPEN_CLOEXEC]);
  try {
    const set = (key: string, value: string): void => {
      launcher.call("fsconfig", [context, linux.FSCONFIG_SET_STRING, key, value, 0]);
    };
    set("source", "pillion");
    set("mode", mode.toString(8));
    if (sizeLimit !== undefined) set("size", String(sizeLimit));
    launcher.call("fsconfig", [context, linux.FSCONFIG_CMD_CREATE, 0, 0, 0]);
    return launcher.call("fsmount", [context, linux.FSMOUNT_CLOEXEC, nodev ? linux.MOUNT_ATTR_NODEV : 0]);
  } finally {
    launcher.call("close", [context]);
  }
}

export interface CloneOptions {
  readonly readOnly: boolean;
  /** Mounts below it become read-only, too. */
  readonly recursiveReadOnly?: boolean | undefined;
}

/** Terminals of a container's own. Returns a descriptor, in which `ptmx` opens a new one. Throws `SyscallError`. */
export function detachedTerminals(launcher: Launcher, group: number | undefined): number {
  const context = launcher.call("fsopen", ["devpts", linux.FSOPEN_CLOEXEC]);
  try {
    const options = {
      ptmxmode: "0666",
      mode: "0620",
      ...(group === undefined ? {} : { gid: String(group) }),
    };
    for (const [key, value] of Object.entries(options))
      launcher.call("fsconfig", [context, linux.FSCONFIG_SET_STRING, key, value, 0]);
    launcher.call("fsconfig", [context, linux.FSCONFIG_SET_FLAG, "newinstance", 0, 0]);
    launcher.call("fsconfig", [context, linux.FSCONFIG_CMD_CREATE, 0, 0, 0]);
    const attributes = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC;
    return launcher.call("fsmount", [context, linux.FSMOUNT_CLOEXEC, attributes]);
  } finally {
    launcher.call("close", [context]);
  }
}

/** A copy of the mount at `held` (an O_PATH descriptor) with everything mounted below it, `nodev`. Throws `SyscallError`. */
export function detachedClone(
  launcher: Launcher,
  held: number,
  { readOnly, recursiveReadOnly = false }: CloneOptions,
): number {
  const flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH | linux.AT_RECURSIVE;
  const mount = launcher.call("open_tree", [held, "", flags]);
  const set = (attribute: number, how: number): void => {
    const bytes = mountAttributes(attribute);
    launcher.call("mount_setattr", [mount, "", linux.AT_EMPTY_PATH | how, bytes, MOUNT_ATTRIBUTES_BYTES]);
  };
  try {
    set(linux.MOUNT_ATTR_NODEV, linux.AT_RECURSIVE);
    if (readOnly) set(linux.MOUNT_ATTR_RDONLY, recursiveReadOnly ? linux.AT_RECURSIVE : 0);
    return mount;
  } catch (error) {
    launcher.call("close", [mount]);
    throw error;
  }
}

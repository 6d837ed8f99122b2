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

/** A copy of the mount at `held` (an O_PATH descriptor) with everything mounted below it, `nodev`. Throws `SyscallError`. */
export function detachedClone(launcher: Launcher, held: number, { readOnly }: { readOnly: boolean }): number {
  const flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH | linux.AT_RECURSIVE;
  const mount = launcher.call("open_tree", [held, "", flags]);
  const attributes = mountAttributes(linux.MOUNT_ATTR_NODEV | (readOnly ? linux.MOUNT_ATTR_RDONLY : 0));
  try {
    launcher.call("mount_setattr", [
      mount,
      "",
      linux.AT_EMPTY_PATH | linux.AT_RECURSIVE,
      attributes,
      MOUNT_ATTRIBUTES_BYTES,
    ]);
    return mount;
  } catch (error) {
    launcher.call("close", [mount]);
    throw error;
  }
}

/** /dev/shm of a pod: one file system that all of its containers see, as they see each other's System V memory. */
import { mkdirSync, rmdirSync } from "node:fs";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";

/** containerd's size of /dev/shm. */
export const SHM_OPTIONS = "mode=1777,size=65536k";
export const SHM_FLAGS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC;

export interface SharedMemory {
  /** On the engine's side. */
  readonly path: string;
  /** Containers that still have it keep it. Idempotent. */
  remove(): void;
}

/** Throws `SyscallError`. */
export function mountSharedMemory(launcher: Launcher, path: string): SharedMemory {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  launcher.call("mount", ["shm", path, "tmpfs", SHM_FLAGS, SHM_OPTIONS]);
  return mountedSharedMemory(launcher, path);
}

/** What an earlier engine has mounted. */
export function mountedSharedMemory(launcher: Launcher, path: string): SharedMemory {
  let isThere = true;
  return {
    path,
    remove() {
      if (!isThere) return;
      isThere = false;
      launcher.call("umount2", [path, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW]);
      rmdirSync(path);
    },
  };
}

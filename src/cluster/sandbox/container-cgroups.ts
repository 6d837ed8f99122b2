/** The /sys/fs/cgroup of a container: its own control group, by which runtimes such as the JVM learn how large they may get. */
import { closeSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { CgroupView } from "./cgroups/cgroup-driver.ts";
import { MOUNT_ATTRIBUTES_BYTES, mountAttributes } from "./detached-mount.ts";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import type { Program } from "./program.ts";
import { bind, type Scratch } from "./root-layers.ts";

const FOLDER = "cgroup";
const TARGET = "root/sys/fs/cgroup";
const ATTRIBUTES =
  linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC;

export interface CgroupMounts {
  /** After /sys; where there are no groups, that stays as it is. */
  readonly mount: (program: Program) => void;
  /** To be closed when the container has its mounts or did not start. */
  readonly fds: readonly number[];
}

/** As runc's `cgroup` mount, read-only (runtime-spec, config-linux). Throws `SyscallError`, and then leaves nothing open. */
export function prepareCgroups(
  launcher: Launcher,
  scratch: Scratch,
  views: readonly CgroupView[],
): CgroupMounts {
  const mounts: { readonly fd: number; readonly target: string }[] = [];
  const isUnified = views.every(({ controller }) => controller === undefined);
  if (!isUnified) mkdirSync(join(scratch.path, FOLDER));
  const shown = new Map<string, string>();
  try {
    for (const { controller, folder } of views) {
      const same = shown.get(folder);
      if (controller === undefined) {
        mounts.push({ fd: clone(launcher, folder), target: TARGET });
      } else if (same === undefined) {
        shown.set(folder, controller);
        mkdirSync(join(scratch.path, FOLDER, controller));
        mounts.push({ fd: clone(launcher, folder), target: `${TARGET}/${controller}` });
      } else {
        symlinkSync(same, join(scratch.path, FOLDER, controller));
      }
    }
  } catch (error) {
    for (const { fd } of mounts) closeSync(fd);
    throw error;
  }
  return {
    fds: mounts.map(({ fd }) => fd),
    mount(program) {
      if (!isUnified) bind(program, { source: FOLDER, target: TARGET, attributes: ATTRIBUTES });
      for (const { fd, target } of mounts) {
        program.call("move_mount", [fd, "", linux.AT_FDCWD, target, linux.MOVE_MOUNT_F_EMPTY_PATH], {
          name: `mount(cgroup,${target.slice("root".length)})`,
        });
      }
    },
  };
}

/** A detached mount of one group. */
function clone(launcher: Launcher, folder: string): number {
  const flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC;
  const mount = launcher.call("open_tree", [linux.AT_FDCWD, folder, flags]);
  try {
    const attributes = mountAttributes(ATTRIBUTES);
    launcher.call("mount_setattr", [mount, "", linux.AT_EMPTY_PATH, attributes, MOUNT_ATTRIBUTES_BYTES]);
    return mount;
  } catch (error) {
    closeSync(mount);
    throw error;
  }
}

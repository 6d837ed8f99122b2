/** Opens what a container mounts, on the engine's side and before its process exists, so that errors name the mount. */
import { closeSync, fstatSync, openSync, constants } from "node:fs";
import { normalize } from "node:path";
import { messageOf } from "../../kernel/problem.ts";
import type { Attachment } from "./attach.ts";
import { detachedClone, detachedTmpfs } from "./detached-mount.ts";
import type { Launcher } from "./launcher.ts";
import { O_CLOEXEC, O_PATH } from "./linux-constants.ts";
import { holdBeneath } from "./open-inside.ts";
import { type ContainerSpec, ContainerStartError, type Mount } from "./sandbox.ts";

/** Volumes that a pod declares as memory and the container's own tmpfs: everybody may write, as on any tmpfs. */
const TMPFS_MODE = 0o1777;

export interface OpenMounts {
  /** Parents before children, else in the order of the pod. */
  readonly attachments: readonly Attachment[];
  /** The descriptors, for when the container has its mounts or did not start. */
  readonly fds: readonly number[];
}

/** Throws `ContainerStartError`, and then leaves nothing open. */
export function openMounts(launcher: Launcher, { name, mounts }: ContainerSpec): OpenMounts {
  const fds: number[] = [];
  try {
    const attachments = parentsFirst(mounts).map((mount) => {
      const opened = openMount(launcher, mount, name);
      fds.push(opened.fd);
      return {
        mount: opened.fd,
        target: mount.target,
        isFolder: opened.isFolder,
        name: `error mounting "${mount.source ?? mount.kind}" to rootfs at "${mount.target}"`,
      };
    });
    return { attachments, fds };
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}

/** A mount over a parent would hide its children, so depth decides; equally deep ones stay in order. */
export function parentsFirst(mounts: readonly Mount[]): readonly Mount[] {
  const depth = ({ target }: Mount) => normalize(`/${target}`).split("/").filter(Boolean).length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

function openMount(launcher: Launcher, mount: Mount, container: string): { fd: number; isFolder: boolean } {
  refuseTarget(mount);
  if (mount.kind === "tmpfs") {
    return {
      fd: detachedTmpfs(launcher, { mode: TMPFS_MODE, sizeLimit: mount.sizeLimit, nodev: true }),
      isFolder: true,
    };
  }
  const held = holdSource(launcher, mount, container);
  try {
    const isFolder = fstatSync(held).isDirectory();
    return { fd: detachedClone(launcher, held, mount), isFolder };
  } catch (cause) {
    throw mountError(mount, cause);
  } finally {
    closeSync(held);
  }
}

/** As runc: a mount there would undo the masks, or be undone by them. */
function refuseTarget({ source, kind, target }: Mount): void {
  const path = normalize(`/${target}/`);
  if (path !== "/" && !path.startsWith("/proc/")) return;
  throw new ContainerStartError(
    "StartError",
    `unable to start container process: error mounting "${source ?? kind}" to rootfs at "${target}": ` +
      `"${target}" cannot be mounted because it is ${path === "/" ? "the root itself" : "inside /proc"}`,
  );
}

function holdSource(launcher: Launcher, mount: Mount, container: string): number {
  let base: number;
  try {
    base = openSync(mount.source ?? "", O_PATH | O_CLOEXEC | constants.O_RDONLY);
  } catch (cause) {
    throw mountError(mount, cause);
  }
  if (mount.subPath === undefined || mount.subPath === "") return base;
  try {
    return holdBeneath(launcher, base, mount.subPath);
  } catch (cause) {
    throw new ContainerStartError(
      "CreateContainerConfigError",
      `failed to prepare subPath for volumeMount at "${mount.target}" of container "${container}": ` +
        `subPath "${mount.subPath}" must be inside the volume and made of folders: ${messageOf(cause)}`,
      { cause },
    );
  } finally {
    closeSync(base);
  }
}

function mountError({ source, target }: Mount, cause: unknown): ContainerStartError {
  return new ContainerStartError(
    "StartError",
    `unable to start container process: error mounting "${source ?? ""}" to rootfs at "${target}": ${messageOf(cause)}`,
    { cause },
  );
}

/** Reads /etc/passwd and /etc/group of an image, which whoever made it controls. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import type { AccountFiles } from "./container-user.ts";
import { SyscallError, type Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { openInRoot } from "./open-inside.ts";
import type { ContainerSpec } from "./sandbox.ts";

/** Larger account files are somebody's mistake or attack. */
const MAX_ACCOUNT_BYTES = 4 * 1024 * 1024;

/** As the image has them: mounts do not count, as in containerd. */
export function accountFiles(launcher: Launcher, { rootfs }: ContainerSpec): AccountFiles {
  const read = (path: string): string => {
    const copy = rootfs.kind === "host" ? rootfs.copies.findLast(({ to }) => to === `/${path}`) : undefined;
    if (copy !== undefined) return readFileSync(copy.from, "utf8");
    return readInRoot(launcher, rootfs.kind === "host" ? "/" : rootfs.path, path);
  };
  return { passwd: read("etc/passwd"), group: read("etc/group") };
}

/** Empty when there is no such ordinary file. */
function readInRoot(launcher: Launcher, root: string, path: string): string {
  let base: number | undefined;
  let fd: number | undefined;
  try {
    base = openSync(root, linux.O_PATH | linux.O_DIRECTORY | constants.O_RDONLY);
    // Not to hang on a pipe of that name.
    fd = openInRoot(launcher, base, { path, flags: linux.O_RDONLY | linux.O_NONBLOCK });
    const { size } = fstatSync(fd);
    return fstatSync(fd).isFile() && size <= MAX_ACCOUNT_BYTES ? readFileSync(fd, "utf8") : "";
  } catch (error) {
    if (error instanceof SyscallError || isMissing(error)) return "";
    throw error;
  } finally {
    for (const open of [base, fd]) if (open !== undefined) closeSync(open);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

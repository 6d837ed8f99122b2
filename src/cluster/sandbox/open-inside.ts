/** Opens paths that somebody else controls without ever leaving the folder they are meant for (openat2(2)). */
import { fstatSync } from "node:fs";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";

const ENOENT = -2;
const EEXIST = -17;

/** `struct open_how`. */
export function openHow({
  flags,
  mode = 0,
  resolve,
}: {
  flags: number;
  mode?: number;
  resolve: number;
}): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(flags), BigInt(mode), BigInt(resolve)).buffer);
}

export const OPEN_HOW_BYTES = 24;

/** `open_how` of a path that is only held, not read; magic links of /proc would lead out of any root. */
export const HOLD = openHow({ flags: linux.O_PATH | linux.O_CLOEXEC, resolve: linux.RESOLVE_NO_MAGICLINKS });
export const HOLD_FOLDER = openHow({
  flags: linux.O_PATH | linux.O_CLOEXEC | linux.O_DIRECTORY,
  resolve: linux.RESOLVE_NO_MAGICLINKS,
});

/** Opens `path` as a process whose root is the folder `root` would: absolute links and `..` stay inside. Throws `SyscallError`. */
export function openInRoot(
  launcher: Launcher,
  root: number,
  { path, flags }: { path: string; flags: number },
): number {
  const resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS;
  return launcher.call("openat2", [
    root,
    path,
    openHow({ flags: flags | linux.O_CLOEXEC, resolve }),
    OPEN_HOW_BYTES,
  ]);
}

/**
 * Holds `path` below the folder `base`; anything that leads out is refused with EXDEV. Missing folders are made with the
 * mode of `base`, as the kubelet does for `subPath`. Throws `SyscallError`.
 */
export function holdBeneath(launcher: Launcher, base: number, path: string): number {
  const resolve = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_MAGICLINKS;
  const how = openHow({ flags: linux.O_PATH | linux.O_CLOEXEC, resolve });
  const found = launcher.tryCall("openat2", [base, path, how, OPEN_HOW_BYTES]);
  if (found !== ENOENT)
    return found >= 0 ? found : launcher.call("openat2", [base, path, how, OPEN_HOW_BYTES]);
  const mode = fstatSync(base).mode & 0o7777;
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  let parent = launcher.call("openat2", [base, ".", how, OPEN_HOW_BYTES]);
  for (const index of names.keys()) {
    const name = names[index] ?? "";
    try {
      const made = launcher.tryCall("mkdirat", [parent, name, mode]);
      if (made < 0 && made !== EEXIST) launcher.call("mkdirat", [parent, name, mode]);
      const next = launcher.call("openat2", [base, names.slice(0, index + 1).join("/"), how, OPEN_HOW_BYTES]);
      launcher.call("close", [parent]);
      parent = next;
    } catch (error) {
      launcher.call("close", [parent]);
      throw error;
    }
  }
  return parent;
}

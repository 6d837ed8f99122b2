/** The only way the control groups of the sandbox reach the file system, so that tables of file contents can stand in for it. */
import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import type { Launcher } from "../launcher.ts";

export interface CgroupFiles {
  /** `undefined` when it is not there or cannot be read. */
  read(path: string): string | undefined;
  /** Throws the kernel's error. */
  write(path: string, text: string): void;
  isWritable(path: string): boolean;
  /** True when systemd has handed the group over to whoever runs in it (`Delegate=yes`, systemd.resource-control(5)). */
  isDelegated(folder: string): boolean;
  /** Makes one folder; one that is there is fine. Throws the kernel's error. */
  makeFolder(path: string): void;
  /** Names of the groups below a group; none when it is not there. */
  folders(path: string): readonly string[];
  /** False when it could not be removed; true when it is gone. */
  removeFolder(path: string): boolean;
}

/** `launcher` is for extended attributes, which Node cannot read; without it nothing counts as delegated. */
export function kernelCgroupFiles(launcher?: Launcher): CgroupFiles {
  return {
    read(path) {
      try {
        return readFileSync(path, "utf8");
      } catch {
        return undefined;
      }
    },
    // One write(2): the kernel takes each as one command.
    write: (path, text) => writeFileSync(path, text, { flag: "r+" }),
    isWritable(path) {
      try {
        accessSync(path, constants.W_OK);
        return true;
      } catch {
        return false;
      }
    },
    isDelegated: (folder) =>
      launcher !== undefined &&
      ["user.delegate", "trusted.delegate"].some((name) => hasAttribute(launcher, folder, name)),
    makeFolder(path) {
      try {
        mkdirSync(path, { mode: 0o755 });
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    },
    folders(path) {
      try {
        const entries = readdirSync(path, { withFileTypes: true });
        return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      } catch {
        return [];
      }
    },
    removeFolder(path) {
      try {
        rmdirSync(path);
        return true;
      } catch (error) {
        return isErrno(error, "ENOENT");
      }
    },
  };
}

function hasAttribute(launcher: Launcher, folder: string, name: string): boolean {
  const value = new Uint8Array(8);
  return launcher.tryCall("getxattr", [folder, name, value, value.length]) > 0;
}

export function isErrno(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === code;
}

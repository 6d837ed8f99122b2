/** What hinders the reading of files, in words that say what to do. */
import type { Stats } from "node:fs";
import { messageOf, Problem } from "../../../kernel/problem.ts";

/** A file or folder that the file system does not let us read. */
export function unreadable(path: string, because: unknown, stats?: Stats): Problem {
  const code = because instanceof Error && "code" in because ? because.code : undefined;
  if (code === "EMFILE" || code === "ENFILE")
    return new Problem({
      code: "E_FILES_TOO_MANY_OPEN",
      message: `Cannot read "${path}": too many files are open`,
      fix: "Raise the limit of open files (ulimit -n), or read fewer files",
      cause: because,
    });
  if (code !== "EACCES" && code !== "EPERM")
    return new Problem({
      code: "E_FILE_UNREADABLE",
      message: `Cannot read "${path}": ${messageOf(because)}`,
      fix: "Check the volume that the file is on",
      cause: because,
    });
  const owner = stats === undefined ? "the file's group" : `user ${stats.uid} or group ${stats.gid}`;
  return new Problem({
    code: "E_FILE_UNREADABLE",
    message: `Cannot read "${path}": permission is denied`,
    fix: `Run the sidecar as ${owner} (runAsUser, runAsGroup or supplementalGroups), or let the application make its files readable (chmod a+r, umask 022)`,
    cause: because,
  });
}

/** Said once files have been looked for; the application may make them later. */
export function matchesNothing(pattern: string): Problem {
  return new Problem({
    code: "E_FILES_NONE",
    message: `Cannot find a file for "${pattern}" yet`,
    fix: "Nothing, if the application makes it later; else correct the pattern, or mount the volume into this container too",
  });
}

export function tooManyFiles(most: number): Problem {
  return new Problem({
    code: "E_FILES_TOO_MANY",
    message: `Cannot read all files: the patterns match more than ${most}`,
    fix: "Write narrower patterns in `files`, add `exclude`, or let `remove` delete what is delivered",
  });
}

export function damagedGzip(path: string, because: Error): Problem {
  return new Problem({
    code: "E_FILE_DAMAGED",
    message: `Cannot read all of "${path}": ${because.message}; what stands before the damage is delivered`,
    fix: "Delete the file, or replace it by a whole one",
    cause: because,
  });
}

export function holesRefused(path: string): Problem {
  return new Problem({
    code: "E_HOLES_REFUSED",
    message: `Cannot give back delivered blocks of "${path}": the file system refuses holes, or the file may not be written to`,
    fix: "Use `rotate.by: rename`, or a volume on ext4, xfs, btrfs or tmpfs that this user may write to",
  });
}

export function cannotChange(what: "rename" | "remove", path: string, because: unknown): Problem {
  return new Problem({
    code: "E_FILE_UNCHANGEABLE",
    message: `Cannot ${what} "${path}": ${messageOf(because)}`,
    fix: "Mount the volume without readOnly, and let this user write to the file's folder",
    cause: because,
  });
}

export function keepsDescriptor(path: string): Problem {
  return new Problem({
    code: "E_ROTATION_UNNOTICED",
    message: `Cannot rotate "${path}": the application goes on writing to the renamed file`,
    fix: "Use `rotate.by: hole`, which needs no cooperation, or let the application open its log again",
  });
}

/** Gives every sidecar a folder of its own for what must survive a restart. */
import { closeSync, fchmodSync, fstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { messageOf, Problem } from "../kernel/problem.ts";
import { openFolderInside } from "../lib/inside.ts";

const PRIVATE = 0o700;
/** One segment, so that a name leads nowhere else. */
const NAME = /^[a-z0-9][-a-z0-9]*$/;

/** Makes the folder where it is missing and its mode 0700 where it is not. Throws `E_STATE_FOLDER`. */
export function makeStateFolder(state: string, name: string): string {
  const path = join(state, name);
  if (!NAME.test(name)) throw new RangeError(`The name "${name}" cannot be that of a folder`);
  try {
    mkdirSync(state, { recursive: true });
    const folder = openFolderInside(state, name, PRIVATE);
    try {
      if ((fstatSync(folder).mode & 0o777) !== PRIVATE) fchmodSync(folder, PRIVATE);
    } finally {
      closeSync(folder);
    }
  } catch (cause) {
    throw new Problem({
      code: "E_STATE_FOLDER",
      message: `Cannot keep state in folder "${path}": ${messageOf(cause)}`,
      fix: "Mount a volume there that this process may write to, or set `state` to another folder",
      cause,
    });
  }
  return path;
}

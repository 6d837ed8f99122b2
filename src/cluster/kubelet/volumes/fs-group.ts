/** Gives a volume to the pod's `fsGroup` (kubernetes `volume_linux.go`), however large it is and whatever is in it. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  openSync,
  readdirSync,
} from "node:fs";
import type { PodSecurityContext } from "../../../../generated/kubernetes.ts";
import { messageOf } from "../../../kernel/problem.ts";
import { childOf } from "../../../lib/inside.ts";
import { O_CLOEXEC, O_PATH } from "../../sandbox/linux-constants.ts";

const SET_GROUP_ID = 0o2000;
const READ_WRITE = 0o660;
const READ_ONLY = 0o440;
const SEARCH = 0o110;
/** Entries between two looks at what else the engine has to do; about 10 ms. */
const ENTRIES_PER_TURN = 500;
/** Each level holds a descriptor open. */
const MAX_DEPTH = 256;
const HOLD = O_PATH | O_CLOEXEC | constants.O_NOFOLLOW;

export interface FsGroupWish {
  readonly group: number;
  /** Nobody writes to the volume. */
  readonly readOnly: boolean;
  readonly policy?: PodSecurityContext["fsGroupChangePolicy"];
}

export interface FsGroupOutcome {
  /** Entries that were looked at; 0 = the root had what it needs and the policy asks no more. */
  readonly entries: number;
  /** Why the first of those that could not be changed could not: the kubelet goes on, too. */
  readonly failure?: string;
}

interface Walk {
  readonly wish: FsGroupWish;
  entries: number;
  inThisTurn: number;
  failure?: string;
}

/** What the group may do with a file or folder. Set-group-id makes what is created in a folder belong to the group, too. */
export function groupMode(isFolder: boolean, readOnly: boolean): number {
  return (readOnly ? READ_ONLY : READ_WRITE) | (isFolder ? SEARCH | SET_GROUP_ID : 0);
}

/**
 * Changes the group and adds to the modes of everything below `root`, the root itself last: an interrupted change begins
 * anew. Symlinks change hands themselves and are never followed.
 */
export async function applyFsGroup(root: string, wish: FsGroupWish): Promise<FsGroupOutcome> {
  const folder = openSync(root, O_PATH | O_CLOEXEC | constants.O_DIRECTORY);
  try {
    if (wish.policy === "OnRootMismatch" && fits(folder, wish)) return { entries: 0 };
    const walk: Walk = { wish, entries: 0, inThisTurn: 0 };
    await changeBelow(folder, walk, 0);
    attempt(walk, () => changeHeld(folder, wish));
    const { entries, failure } = walk;
    return failure === undefined ? { entries } : { entries, failure };
  } finally {
    closeSync(folder);
  }
}

/** `requiresPermissionChange`, the other way round. */
function fits(folder: number, { group, readOnly }: FsGroupWish): boolean {
  const { gid, mode } = fstatSync(folder);
  const wanted = groupMode(true, readOnly);
  return gid === group && (mode & wanted) === wanted;
}

async function changeBelow(folder: number, walk: Walk, depth: number): Promise<void> {
  if (depth > MAX_DEPTH) {
    walk.failure ??= `folders are nested more than ${MAX_DEPTH} deep`;
    return;
  }
  for (const name of readdirSync(`/proc/self/fd/${folder}`)) {
    const held = hold(folder, name);
    if (held === undefined) continue;
    try {
      const stats = fstatSync(held);
      if (stats.isSymbolicLink())
        attempt(walk, () => lchownSync(childOf(folder, name), stats.uid, walk.wish.group));
      else {
        attempt(walk, () => changeHeld(held, walk.wish));
        if (stats.isDirectory()) await changeBelow(held, walk, depth + 1);
      }
    } finally {
      closeSync(held);
    }
    if (walk.inThisTurn < ENTRIES_PER_TURN) continue;
    walk.inThisTurn = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** `undefined` when it is gone meanwhile. */
function hold(folder: number, name: string): number | undefined {
  try {
    return openSync(childOf(folder, name), HOLD);
  } catch {
    return undefined;
  }
}

function attempt(walk: Walk, change: () => void): void {
  walk.entries++;
  walk.inThisTurn++;
  try {
    change();
  } catch (error) {
    walk.failure ??= messageOf(error);
  }
}

/** By its descriptor: whatever lies behind the name by now is left alone. */
function changeHeld(held: number, { group, readOnly }: FsGroupWish): void {
  const at = `/proc/self/fd/${held}`;
  const { uid, gid, mode } = fstatSync(held);
  const isFolder = (mode & constants.S_IFMT) === constants.S_IFDIR;
  if (gid !== group) chownSync(at, uid, group);
  const wanted = (mode & 0o7777) | groupMode(isFolder, readOnly);
  // Also after chown alone, which clears set-id bits.
  if (gid !== group || wanted !== (mode & 0o7777)) chmodSync(at, wanted);
}

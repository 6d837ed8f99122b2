/** Replaces all files of a volume in one step, in the layout that programs watching a mounted ConfigMap rely on. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { groupMode } from "./fs-group.ts";
import type { Payload } from "./payload.ts";
import { VolumeError } from "./volume-error.ts";

/** Link to the folder that holds the present files. Programs watch it: it changes in one rename. */
const DATA_LINK = "..data";
const NEW_DATA_LINK = "..data_tmp";
const MAX_PATH_LENGTH = 4096;
const MAX_NAME_LENGTH = 255;

export interface WriteFacts {
  /** Unix milliseconds, names the new folder. */
  readonly now: number;
  /** Group of the files (`fsGroup`). */
  readonly group?: number;
  /** False where files cannot be given to other users. */
  readonly canChown?: boolean;
}

/**
 * Makes `folder` show exactly `payload`: files in `..<time>/`, `..data` -> that folder, `NAME` -> `..data/NAME`
 * (kubernetes `volume/util/atomic_writer.go`). Returns whether anything was written; throws `VolumeError` for a bad path.
 */
export function writeVolumeAtomically(folder: string, payload: Payload, facts: WriteFacts): boolean {
  for (const path of payload.keys()) checkPath(path);
  const current = readlinkIfThere(join(folder, DATA_LINK));
  if (current !== undefined && isUpToDate(join(folder, current), payload)) return false;

  const next = newFolderName(facts.now);
  writeFiles(join(folder, next), payload, facts);
  if (facts.group !== undefined) giveToGroup(folder, facts.group, true);
  rmSync(join(folder, NEW_DATA_LINK), { force: true });
  symlinkSync(next, join(folder, NEW_DATA_LINK));
  renameSync(join(folder, NEW_DATA_LINK), join(folder, DATA_LINK));
  linkNames(folder, payload);
  if (current !== undefined) rmSync(join(folder, current), { recursive: true, force: true });
  return true;
}

function checkPath(path: string): void {
  const segments = path.split("/");
  const isBad =
    path === "" ||
    path.startsWith("/") ||
    path.startsWith("..") ||
    path.includes("\0") ||
    path.length > MAX_PATH_LENGTH ||
    segments.some((segment) => ["", ".", ".."].includes(segment) || segment.length > MAX_NAME_LENGTH);
  if (isBad) throw new VolumeError(`invalid path: ${JSON.stringify(path.slice(0, 80))}`);
}

/** Contents decide; modes come from the pod, which does not change. */
function isUpToDate(folder: string, payload: Payload): boolean {
  const present = filesBelow(folder, "");
  if (present.length !== payload.size) return false;
  return present.every((path) => {
    const wanted = payload.get(path);
    return wanted !== undefined && readFileSync(join(folder, path)).equals(wanted.data);
  });
}

function filesBelow(folder: string, prefix: string): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(folder, path) : [path];
  });
}

function writeFiles(folder: string, payload: Payload, { group, canChown = true }: WriteFacts): void {
  makeOpenFolder(folder, group);
  for (const [path, { data, mode, owner }] of payload) {
    const at = join(folder, path);
    makeOpenFolder(dirname(at), group);
    writeFileSync(at, data, { mode: 0o600 });
    if (owner !== undefined && canChown) lchownSync(at, owner, -1);
    chmodSync(at, mode);
    if (group !== undefined) giveToGroup(at, group, false);
  }
}

function makeOpenFolder(path: string, group: number | undefined): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeOpenFolder(dirname(path), group);
  mkdirSync(path);
  chmodSync(path, 0o755);
  if (group !== undefined) giveToGroup(path, group, true);
}

/** What we write, only we write: the group reads. */
function giveToGroup(path: string, group: number, isFolder: boolean): void {
  const { mode } = lstatSync(path);
  lchownSync(path, -1, group);
  // After chown, which clears set-id bits.
  chmodSync(path, (mode & 0o7777) | groupMode(isFolder, true));
}

/** Links appear after the data and go before anybody could follow them to nothing. */
function linkNames(folder: string, payload: Payload): void {
  const names = new Set([...payload.keys()].map((path) => path.split("/", 1)[0] ?? ""));
  const present = new Set(readdirSync(folder).filter((name) => !name.startsWith("..")));
  for (const name of names) if (!present.has(name)) symlinkSync(`${DATA_LINK}/${name}`, join(folder, name));
  for (const name of present) {
    const path = join(folder, name);
    // Folders are mount points, or were made for a subPath.
    if (!names.has(name) && lstatSync(path).isSymbolicLink()) rmSync(path, { force: true });
  }
}

/** `..2026_11_03_08_15_00.1234567890`, as Go's time format and MkdirTemp make it. */
function newFolderName(now: number): string {
  const time = new Date(now).toISOString().slice(0, 19).replaceAll(/[-T:]/g, "_");
  return `..${time}.${randomBytes(4).readUInt32BE()}`;
}

function readlinkIfThere(path: string): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const target = readlinkSync(path);
  if (target.includes("/") || !target.startsWith(".."))
    throw new VolumeError(`unexpected link "${DATA_LINK}" -> ${JSON.stringify(target)}`);
  return target;
}

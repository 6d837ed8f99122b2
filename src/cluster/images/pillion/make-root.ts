/** Writes the root file system of Pillion's own image: the program and what it cannot do without, nothing else. */
import {
  chmodSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { rootCertificates } from "node:tls";
import type { LibraryFile } from "./shared-libraries.ts";

/** Where things are in the image. The first line of the bundled program names `bun` and `bunConfig`. */
export const IMAGE_PATHS = {
  bun: "/usr/local/bin/bun",
  bunConfig: "/usr/local/lib/pillion/bunfig.toml",
  program: "/usr/local/lib/pillion/pillion.js",
  command: "/usr/local/bin/pillion",
  certificates: "/etc/ssl/certs/ca-certificates.crt",
  zones: "/usr/share/zoneinfo",
} as const;

/** The number that images without a shell give to "not root". */
export const NON_ROOT = 65_532;

export interface RootParts {
  /** Path of Bun on this machine. */
  readonly bun: string;
  /** The same file under a name that may be linked to, if there is one; else it is copied. */
  readonly linkableBun: string | undefined;
  readonly libraries: readonly LibraryFile[];
  /** Puts the bundled program (`pillion.js` and what belongs to it) into a folder. */
  readonly bundle: (folder: string) => Promise<void>;
  /** Folder of this machine's time zones; it may be missing. */
  readonly zones: string;
}

/** Folders that programs write to, whoever they run as; a pod may mount volumes there. */
const WRITABLE = ["/tmp", "/run/pillion", "/var/lib/pillion"];
const TEXTS: Readonly<Record<string, string>> = {
  "/etc/passwd": `root:x:0:0:root:/:/sbin/nologin\nnonroot:x:${NON_ROOT}:${NON_ROOT}:nonroot:/:/sbin/nologin\n`,
  "/etc/group": `root:x:0:\nnonroot:x:${NON_ROOT}:\n`,
  "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  // A `.env` or `bunfig.toml` in the working directory is the pod's, and must not become part of the program.
  [IMAGE_PATHS.bunConfig]: "env = false\ntelemetry = false\n",
};
/** All zones once more, with and without leap seconds. */
const SKIPPED_ZONES = new Set(["posix", "right"]);

/** `folder` exists and is empty. Errors are the file system's and those of `bundle`. */
export async function makeRoot(folder: string, parts: RootParts): Promise<void> {
  chmodSync(folder, 0o755);
  makeFolder(folder, "/etc/pillion");
  for (const path of WRITABLE) chmodSync(makeFolder(folder, path), 0o1777);
  for (const [path, text] of Object.entries(TEXTS)) writeText(folder, path, text);
  // Those that Bun trusts: the same in every image, whatever this machine's owner has added to its own.
  writeText(folder, IMAGE_PATHS.certificates, `${rootCertificates.join("\n")}\n`);
  await placeBun(folder, parts);
  for (const { source, target } of parts.libraries) await copyInto(folder, { source, target, mode: 0o755 });
  await copyZones(folder, parts.zones);
  const { program, command } = IMAGE_PATHS;
  const own = makeFolder(folder, dirname(program));
  await parts.bundle(own);
  for (const name of readdirSync(own)) chmodSync(join(own, name), name === basename(program) ? 0o755 : 0o644);
  symlinkSync(relative(dirname(command), program), join(folder, command));
}

/** Linked, it is one file with the engine's own, on disk and in memory. Containers reach it through an overlay, so none can change it. */
async function placeBun(root: string, { bun, linkableBun }: RootParts): Promise<void> {
  const target = IMAGE_PATHS.bun;
  makeFolder(root, dirname(target));
  // Whoever installed it may have kept it from other users.
  const isForAll = linkableBun !== undefined && (statSync(linkableBun).mode & 0o555) === 0o555;
  if (isForAll && isLinked(linkableBun, join(root, target))) return;
  await copyInto(root, { source: bun, target, mode: 0o755 });
}

/** A link is refused from one file system to another, and to a file of somebody else's. */
function isLinked(source: string, target: string): boolean {
  try {
    linkSync(source, target);
    return true;
  } catch {
    return false;
  }
}

async function copyZones(root: string, from: string): Promise<void> {
  makeFolder(root, IMAGE_PATHS.zones);
  if (!existsSync(from)) return;
  for (const entry of readdirSync(from, { withFileTypes: true, recursive: true })) {
    const source = join(entry.parentPath, entry.name);
    const inside = relative(from, source);
    if (SKIPPED_ZONES.has(inside.split("/", 1)[0] ?? "") || entry.isDirectory()) continue;
    // A link becomes the file that it leads to; some lead to /etc.
    if (statSync(source, { throwIfNoEntry: false })?.isFile() !== true) continue;
    await copyInto(root, { source, target: join(IMAGE_PATHS.zones, inside), mode: 0o644 });
  }
}

interface Copied {
  readonly source: string;
  /** In the image. */
  readonly target: string;
  readonly mode: number;
}

async function copyInto(root: string, { source, target, mode }: Copied): Promise<void> {
  makeFolder(root, dirname(target));
  await copyFile(source, join(root, target), constants.COPYFILE_FICLONE);
  chmodSync(join(root, target), mode);
}

function writeText(root: string, path: string, text: string): void {
  makeFolder(root, dirname(path));
  writeFileSync(join(root, path), text);
  chmodSync(join(root, path), 0o644);
}

/** With the folders above it, open to every user whatever the umask. Returns its path on this machine. */
function makeFolder(root: string, path: string): string {
  const folder = join(root, path);
  if (existsSync(folder)) return folder;
  makeFolder(root, dirname(path));
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  return folder;
}

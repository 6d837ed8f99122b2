/** Pillion's own image, made from the program that runs: what works in a local pod works in the published image. */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../kernel/problem.ts";
import { ImageError, type ImageConfig, type ResolvedImage } from "../image.ts";
import { DEFAULT_PATH } from "../mapped-image.ts";
import type { BuiltinImages } from "../open-images.ts";
import { repositoryOf, type Reference } from "../reference.ts";
import { SharedWork } from "../shared-work.ts";
import { nextScratchName, publish, removeLeftoverFolders, removeTree } from "../store-files.ts";
import { makeRoot, NON_ROOT } from "./make-root.ts";
import { librariesOf, type LibraryFile } from "./shared-libraries.ts";

/** What `pillion` and `pillion:TAG` stand for. */
export const PILLION_REPOSITORY = "docker.io/library/pillion";
/** Part of the name of every root; goes up when `makeRoot` makes another one of the same parts. */
const FORMAT = 1;
const ZONES = "/usr/share/zoneinfo";

/** The program that runs, in the form in which the image gets it. */
export interface OwnProgram {
  /** Path of Bun. */
  readonly bun: string;
  /** The same file under a name that may be linked to, if there is one. */
  readonly linkableBun: () => string | undefined;
  /** Another text for another program or another Bun. */
  readonly fingerprint: () => Promise<string>;
  /** Writes `pillion.js`, and what belongs to it, into a folder. */
  readonly bundle: (folder: string) => Promise<void>;
}

export interface PillionImageOptions {
  /** Folder for the roots; made when missing. */
  readonly folder: string;
  readonly program: OwnProgram;
  /** True while a container runs from that root. */
  readonly isUsed: (rootfs: string) => boolean;
}

const CONFIG: ImageConfig = {
  entrypoint: ["pillion"],
  cmd: [],
  env: [DEFAULT_PATH],
  user: String(NON_ROOT),
  isUserOptional: true,
  workingDir: "",
  stopSignal: "SIGTERM",
  volumes: [],
};

interface MadeRoot {
  readonly key: string;
  readonly path: string;
  /** Bytes of all its files. */
  readonly size: number;
}

/** Cheap: the image is made when a pod first uses it, and once per version of the program. */
export function pillionImage(options: PillionImageOptions): BuiltinImages {
  const work = new SharedWork<MadeRoot>();
  // The program that runs does not change while it runs.
  let made: MadeRoot | undefined;
  return {
    has: isPillion,
    async resolve({ name, signal }) {
      try {
        made ??= await work.join("pillion", () => findOrMake(options), signal);
      } catch (cause) {
        signal?.throwIfAborted();
        throw cannotMake(name, cause);
      }
      return resolved(name, made);
    },
  };
}

/** A digest names one image of a registry, which this is not. */
function isPillion(reference: Reference): boolean {
  return reference.digest === undefined && repositoryOf(reference) === PILLION_REPOSITORY;
}

function resolved(name: string, { key, path, size }: MadeRoot): ResolvedImage {
  const id = `${PILLION_REPOSITORY}@sha256:${key}`;
  return { name, id, rootfs: { kind: "image", path }, config: CONFIG, size };
}

function cannotMake(name: string, cause: unknown): ImageError {
  const message =
    `cannot make the image "${name}" from the program that runs: ${messageOf(cause)}. ` +
    `Correct that, or use another image: pillion images map ${name} oci:FOLDER`;
  return new ImageError("ErrImagePull", message, { cause });
}

async function findOrMake({ folder, program, isUsed }: PillionImageOptions): Promise<MadeRoot> {
  const [roots, drafts] = [join(folder, "roots"), join(folder, "tmp")];
  for (const each of [roots, drafts]) mkdirSync(each, { recursive: true, mode: 0o700 });
  const libraries = librariesOf(program.bun);
  const key = keyOf(await program.fingerprint(), libraries);
  const place = join(roots, key);
  const root = { key, path: join(place, "rootfs") };
  const present = sizeOfWhole(place);
  if (present !== undefined) return { ...root, size: present };
  removeLeftoverFolders(drafts);
  await removeTree(place);
  const draft = join(drafts, nextScratchName());
  try {
    const rootfs = join(draft, "rootfs");
    mkdirSync(rootfs, { recursive: true });
    const { bun, bundle } = program;
    await makeRoot(rootfs, { bun, linkableBun: program.linkableBun(), libraries, bundle, zones: ZONES });
    const size = sum(sizesOf(rootfs));
    writeFileSync(join(draft, "size"), String(size));
    publish(draft, place);
    await removeOthers(roots, key, isUsed);
    return { ...root, size };
  } finally {
    await removeTree(draft);
  }
}

/** By what the files are made from: another version, another C library, other time zones give another root. */
function keyOf(fingerprint: string, libraries: readonly LibraryFile[]): string {
  const sources = [...libraries.map(({ source }) => source), join(ZONES, "tzdata.zi"), join(ZONES, "UTC")];
  const stamps = sources.map((path) => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found === undefined ? "" : `${found.size} ${found.mtimeMs}`;
  });
  const parts = [FORMAT, fingerprint, libraries.map(({ target }) => target), stamps];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Undefined when it is not there, or when the machine lost power before all of it was on disk. */
function sizeOfWhole(place: string): number | undefined {
  try {
    const size = Number(readFileSync(join(place, "size"), "utf8"));
    return size > 0 && size === sum(sizesOf(join(place, "rootfs"))) ? size : undefined;
  } catch {
    return undefined;
  }
}

function sizesOf(folder: string): number[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => lstatSync(join(entry.parentPath, entry.name)).size);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Roots of earlier versions from which nothing runs any more. */
async function removeOthers(
  roots: string,
  key: string,
  isUsed: PillionImageOptions["isUsed"],
): Promise<void> {
  for (const name of readdirSync(roots)) {
    if (name !== key && !isUsed(join(roots, name, "rootfs"))) await removeTree(join(roots, name));
  }
}

/**
 * The images of this machine, below one folder:
 *
 *     images/<hex of the image id>/{rootfs/,config.json,record.json}   one flattened root file system per image
 *     names/<hex of sha256 of the name>.json                            name -> image
 *     tmp/<pid>-<start time>-<n>/                                       work in progress
 *
 * An image appears by one rename of a finished folder, a name by one rename of a finished file: a kill at any point
 * leaves a usable store, and what a dead process left in `tmp` is removed by the next that opens it. Nothing is kept
 * in memory, so that several processes may share a store.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Problem, messageOf } from "../../kernel/problem.ts";
import { writeFileAtomic } from "../../lib/atomic-file.ts";
import { isRunning, startTimeOf } from "../../lib/process-identity.ts";
import { parseConfig } from "./oci.ts";
import type { ParsedConfig } from "./oci.ts";
import { canonicalName, familiarName, parseReference, repositoryOf } from "./reference.ts";
import type { Reference } from "./reference.ts";
import { SafeTree } from "./safe-tree.ts";

export interface StoredImage {
  /** Digest of the configuration: the image id. */
  readonly id: string;
  /** Folder with the unpacked root file system. */
  readonly rootfs: string;
  readonly config: ParsedConfig;
  readonly record: ImageRecord;
}

export interface NamedImage extends StoredImage {
  /** Canonical name; empty for an image that lost its names. */
  readonly name: string;
  /** Digest that the registry (or the archive) knows the name by: of the index where there is one. */
  readonly manifestDigest: string;
  /** When the name was given, Unix milliseconds. */
  readonly namedAt: number;
}

const ImageRecord = z.object({
  /** Bytes of all files. */
  bytes: z.int().min(0),
  ownershipKept: z.boolean(),
  skipped: z.record(z.string(), z.number()),
  addedAt: z.number(),
});
export type ImageRecord = z.output<typeof ImageRecord>;

const NameRecord = z.object({
  name: z.string(),
  id: z.string(),
  manifestDigest: z.string(),
  namedAt: z.number(),
});
type NameRecord = z.output<typeof NameRecord>;

export interface NewImage {
  readonly id: string;
  readonly configBytes: Uint8Array;
  /** Fills the empty folder; what it throws leaves the store as it was. */
  readonly fill: (rootfs: string) => Promise<Omit<ImageRecord, "addedAt">>;
}

/** True while something runs from the image. */
export type InUse = (image: StoredImage) => boolean;

export interface ImageStore {
  /** By tag, by digest of the manifest, or by image id as digest. */
  find(reference: Reference): NamedImage | undefined;
  get(id: string): StoredImage | undefined;
  /** Names first, then images without one, each group sorted. */
  list(): readonly NamedImage[];
  /** Adds an image unless it is there. Rejects with whatever `fill` rejects with. */
  add(image: NewImage): Promise<void>;
  /** Gives an image of the store a name. Resolves once the image that loses its last name thereby is gone, unless used. */
  name(reference: Reference, to: { readonly id: string; readonly manifestDigest: string }): Promise<void>;
  /** Forgets a name and, with its last name, the image. Rejects with `Problem` when there is none or it is in use. */
  remove(reference: Reference): Promise<void>;
  /** Removes an image with all its names, by its id. Rejects with `Problem` when it is in use. */
  removeImage(id: string): Promise<void>;
  /** A folder for work in progress; remove it with `discard`. */
  scratch(): string;
  discard(folder: string): Promise<void>;
  /** Bytes free on the store's file system. */
  freeBytes(): number;
}

export interface StoreOptions {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Without it nobody is asked: images are removed on request only, and then always. */
  readonly inUse?: InUse | undefined;
}

/** Opens or makes the store below `root`. Throws `Problem` when the folder cannot be used. */
export function openStore(root: string, { now, inUse }: StoreOptions): ImageStore {
  const folders = { images: join(root, "images"), names: join(root, "names"), tmp: join(root, "tmp") };
  makeFolders(root, folders);
  const owner = `${process.pid}-${startTimeOf(process.pid) ?? "0"}`;
  const folderOf = (id: string): string => join(folders.images, hexOf(id));
  const nameFile = (name: string): string => join(folders.names, `${hash(name)}.json`);

  function scratch(): string {
    for (;;) {
      const folder = join(folders.tmp, `${owner}-${scratchCount++}`);
      if (existsSync(folder)) continue;
      mkdirSync(folder, { mode: 0o700 });
      return folder;
    }
  }

  function get(id: string): StoredImage | undefined {
    const folder = folderOf(id);
    const record = readRecord(join(folder, "record.json"), ImageRecord);
    const configBytes = record === undefined ? undefined : readBytes(join(folder, "config.json"));
    if (record === undefined || configBytes === undefined) return undefined;
    return {
      id,
      rootfs: join(folder, "rootfs"),
      config: parseConfig(configBytes, `configuration of ${id}`),
      record,
    };
  }

  function names(): readonly NameRecord[] {
    return readdirSync(folders.names)
      .filter((file) => /^[0-9a-f]{64}\.json$/.test(file))
      .flatMap((file) => readRecord(join(folders.names, file), NameRecord) ?? [])
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  function namesOf(id: string): readonly NameRecord[] {
    return names().filter((record) => record.id === id);
  }

  function toNamed(record: NameRecord | undefined): NamedImage | undefined {
    const image = record === undefined ? undefined : get(record.id);
    if (record === undefined || image === undefined) return undefined;
    const { name, manifestDigest, namedAt } = record;
    return { ...image, name, manifestDigest, namedAt };
  }

  function find(reference: Reference): NamedImage | undefined {
    const { digest } = reference;
    if (digest === undefined) {
      return toNamed(readRecord(nameFile(canonicalName(reference)), NameRecord));
    }
    const repository = repositoryOf(reference);
    const known = names().find(
      ({ name, id, manifestDigest }) =>
        repositoryOf(parseReference(name)) === repository && (manifestDigest === digest || id === digest),
    );
    return toNamed(known);
  }

  function unnamed(): readonly StoredImage[] {
    const used = new Set(names().map(({ id }) => hexOf(id)));
    return readdirSync(folders.images)
      .filter((hex) => !used.has(hex))
      .flatMap((hex) => get(`sha256:${hex}`) ?? []);
  }

  async function drop({ id }: StoredImage): Promise<void> {
    const grave = scratch();
    renameSync(folderOf(id), join(grave, "image"));
    await removeTree(grave);
  }

  return {
    find,
    get,
    scratch,
    discard: removeTree,
    freeBytes() {
      const { bavail, bsize } = statfsSync(root);
      return bavail * bsize;
    },
    list() {
      const named = names().flatMap((record) => toNamed(record) ?? []);
      const others = unnamed().map((image) => {
        return { ...image, name: "", manifestDigest: "", namedAt: image.record.addedAt };
      });
      return [...named, ...others];
    },
    async add({ id, configBytes, fill }) {
      if (get(id) !== undefined) return;
      const draft = scratch();
      try {
        const rootfs = join(draft, "rootfs");
        mkdirSync(rootfs, { mode: 0o755 });
        const filled = await fill(rootfs);
        writeFileAtomic(join(draft, "config.json"), configBytes, 0o600);
        writeFileAtomic(join(draft, "record.json"), JSON.stringify({ ...filled, addedAt: now() }), 0o600);
        publish(draft, folderOf(id));
      } finally {
        await removeTree(draft);
      }
    },
    async name(reference, { id, manifestDigest }) {
      const name = canonicalName(reference);
      const before = readRecord(nameFile(name), NameRecord);
      const record: NameRecord = { name, id, manifestDigest, namedAt: now() };
      writeFileAtomic(nameFile(name), JSON.stringify(record), 0o600);
      if (before === undefined || before.id === id || namesOf(before.id).length > 0) return;
      const nameless = get(before.id);
      if (nameless !== undefined && inUse?.(nameless) === false) await drop(nameless);
    },
    async remove(reference) {
      const found = find(reference);
      if (found === undefined) throw notFound(familiarName(reference));
      const isLast = namesOf(found.id).length === 1;
      if (isLast && inUse?.(found) === true) throw stillInUse(familiarName(reference));
      rmSync(nameFile(found.name), { force: true });
      if (isLast) await drop(found);
    },
    async removeImage(id) {
      const found = get(id);
      if (found === undefined) throw notFound(id);
      if (inUse?.(found) === true) throw stillInUse(id);
      for (const { name } of namesOf(id)) rmSync(nameFile(name), { force: true });
      await drop(found);
    },
  };
}

let scratchCount = 0;

function makeFolders(
  root: string,
  folders: Readonly<Record<string, string>> & { readonly tmp: string },
): void {
  try {
    for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    removeLeftovers(folders.tmp);
  } catch (because) {
    throw new Problem({
      code: "E_IMAGE_STORE_UNUSABLE",
      message: `Cannot open the image store "${root}": ${messageOf(because)}`,
      fix: "make the folder writable for this user, or choose another with PILLION_HOME",
      cause: because,
    });
  }
}

/** Another process may have published the same image meanwhile; then its folder stays. */
function publish(draft: string, folder: string): void {
  try {
    renameSync(draft, folder);
  } catch (because) {
    const code = because instanceof Error && "code" in because ? because.code : undefined;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw because;
  }
}

function removeLeftovers(tmp: string): void {
  for (const name of readdirSync(tmp)) {
    const [, pid = "0", startTime = "0"] = /^(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (isRunning({ pid: Number(pid), startTime })) continue;
    removeTreeSync(join(tmp, name));
  }
}

async function removeTree(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch {
    // Somebody who is not root cannot empty a folder that the image made read-only.
    removeTreeSync(folder);
  }
}

function removeTreeSync(folder: string): void {
  new SafeTree(folder).remove("");
  rmSync(folder, { recursive: true, force: true });
}

function readRecord<Schema extends z.ZodType>(file: string, schema: Schema): z.output<Schema> | undefined {
  const bytes = readBytes(file);
  return bytes === undefined ? undefined : schema.parse(JSON.parse(bytes.toString("utf8")));
}

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (because) {
    const code = because instanceof Error && "code" in because ? because.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw because;
  }
}

function hash(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}

/** Image ids are `sha256:` digests. */
function hexOf(id: string): string {
  return id.slice(id.indexOf(":") + 1);
}

function notFound(name: string): Problem {
  return new Problem({
    code: "E_IMAGE_NOT_FOUND",
    message: `Cannot remove the image "${name}": there is none of that name`,
    fix: "see the names with: pillion images ls",
  });
}

function stillInUse(name: string): Problem {
  return new Problem({
    code: "E_IMAGE_IN_USE",
    message: `Cannot remove the image "${name}": a container runs from it`,
    fix: "delete the pods that use it first",
  });
}

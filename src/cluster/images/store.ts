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
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Problem, messageOf } from "../../kernel/problem.ts";
import { writeFileAtomic } from "../../lib/atomic-file.ts";
import { parseConfig } from "./oci.ts";
import type { ParsedConfig } from "./oci.ts";
import { canonicalName, familiarName, parseReference, repositoryOf } from "./reference.ts";
import type { Reference } from "./reference.ts";
import {
  nextScratchName,
  publish,
  readRecord,
  readWhole,
  removeLeftoverDrafts,
  removeLeftoverFolders,
  removeTree,
} from "./store-files.ts";

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
export function openStore(root: string, options: StoreOptions): ImageStore {
  try {
    for (const folder of ["images", "names", "tmp"])
      mkdirSync(join(root, folder), { recursive: true, mode: 0o700 });
    removeLeftoverFolders(join(root, "tmp"));
    for (const folder of [root, join(root, "names")]) removeLeftoverDrafts(folder);
  } catch (because) {
    throw new Problem({
      code: "E_IMAGE_STORE_UNUSABLE",
      message: `Cannot open the image store "${root}": ${messageOf(because)}`,
      fix: "Make the folder writable for this user, or choose another with PILLION_HOME",
      cause: because,
    });
  }
  return new FolderStore(root, options);
}

class FolderStore implements ImageStore {
  readonly #root: string;
  readonly #now: () => number;
  readonly #inUse: InUse | undefined;

  constructor(root: string, { now, inUse }: StoreOptions) {
    this.#root = root;
    this.#now = now;
    this.#inUse = inUse;
  }

  find(reference: Reference): NamedImage | undefined {
    const { digest } = reference;
    if (digest === undefined)
      return this.#toNamed(readRecord(this.#nameFile(canonicalName(reference)), NameRecord));
    const repository = repositoryOf(reference);
    const known = this.#names().find(
      ({ name, id, manifestDigest }) =>
        repositoryOf(parseReference(name)) === repository && (manifestDigest === digest || id === digest),
    );
    return this.#toNamed(known);
  }

  get(id: string): StoredImage | undefined {
    const folder = this.#folder(id);
    const record = readRecord(join(folder, "record.json"), ImageRecord);
    const config = readWhole(join(folder, "config.json"), (bytes) => parseConfig(bytes, "the configuration"));
    if (record === undefined || config === undefined) return undefined;
    return { id, rootfs: join(folder, "rootfs"), config, record };
  }

  list(): readonly NamedImage[] {
    const records = this.#names();
    const used = new Set(records.map(({ id }) => hexOf(id)));
    const named = records.flatMap((record) => this.#toNamed(record) ?? []);
    const others = readdirSync(join(this.#root, "images"))
      .filter((hex) => !used.has(hex))
      .flatMap((hex) => this.get(`sha256:${hex}`) ?? [])
      .map((image) => {
        return { ...image, name: "", manifestDigest: "", namedAt: image.record.addedAt };
      });
    return [...named, ...others];
  }

  async add({ id, configBytes, fill }: NewImage): Promise<void> {
    if (this.get(id) !== undefined) return;
    const draft = this.scratch();
    try {
      const rootfs = join(draft, "rootfs");
      mkdirSync(rootfs, { mode: 0o755 });
      const filled = await fill(rootfs);
      writeFileAtomic(join(draft, "config.json"), configBytes, 0o600);
      writeFileAtomic(join(draft, "record.json"), JSON.stringify({ ...filled, addedAt: this.#now() }), 0o600);
      if (this.get(id) === undefined) await this.#removeFolder(id);
      publish(draft, this.#folder(id));
    } finally {
      await removeTree(draft);
    }
  }

  async name(
    reference: Reference,
    to: { readonly id: string; readonly manifestDigest: string },
  ): Promise<void> {
    const name = canonicalName(reference);
    const file = this.#nameFile(name);
    const before = readRecord(file, NameRecord);
    const record: NameRecord = { ...to, name, namedAt: this.#now() };
    writeFileAtomic(file, JSON.stringify(record), 0o600);
    if (before === undefined || before.id === to.id || this.#namesOf(before.id).length > 0) return;
    const nameless = this.get(before.id);
    if (nameless !== undefined && this.#inUse?.(nameless) === false) await this.#removeFolder(nameless.id);
  }

  async remove(reference: Reference): Promise<void> {
    const found = this.find(reference);
    if (found === undefined) throw notFound(familiarName(reference));
    const isLast = this.#namesOf(found.id).length === 1;
    if (isLast && this.#inUse?.(found) === true) throw stillInUse(familiarName(reference));
    rmSync(this.#nameFile(found.name), { force: true });
    if (isLast) await this.#removeFolder(found.id);
  }

  async removeImage(id: string): Promise<void> {
    const found = this.get(id);
    if (found === undefined) throw notFound(id);
    if (this.#inUse?.(found) === true) throw stillInUse(id);
    for (const { name } of this.#namesOf(id)) rmSync(this.#nameFile(name), { force: true });
    await this.#removeFolder(id);
  }

  scratch(): string {
    for (;;) {
      const folder = join(this.#root, "tmp", nextScratchName());
      if (existsSync(folder)) continue;
      mkdirSync(folder, { mode: 0o700 });
      return folder;
    }
  }

  discard(folder: string): Promise<void> {
    return removeTree(folder);
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#root);
    return bavail * bsize;
  }

  #folder(id: string): string {
    return join(this.#root, "images", hexOf(id));
  }

  #nameFile(name: string): string {
    return join(this.#root, "names", `${createHash("sha256").update(name).digest("hex")}.json`);
  }

  #names(): readonly NameRecord[] {
    const folder = join(this.#root, "names");
    return readdirSync(folder)
      .filter((file) => /^[0-9a-f]{64}\.json$/.test(file))
      .flatMap((file) => readRecord(join(folder, file), NameRecord) ?? [])
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #namesOf(id: string): readonly NameRecord[] {
    return this.#names().filter((record) => record.id === id);
  }

  #toNamed(record: NameRecord | undefined): NamedImage | undefined {
    const image = record === undefined ? undefined : this.get(record.id);
    if (record === undefined || image === undefined) return undefined;
    const { name, manifestDigest, namedAt } = record;
    return { ...image, name, manifestDigest, namedAt };
  }

  /** One rename takes the image away, whole or damaged; removing its files takes longer. */
  async #removeFolder(id: string): Promise<void> {
    if (!existsSync(this.#folder(id))) return;
    const grave = this.scratch();
    renameSync(this.#folder(id), join(grave, "image"));
    await removeTree(grave);
  }
}

/** Image ids are `sha256:` digests. */
function hexOf(id: string): string {
  return id.slice(id.indexOf(":") + 1);
}

function notFound(name: string): Problem {
  return new Problem({
    code: "E_IMAGE_NOT_FOUND",
    message: `Cannot remove the image "${name}": there is none of that name`,
    fix: "See the names with: pillion images ls",
  });
}

function stillInUse(name: string): Problem {
  return new Problem({
    code: "E_IMAGE_IN_USE",
    message: `Cannot remove the image "${name}": a container runs from it`,
    fix: "Delete the pods that use it first",
  });
}

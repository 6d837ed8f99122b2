/** Brings images from an OCI image layout or a `docker save` archive into the store, without a registry. */
import { statSync } from "node:fs";
import { z } from "zod";
import { Problem, messageOf } from "../../kernel/problem.ts";
import { ArchiveError } from "./archive-error.ts";
import { addImage } from "./assemble.ts";
import type { AssembleOptions, ImageParts } from "./assemble.ts";
import { archiveLayout, folderLayout, readDocument } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { check, choosePlatform, digestOf, parseDocument, parseJson, sha256 } from "./oci.ts";
import type { Descriptor, Platform } from "./oci.ts";
import { canonicalName, isDigest, parseReference, withDefaultTag } from "./reference.ts";
import type { Reference } from "./reference.ts";
import type { ImageStore } from "./store.ts";

export interface FoundImage {
  /** Names that the layout gives the image; may be none. */
  readonly names: readonly Reference[];
  /** Digest of the manifest or index; of the configuration where the archive has neither. */
  readonly manifestDigest: string;
  readonly parts: ImageParts;
}

export interface ImportOptions extends AssembleOptions {
  /** Name for the only image, in place of those that the layout gives. */
  readonly name?: string | undefined;
}

export interface ImportedImage {
  readonly name: string;
  readonly id: string;
}

const DockerManifest = z.array(
  z.object({
    Config: z.string(),
    RepoTags: z
      .array(z.string())
      .nullish()
      .transform((tags) => tags ?? []),
    Layers: z.array(z.string()).max(1_000),
  }),
);

/** Containerd's annotation has the whole name, the standard one often only the tag. */
const NAME_ANNOTATIONS = ["io.containerd.image.name", "org.opencontainers.image.ref.name"] as const;

/** Imports every image of a folder or archive. Rejects with `Problem`; images before the failing one stay. */
export async function importImages(
  store: ImageStore,
  path: string,
  options: ImportOptions,
): Promise<readonly ImportedImage[]> {
  try {
    return await withLayout(store, path, async (layout) => {
      const images = nameImages(await findImages(layout, options.platform), options.name);
      const imported: ImportedImage[] = [];
      for (const { names, manifestDigest, parts } of images) {
        const id = await addImage(store, parts, options);
        for (const name of names) {
          await store.name(name, { id, manifestDigest });
          imported.push({ name: canonicalName(name), id });
        }
      }
      return imported;
    });
  } catch (because) {
    throw toProblem(path, because);
  }
}

/** Opens the layout at `path`, a folder or an archive, for the time of `use`. */
export async function withLayout<Result>(
  store: ImageStore,
  path: string,
  use: (layout: Layout) => Promise<Result>,
): Promise<Result> {
  if (statSync(path).isDirectory()) return await use(folderLayout(path));
  const scratch = store.scratch();
  try {
    return await use(await archiveLayout(path, { scratch, maxBytes: Math.floor(store.freeBytes() * 0.9) }));
  } finally {
    await store.discard(scratch);
  }
}

/** The images of a layout for this platform. Rejects with `ArchiveError`. */
export async function findImages(layout: Layout, platform: Platform): Promise<readonly FoundImage[]> {
  const docker = layout.has("manifest.json") ? await dockerImages(layout) : [];
  const images = layout.has("index.json") ? await ociImages(layout, platform) : docker;
  if (images.length === 0) {
    throw new ArchiveError(
      "it has no image: neither an index.json (OCI layout) nor a manifest.json (docker save) with one",
    );
  }
  // `docker save` writes both; tags that the index does not tell are in the other file.
  return images.map((image) => {
    if (image.names.length > 0) return image;
    const id = sha256(image.parts.configBytes);
    const twin = docker.find((other) => sha256(other.parts.configBytes) === id);
    return { ...image, names: twin?.names ?? [] };
  });
}

async function dockerImages(layout: Layout): Promise<readonly FoundImage[]> {
  const json = parseJson(await readDocument(layout, "manifest.json"), "manifest.json");
  const images: FoundImage[] = [];
  for (const { Config, RepoTags, Layers } of check(DockerManifest, json, "manifest.json")) {
    const configBytes = await readDocument(layout, Config);
    images.push({
      names: RepoTags.map((tag) => referenceOf(tag)),
      manifestDigest: sha256(configBytes),
      parts: {
        configBytes,
        layerCount: Layers.length,
        locateLayer: (index) => layout.locate(Layers[index] ?? ""),
      },
    });
  }
  return images;
}

async function ociImages(layout: Layout, platform: Platform): Promise<readonly FoundImage[]> {
  const index = parseDocument(await readDocument(layout, "index.json"), "index.json");
  if (index.kind !== "index") throw new ArchiveError("index.json is not an image index");
  const byName = Map.groupBy(index.manifests, (descriptor) =>
    namesOf(descriptor).map(canonicalName).join(" "),
  );
  const images: FoundImage[] = [];
  for (const group of byName.values()) {
    // Several entries of one name are one image for several platforms.
    const isOneImage = group.length > 1 && group.some(({ platform: own }) => own);
    for (const descriptor of isOneImage ? [choosePlatform(group, platform)] : group) {
      images.push(await ociImage(layout, descriptor, platform));
    }
  }
  return images;
}

async function ociImage(layout: Layout, top: Descriptor, platform: Platform): Promise<FoundImage> {
  let document = parseDocument(await readBlob(layout, top), top.digest);
  for (let depth = 0; document.kind === "index"; depth++) {
    if (depth > 3) throw new ArchiveError("its indexes are nested too deep");
    const next = choosePlatform(document.manifests, platform);
    document = parseDocument(await readBlob(layout, next), next.digest);
  }
  const { config, layers } = document;
  return {
    names: namesOf(top),
    manifestDigest: top.digest,
    parts: {
      configBytes: await readBlob(layout, config),
      layerCount: layers.length,
      locateLayer: (index) => layout.locate(blobPath(layers[index]?.digest ?? "")),
    },
  };
}

async function readBlob(layout: Layout, { digest }: Descriptor): Promise<Uint8Array> {
  const bytes = await readDocument(layout, blobPath(digest));
  const found = digestOf(bytes, digest);
  if (found !== digest) throw new ArchiveError(`the content of ${digest} has the digest ${found}`);
  return bytes;
}

function blobPath(digest: string): string {
  if (!isDigest(digest)) throw new ArchiveError(`"${digest.slice(0, 100)}" is not a digest`);
  return `blobs/${digest.replace(":", "/")}`;
}

function namesOf({ annotations }: Descriptor): readonly Reference[] {
  const values = NAME_ANNOTATIONS.map((key) => annotations?.[key] ?? "");
  const name = values.find((value) => /[/:]/.test(value));
  return name === undefined ? [] : [referenceOf(name)];
}

function referenceOf(name: string): Reference {
  try {
    return withDefaultTag(parseReference(name));
  } catch (because) {
    throw new ArchiveError(`it names an image "${name.slice(0, 200)}": ${messageOf(because)}`, {
      cause: because,
    });
  }
}

function nameImages(images: readonly FoundImage[], name: string | undefined): readonly FoundImage[] {
  const [only] = images;
  if (name !== undefined) {
    if (images.length > 1 || only === undefined) throw severalImages(images);
    return [{ ...only, names: [referenceOf(name)] }];
  }
  if (images.some(({ names }) => names.length === 0)) throw new NamelessImage();
  return images;
}

class NamelessImage extends Error {}

function severalImages(images: readonly FoundImage[]): Problem {
  const names = images.flatMap((image) => image.names).map(canonicalName);
  return new Problem({
    code: "E_IMAGE_IMPORT_NAME",
    message: `Cannot import under one name: there are ${images.length} images: ${names.join(", ")}`,
    fix: "Leave the name out to import all under their own names",
  });
}

function toProblem(path: string, because: unknown): unknown {
  if (because instanceof Problem) return because;
  if (because instanceof NamelessImage) {
    return new Problem({
      code: "E_IMAGE_IMPORT_NAME",
      message: `Cannot import "${path}": it does not say what its image is called`,
      fix: `Name it: pillion images import ${path} --as NAME`,
      cause: because,
    });
  }
  const isFileError = because instanceof Error && "code" in because;
  if (!(because instanceof ArchiveError) && !isFileError) return because;
  return new Problem({
    code: "E_IMAGE_ARCHIVE",
    message: `Cannot import "${path}": ${messageOf(because)}`,
    fix: "Name an OCI image layout (folder or tar), or an archive that `docker save` or `podman save` wrote",
    cause: because,
  });
}

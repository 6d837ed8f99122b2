/** Builds container images in memory, and brings them where tests need them: a registry, a layout, an archive. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { tar } from "./tar-builder.ts";
import type { TarEntry } from "./tar-builder.ts";

export interface BuiltImage {
  readonly mediaType: string;
  /** The manifest, or the index of several. */
  readonly document: Uint8Array;
  readonly digest: string;
  /** Digest of the configuration; empty for an index. */
  readonly id: string;
  readonly platform: { readonly os: string; readonly architecture: string };
  /** Everything that the document leads to, by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** Manifests of an index, by digest. */
  readonly manifests: ReadonlyMap<string, BuiltImage>;
  readonly config: Uint8Array;
  /** As stored: compressed or not. */
  readonly layers: readonly Uint8Array[];
}

export interface ImageRecipe {
  readonly layers: readonly (readonly TarEntry[])[];
  readonly compression?: "gzip" | "zstd" | "none";
  /** The `config` part of the image configuration: Cmd, Env, … */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly format?: "oci" | "docker";
}

const TYPES = {
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar",
    index: "application/vnd.oci.image.index.v1+json",
  },
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar",
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
  },
} as const;
export const TEST_PLATFORM = { os: "linux", architecture: "amd64" } as const;

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function buildImage(recipe: ImageRecipe): BuiltImage {
  const { compression = "gzip", format = "oci", platform = TEST_PLATFORM } = recipe;
  const types = TYPES[format];
  const plain = recipe.layers.map((entries) => tar(entries));
  const layers = plain.map((layer) => compress(layer, compression));
  const config = json({
    ...platform,
    config: recipe.config ?? {},
    rootfs: { type: "layers", diff_ids: plain.map(sha256) },
  });
  const suffix = { gzip: format === "oci" ? "+gzip" : ".gzip", zstd: "+zstd", none: "" }[compression];
  const document = json({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: sha256(config), size: config.length },
    layers: layers.map((layer) => {
      return { mediaType: types.layer + suffix, digest: sha256(layer), size: layer.length };
    }),
  });
  return {
    mediaType: types.manifest,
    document,
    digest: sha256(document),
    id: sha256(config),
    platform,
    blobs: new Map([config, ...layers].map((blob) => [sha256(blob), blob])),
    manifests: new Map(),
    config,
    layers,
  };
}

/** One image for several platforms. */
export function buildIndex(images: readonly BuiltImage[], format: "oci" | "docker" = "oci"): BuiltImage {
  const document = json({
    schemaVersion: 2,
    mediaType: TYPES[format].index,
    manifests: images.map(({ mediaType, digest, document: { length: size }, platform }) => {
      return { mediaType, digest, size, platform };
    }),
  });
  return {
    mediaType: TYPES[format].index,
    document,
    digest: sha256(document),
    id: "",
    platform: { os: "", architecture: "" },
    blobs: new Map(images.flatMap(({ blobs }) => [...blobs])),
    manifests: new Map(images.map((image) => [image.digest, image])),
    config: new Uint8Array(0),
    layers: [],
  };
}

export interface PushTarget {
  /** `http://127.0.0.1:5000` */
  readonly origin: string;
  readonly repository: string;
  readonly tag: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Pushes with plain requests of the distribution API. */
export async function pushImage(image: BuiltImage, target: PushTarget): Promise<void> {
  const { origin, repository, headers = {} } = target;
  for (const [digest, blob] of image.blobs) {
    const begun = await send("POST", `${origin}/v2/${repository}/blobs/uploads/`, { headers });
    const location = new URL(begun.headers.get("location") ?? "", origin);
    location.searchParams.set("digest", digest);
    await send("PUT", location.href, {
      headers: { ...headers, "content-type": "application/octet-stream" },
      body: blob,
    });
  }
  for (const manifest of image.manifests.values())
    await pushDocument(manifest, { ...target, tag: manifest.digest });
  await pushDocument(image, target);
}

async function pushDocument(
  image: BuiltImage,
  { origin, repository, tag, headers = {} }: PushTarget,
): Promise<void> {
  await send("PUT", `${origin}/v2/${repository}/manifests/${tag}`, {
    headers: { ...headers, "content-type": image.mediaType },
    body: image.document,
  });
}

async function send(method: string, url: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(url, { ...init, method });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

export interface NamedBuild {
  readonly image: BuiltImage;
  /** Value of the annotation `org.opencontainers.image.ref.name`. */
  readonly refName?: string;
  /** Value of the annotation `io.containerd.image.name`. */
  readonly containerdName?: string;
}

/** Files of an OCI image layout, by path. */
export function ociLayout(builds: readonly NamedBuild[]): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>([["oci-layout", json({ imageLayoutVersion: "1.0.0" })]]);
  const manifests = builds.map(({ image, refName, containerdName }) => {
    for (const [digest, blob] of image.blobs) files.set(blobPath(digest), blob);
    for (const one of [image, ...image.manifests.values()]) files.set(blobPath(one.digest), one.document);
    const annotations = {
      ...(refName === undefined ? {} : { "org.opencontainers.image.ref.name": refName }),
      ...(containerdName === undefined ? {} : { "io.containerd.image.name": containerdName }),
    };
    return { mediaType: image.mediaType, digest: image.digest, size: image.document.length, annotations };
  });
  return files.set("index.json", json({ schemaVersion: 2, manifests }));
}

/** Files of an archive as `docker save` wrote them before it wrote layouts, by path. */
export function dockerSave(
  builds: readonly { readonly image: BuiltImage; readonly tags: readonly string[] }[],
): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const manifest = builds.map(({ image, tags }) => {
    const name = `${image.id.slice("sha256:".length)}.json`;
    files.set(name, image.config);
    const layers = image.layers.map((layer) => {
      const path = `${sha256(layer).slice("sha256:".length)}/layer.tar`;
      files.set(path, layer);
      return path;
    });
    return { Config: name, RepoTags: tags, Layers: layers };
  });
  return files.set("manifest.json", json(manifest));
}

export function writeFiles(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

export function tarOf(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return tar([...files].map(([name, content]) => ({ name, content })));
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function compress(bytes: Uint8Array, how: "gzip" | "zstd" | "none"): Uint8Array {
  if (how === "none") return bytes;
  return how === "gzip" ? gzipSync(bytes) : zstdCompressSync(bytes);
}

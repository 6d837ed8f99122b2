/** Pulls one image: manifest, configuration, layers side by side, then one flattened root file system in the store. */
import { join } from "node:path";
import { ArchiveError } from "./archive-error.ts";
import { addImage } from "./assemble.ts";
import { downloadBlob } from "./blob-download.ts";
import type { FileRange } from "./byte-streams.ts";
import { ImageError } from "./image.ts";
import type { RegistryCredentials } from "./image.ts";
import { choosePlatform, parseDocument, sha256 } from "./oci.ts";
import type { Descriptor, Platform } from "./oci.ts";
import { familiarName } from "./reference.ts";
import type { Reference } from "./reference.ts";
import { Registry } from "./registry.ts";
import type { RegistryOptions } from "./registry.ts";
import { RegistryUnreachable } from "./registry-http.ts";
import { RegistryRefused } from "./registry-retry.ts";
import type { NamedImage, ImageStore } from "./store.ts";
import type { UnpackLimits } from "./unpack.ts";

export interface PullProgress {
  /** As people write it. */
  readonly name: string;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly unpackedLayers: number;
  readonly totalLayers: number;
}

export interface PullContext {
  readonly store: ImageStore;
  readonly platform: Platform;
  readonly network: Omit<RegistryOptions, "domain" | "path" | "credentials" | "signal">;
  readonly limits?: UnpackLimits | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
}

export interface PullRequest {
  /** With tag or digest. */
  readonly reference: Reference;
  /** As it was asked for, for messages. */
  readonly shownName: string;
  readonly credentials?: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}

const PARALLEL_DOWNLOADS = 3;
const MAX_INDEX_DEPTH = 3;

/**
 * Brings the store up to date with the registry; does nothing more when it is. Rejects with `ImageError`
 * `ErrImagePull`, or with the signal's reason.
 */
export async function pullImage(context: PullContext, request: PullRequest): Promise<NamedImage> {
  const present = context.store.find(request.reference);
  try {
    await pull(context, request, present);
  } catch (because) {
    request.signal.throwIfAborted();
    throw toImageError(because, request, present !== undefined);
  }
  const pulled = context.store.find(request.reference);
  if (pulled === undefined) throw new Error(`${request.shownName} is not in the store after its pull`);
  return pulled;
}

async function pull(
  context: PullContext,
  request: PullRequest,
  present: NamedImage | undefined,
): Promise<void> {
  const { store, platform } = context;
  const { reference, credentials, signal } = request;
  const { domain, path } = reference;
  const registry = new Registry({ ...context.network, domain, path, credentials, signal });
  const target = reference.digest ?? reference.tag ?? "latest";
  // A HEAD request is not counted as a pull by registries that limit their number.
  if (present !== undefined && (await registry.digestOf(target)) === present.manifestDigest) return;
  const top = await registry.manifest(target);
  const { config, layers } = await manifestFor(registry, top, platform);
  const configBytes = await registry.document(config);
  const images = { registry, request, context, layers };
  const id = sha256(configBytes);
  if (store.get(id) === undefined) await addLayers(images, configBytes);
  await store.name(reference, { id, manifestDigest: top.digest });
}

type Manifest = Extract<ReturnType<typeof parseDocument>, { kind: "manifest" }>;

async function manifestFor(
  registry: Registry,
  top: { readonly bytes: Uint8Array; readonly digest: string },
  platform: Platform,
): Promise<Manifest> {
  let document = parseDocument(top.bytes, `manifest ${top.digest}`);
  for (let depth = 0; document.kind === "index"; depth++) {
    if (depth === MAX_INDEX_DEPTH) throw new ArchiveError("the image's indexes are nested too deep");
    const { digest } = choosePlatform(document.manifests, platform);
    document = parseDocument((await registry.manifest(digest)).bytes, `manifest ${digest}`);
  }
  return document;
}

interface LayerPull {
  readonly registry: Registry;
  readonly request: PullRequest;
  readonly context: PullContext;
  readonly layers: readonly Descriptor[];
}

async function addLayers(layerPull: LayerPull, configBytes: Uint8Array): Promise<void> {
  const { context, layers, request } = layerPull;
  const { store, platform, limits } = context;
  const folder = store.scratch();
  const giveUp = new AbortController();
  const signal = AbortSignal.any([request.signal, giveUp.signal]);
  const progress = trackProgress(layerPull);
  const downloads = startDownloads(layerPull, { folder, signal, onBytes: progress.bytes });
  try {
    const locateLayer = async (index: number): Promise<FileRange> => {
      const path = await downloads.files[index];
      if (path === undefined) throw new Error(`layer ${index} was not downloaded`);
      return { path, start: 0 };
    };
    const parts = { configBytes, layerCount: layers.length, locateLayer };
    await addImage(store, parts, { platform, limits, signal, onLayer: progress.layer });
  } finally {
    giveUp.abort();
    await downloads.over;
    await store.discard(folder);
  }
}

interface DownloadOptions {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

interface Downloads {
  /** One per layer; each resolves to the path of the blob. */
  readonly files: readonly Promise<string>[];
  /** Resolves when nothing is being downloaded any more. Never rejects. */
  readonly over: Promise<unknown>;
}

function startDownloads({ registry, context, layers }: LayerPull, options: DownloadOptions): Downloads {
  const { folder, signal, onBytes } = options;
  const slots = layers.map(() => Promise.withResolvers<string>());
  let next = 0;
  async function work(): Promise<void> {
    while (next < layers.length) {
      const index = next++;
      const [blob, slot] = [layers[index], slots[index]];
      if (blob === undefined || slot === undefined) return;
      const file = join(folder, `layer-${index}`);
      try {
        await downloadBlob({ registry, blob, file, onBytes, http: { ...context.network, signal } });
        slot.resolve(file);
      } catch (because) {
        slot.reject(because);
      }
    }
  }
  const workers = Array.from({ length: Math.min(PARALLEL_DOWNLOADS, layers.length) }, () => work());
  const files = slots.map(({ promise }) => promise);
  // A layer that fails after another one did has nobody waiting for it.
  return { files, over: Promise.allSettled([...workers, ...files]) };
}

function trackProgress({ context, request, layers }: LayerPull): {
  bytes: (bytes: number) => void;
  layer: (done: number) => void;
} {
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  let [downloadedBytes, unpackedLayers] = [0, 0];
  const report = (): void =>
    context.onProgress?.({
      name: familiarName(request.reference),
      downloadedBytes,
      totalBytes: total,
      unpackedLayers,
      totalLayers: layers.length,
    });
  return {
    bytes(bytes) {
      downloadedBytes += bytes;
      report();
    },
    layer(done) {
      unpackedLayers = done;
      report();
    },
  };
}

/** What went wrong, and what a user can do about it besides fixing the registry. */
function toImageError(because: unknown, request: PullRequest, isPresent: boolean): unknown {
  const isExpected =
    because instanceof RegistryUnreachable ||
    because instanceof RegistryRefused ||
    because instanceof ArchiveError;
  const isFileError = because instanceof Error && "code" in because;
  if (!isExpected && !isFileError) return because;
  const useStored = isPresent ? "; to use the image that is here: imagePullPolicy: IfNotPresent" : "";
  const message = `cannot pull "${request.shownName}": ${because.message}${useStored}${mapHint(because, request)}`;
  return new ImageError("ErrImagePull", message, { cause: because });
}

function mapHint(because: Error, { shownName }: PullRequest): string {
  const isDamage = because instanceof ArchiveError && !because.message.includes("is not made for");
  if (isDamage || "code" in because) return "";
  return `; to run it from this machine: pillion images map ${shownName} host`;
}

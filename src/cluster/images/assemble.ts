/** Turns a configuration and its layers, wherever they come from, into an image of the store. */
import { ArchiveError } from "./archive-error.ts";
import type { FileRange } from "./byte-streams.ts";
import { checkPlatform, parseConfig, sha256 } from "./oci.ts";
import type { Platform } from "./oci.ts";
import type { ImageRecord, ImageStore } from "./store.ts";
import { startUnpackThread } from "./start-unpack-thread.ts";
import type { UnpackJob } from "./unpack-protocol.ts";
import { DEFAULT_LIMITS } from "./unpack.ts";
import type { UnpackLimits } from "./unpack.ts";

export interface ImageParts {
  readonly configBytes: Uint8Array;
  readonly layerCount: number;
  /** Where a layer is, as it is stored: tar, gzip or zstd. Layers are asked for in order, each once. */
  readonly locateLayer: (index: number) => FileRange | Promise<FileRange>;
}

export interface AssembleOptions {
  readonly platform: Platform;
  readonly limits?: UnpackLimits | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of layers done. */
  readonly onLayer?: ((done: number) => void) | undefined;
}

/** The part of the free disk space that one image may fill. */
const DISK_SHARE = 0.9;

/**
 * Unpacks the image unless the store has it; resolves to its id. Each layer is checked against the digest of its
 * uncompressed form. Rejects with `ArchiveError` and leaves nothing.
 */
export async function addImage(
  store: ImageStore,
  parts: ImageParts,
  options: AssembleOptions,
): Promise<string> {
  const id = sha256(parts.configBytes);
  const config = parseConfig(parts.configBytes, "the image configuration");
  checkPlatform(config, options.platform);
  if (config.diffIds.length !== parts.layerCount) {
    const counts = `${parts.layerCount} layers, its configuration speaks of ${config.diffIds.length}`;
    throw new ArchiveError(`the image has ${counts}`);
  }
  const fill = (rootfs: string): Promise<Omit<ImageRecord, "addedAt">> =>
    unpackLayers({ root: rootfs, limits: limitsFor(store, options.limits) }, config.diffIds, {
      ...options,
      locateLayer: parts.locateLayer,
    });
  await store.add({ id, configBytes: parts.configBytes, fill });
  return id;
}

async function unpackLayers(
  job: UnpackJob,
  diffIds: readonly string[],
  { signal, onLayer, locateLayer }: AssembleOptions & Pick<ImageParts, "locateLayer">,
): Promise<Omit<ImageRecord, "addedAt">> {
  const thread = startUnpackThread(job);
  const stop = (): void => void thread.close();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for (const [index, diffId] of diffIds.entries()) {
      const range = await locateLayer(index);
      signal?.throwIfAborted();
      const found = await thread.layer(range, diffId.slice(0, diffId.indexOf(":")));
      if (found !== diffId) {
        throw new ArchiveError(`layer ${index + 1} unpacks to ${found}, the configuration says ${diffId}`);
      }
      onLayer?.(index + 1);
    }
    signal?.throwIfAborted();
    const { bytes, skipped, ownershipKept } = await thread.finish();
    return { bytes, skipped: { ...skipped }, ownershipKept };
  } finally {
    signal?.removeEventListener("abort", stop);
    await thread.close();
  }
}

/** A decompression bomb is stopped before it fills the disk. */
function limitsFor(store: ImageStore, wanted: UnpackLimits = DEFAULT_LIMITS): UnpackLimits {
  return { ...wanted, maxBytes: Math.min(wanted.maxBytes, Math.floor(store.freeBytes() * DISK_SHARE)) };
}

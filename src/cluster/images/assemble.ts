/** Turns a configuration and its layers, wherever they come from, into an image of the store. */
import { createHash } from "node:crypto";
import { ArchiveError } from "./archive-error.ts";
import { observed } from "./byte-streams.ts";
import type { ByteStream } from "./byte-streams.ts";
import { checkPlatform, parseConfig, sha256 } from "./oci.ts";
import type { Platform } from "./oci.ts";
import type { ImageRecord, ImageStore } from "./store.ts";
import { DEFAULT_LIMITS, unpackInto } from "./unpack.ts";
import type { UnpackLimits } from "./unpack.ts";

export interface ImageParts {
  readonly configBytes: Uint8Array;
  readonly layerCount: number;
  /** Bytes of a layer as it is stored: tar, gzip or zstd. Layers are asked for in order, each once. */
  readonly openLayer: (index: number) => ByteStream | Promise<ByteStream>;
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
    unpackLayers(rootfs, config.diffIds, parts, { ...options, limits: limitsFor(store, options.limits) });
  await store.add({ id, configBytes: parts.configBytes, fill });
  return id;
}

async function unpackLayers(
  rootfs: string,
  diffIds: readonly string[],
  parts: ImageParts,
  options: AssembleOptions,
): Promise<Omit<ImageRecord, "addedAt">> {
  const unpacker = unpackInto(rootfs, options.limits);
  for (const [index, diffId] of diffIds.entries()) {
    const algorithm = diffId.slice(0, diffId.indexOf(":"));
    const digest = createHash(algorithm);
    const source = await parts.openLayer(index);
    const checked = observed(source, () => options.signal?.throwIfAborted());
    await unpacker.layer(checked, (chunk) => digest.update(chunk));
    const found = `${algorithm}:${digest.digest("hex")}`;
    if (found !== diffId) {
      throw new ArchiveError(`layer ${index + 1} unpacks to ${found}, the configuration says ${diffId}`);
    }
    options.onLayer?.(index + 1);
  }
  const { bytes, skipped, ownershipKept } = unpacker.finish();
  return { bytes, skipped: { ...skipped }, ownershipKept };
}

/** A decompression bomb is stopped before it fills the disk. */
function limitsFor(store: ImageStore, wanted: UnpackLimits = DEFAULT_LIMITS): UnpackLimits {
  return { ...wanted, maxBytes: Math.min(wanted.maxBytes, Math.floor(store.freeBytes() * DISK_SHARE)) };
}

/** Downloads one blob into a file: goes on where a broken connection left off, and checks size and digest on the way. */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { ArchiveError } from "./archive-error.ts";
import type { Descriptor } from "./oci.ts";
import { retrying } from "./registry-retry.ts";
import type { Registry } from "./registry.ts";
import { RegistryUnreachable } from "./registry-http.ts";
import type { HttpAnswer, HttpOptions } from "./registry-http.ts";

export interface Download {
  readonly registry: Registry;
  readonly blob: Descriptor;
  /** Made anew. */
  readonly file: string;
  readonly http: HttpOptions;
  /** Called with the number of bytes that came; negative when they have to come again. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Larger than any layer in use. */
export const MAX_BLOB_BYTES = 32 * 2 ** 30;

/** Rejects with `RegistryRefused`, `RegistryUnreachable` or, for wrong content, `ArchiveError`. */
export async function downloadBlob(download: Download): Promise<void> {
  const { blob, file, http } = download;
  if (blob.size > MAX_BLOB_BYTES) throw new ArchiveError(`layer ${blob.digest} has ${blob.size} bytes`);
  const target = await open(file, "wx", 0o600);
  try {
    const state: Progress = { target, hash: newHash(blob), bytes: 0 };
    let before = 0;
    await retrying(
      () => continueDownload(download, state),
      http,
      () => {
        const hasProgressed = state.bytes > before;
        before = state.bytes;
        return hasProgressed;
      },
    );
    const digest = `${algorithmOf(blob)}:${state.hash.digest("hex")}`;
    if (digest !== blob.digest) {
      throw new ArchiveError(
        `${download.registry.host} sent content with the digest ${digest} for ${blob.digest}`,
      );
    }
  } finally {
    await target.close();
  }
}

interface Progress {
  readonly target: FileHandle;
  hash: Hash;
  bytes: number;
}

async function continueDownload({ registry, blob, onBytes }: Download, state: Progress): Promise<void> {
  if (state.bytes > 0 && state.bytes === blob.size) return;
  const answer = await registry.openBlob(blob.digest, state.bytes);
  if (answer.status === 206 && !continuesAt(answer, state.bytes)) {
    answer.discard();
    throw new ArchiveError(`${registry.host} sent another part of ${blob.digest} than the one asked for`);
  }
  if (answer.status === 200 && state.bytes > 0) await startOver(blob, state, onBytes);
  for await (const chunk of answer.body) {
    if (state.bytes + chunk.length > blob.size) {
      throw new ArchiveError(`${registry.host} sent more than the ${blob.size} bytes of ${blob.digest}`);
    }
    await writeWhole(state.target, chunk, state.bytes);
    state.hash.update(chunk);
    state.bytes += chunk.length;
    onBytes?.(chunk.length);
  }
  if (state.bytes < blob.size) {
    const part = `${state.bytes} of the ${blob.size} bytes of ${blob.digest}`;
    throw new RegistryUnreachable(`${registry.host} sent ${part}`, true);
  }
}

/** The registry ignores ranges: what came before comes again. */
async function startOver(blob: Descriptor, state: Progress, onBytes: Download["onBytes"]): Promise<void> {
  onBytes?.(-state.bytes);
  await state.target.truncate(0);
  state.hash = newHash(blob);
  state.bytes = 0;
}

function continuesAt(answer: HttpAnswer, start: number): boolean {
  return (answer.header("content-range") ?? "").startsWith(`bytes ${start}-`);
}

async function writeWhole(target: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < chunk.length;) {
    const { bytesWritten } = await target.write(chunk, at, chunk.length - at, position + at);
    at += bytesWritten;
  }
}

function algorithmOf({ digest }: Descriptor): string {
  return digest.slice(0, digest.indexOf(":"));
}

function newHash(blob: Descriptor): Hash {
  return createHash(algorithmOf(blob));
}

/** What a mapped name resolves to: this machine's root with settings, or an image from a layout or archive on disk. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../kernel/problem.ts";
import { ArchiveError } from "./archive-error.ts";
import { addImage } from "./assemble.ts";
import type { AssembleOptions } from "./assemble.ts";
import { ImageError } from "./image.ts";
import type { ResolvedImage } from "./image.ts";
import type { HostMapping, MapEntry } from "./image-map.ts";
import { findImages, withLayout } from "./import.ts";
import type { FoundImage } from "./import.ts";
import { canonicalName, repositoryOf } from "./reference.ts";
import type { Reference } from "./reference.ts";
import type { ImageStore, NamedImage } from "./store.ts";

/** PATH of a container whose image sets none; what container runtimes use. */
export const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface MappedRequest {
  /** As the pod wrote it. */
  readonly name: string;
  readonly reference: Reference;
  readonly entry: MapEntry;
}

/** Resolves `host` mappings, which need no store. Throws `ImageError` when a folder or file is gone. */
export function resolveHost({ name, entry }: MappedRequest, mapping: HostMapping): ResolvedImage {
  const { workdir, command, args, env, user, stopSignal, copies, folders } = mapping;
  const shown = [...new Set([...(workdir === undefined ? [] : [workdir]), ...folders])];
  for (const path of [...shown, ...copies.map(({ from }) => from)]) {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) throw gone(name, entry, path);
  }
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return {
    name,
    id: `sha256:${createHash("sha256").update(JSON.stringify(mapping)).digest("hex")}`,
    rootfs: { kind: "host", folders: shown.map((path) => ({ path })), copies },
    config: {
      entrypoint: command ?? [],
      // A shell only where nothing says what to run.
      cmd: args ?? (command === undefined ? ["/bin/sh"] : []),
      env: "PATH" in env ? variables : [DEFAULT_PATH, ...variables],
      user,
      workingDir: workdir ?? "",
      stopSignal,
      volumes: [],
    },
    size: 0,
  };
}

/** Domain of the names that keep mapped images in the store; no registry can have it (RFC 6761). */
export const MAPPED_DOMAIN = "mapped.invalid";

export interface StoreMappedOptions extends AssembleOptions {
  readonly store: ImageStore;
  /** What was found at a path the last time, so that an archive is not read at every start. */
  readonly seen: Map<string, { readonly stamp: string; readonly keptAs: Reference }>;
}

/** Brings the image of an `oci` or `archive` mapping into the store. Rejects with `ImageError`. */
export async function storeMapped(
  request: MappedRequest & { readonly path: string },
  options: StoreMappedOptions,
): Promise<NamedImage> {
  const { name, entry, path } = request;
  const { store, seen } = options;
  const stamp = stampOf(path);
  if (stamp === undefined) throw gone(name, entry, path);
  const key = `${path}\0${name}`;
  const before = seen.get(key);
  const present = before?.stamp === stamp ? store.find(before.keptAs) : undefined;
  if (present !== undefined) return present;
  try {
    const keptAs = keptName(key);
    await importMapped(request, keptAs, options);
    const image = store.find(keptAs);
    if (image === undefined) throw new Error("it is not in the store after its import");
    seen.set(key, { stamp, keptAs });
    return image;
  } catch (because) {
    options.signal?.throwIfAborted();
    const message = `cannot use "${path}", mapped for "${name}" by ${entry.place}: ${messageOf(because)}`;
    throw new ImageError("ErrImagePull", message, { cause: because });
  }
}

async function importMapped(
  { path, reference }: MappedRequest & { readonly path: string },
  keptAs: Reference,
  options: StoreMappedOptions,
): Promise<void> {
  const { store, platform } = options;
  await withLayout(store, path, async (layout) => {
    const { parts, manifestDigest } = pick(await findImages(layout, platform), reference);
    await store.name(keptAs, { id: await addImage(store, parts, options), manifestDigest });
  });
}

function keptName(key: string): Reference {
  return { domain: MAPPED_DOMAIN, path: createHash("sha256").update(key).digest("hex"), tag: "latest" };
}

/** Changes whenever the layout does: an archive is replaced or rewritten, a folder gets a new index. */
function stampOf(path: string): string | undefined {
  const top = statSync(path, { throwIfNoEntry: false });
  const found =
    top?.isDirectory() === true
      ? (statSync(join(path, "index.json"), { throwIfNoEntry: false }) ?? top)
      : top;
  return found === undefined ? undefined : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`;
}

/** The only image; of several the one that is called as the pod calls it, or at least its repository. */
function pick(images: readonly FoundImage[], reference: Reference): FoundImage {
  const [first] = images;
  if (first !== undefined && images.length === 1) return first;
  const wanted = canonicalName(reference);
  const exact = images.find(({ names }) => names.some((name) => canonicalName(name) === wanted));
  const near = images.filter(({ names }) =>
    names.some((name) => repositoryOf(name) === repositoryOf(reference)),
  );
  const chosen = exact ?? (near.length === 1 ? near[0] : undefined);
  if (chosen !== undefined) return chosen;
  const names = images.flatMap((image) => image.names).map(canonicalName);
  throw new ArchiveError(`it has ${images.length} images (${names.join(", ")}), none of them is "${wanted}"`);
}

function gone(name: string, { place }: MapEntry, path: string): ImageError {
  return new ImageError(
    "ErrImagePull",
    `cannot use "${path}", mapped for "${name}" by ${place}: it does not exist`,
  );
}

/** The images of a cluster: the image map first, then what is built in, then the local store, then a pull. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../kernel/clock.ts";
import { messageOf } from "../../kernel/problem.ts";
import { checkMapName } from "./image-map-file.ts";
import { lookUp } from "./image-map.ts";
import type { ImageMapSource, MapEntry, Mapping } from "./image-map.ts";
import { ImageError } from "./image.ts";
import type { ImageRequest, Images, RegistryCredentials, ResolvedImage } from "./image.ts";
import { importImages } from "./import.ts";
import type { ImportedImage } from "./import.ts";
import { openKeptMap } from "./kept-map.ts";
import { DEFAULT_PATH, MAPPED_DOMAIN, resolveHost, storeMapped } from "./mapped-image.ts";
import type { MappedRequest, StoreMappedOptions } from "./mapped-image.ts";
import type { Platform } from "./oci.ts";
import { proxyFrom } from "./proxy.ts";
import type { ProxyVariables } from "./proxy.ts";
import { pullImage } from "./pull.ts";
import type { PullContext, PullProgress } from "./pull.ts";
import { InvalidReference, familiarName, parseReference, repositoryOf, withDefaultTag } from "./reference.ts";
import type { Reference } from "./reference.ts";
import { SharedWork } from "./shared-work.ts";
import { openStore } from "./store.ts";
import type { InUse, NamedImage } from "./store.ts";
import type { UnpackLimits } from "./unpack.ts";

export interface OpenImagesOptions {
  /** Folder for images and the kept map; made when missing. */
  readonly root: string;
  readonly clock: Clock;
  readonly platform: Platform;
  /** Maps of this start, which take the place of what the same files said before. */
  readonly maps?: readonly ImageMapSource[] | undefined;
  /** Images that the program itself provides; asked after the map and before the store. */
  readonly builtin?: ((reference: Reference, name: string) => ResolvedImage | undefined) | undefined;
  /** Images that containers run from are not removed. */
  readonly inUse?: InUse | undefined;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, if they are to be honoured. */
  readonly proxyVariables?: ProxyVariables | undefined;
  /** Certificates (PEM) to trust besides the built-in ones. */
  readonly ca?: string | undefined;
  /** Registries (`host[:port]`) that are spoken to without TLS; those of this machine always are. */
  readonly insecureRegistries?: readonly string[] | undefined;
  readonly limits?: UnpackLimits | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
}

export interface ListedImage {
  /** As people write it; empty for an image that lost its names or is there for the map only. */
  readonly name: string;
  /** Digest of the configuration. */
  readonly id: string;
  readonly manifestDigest: string;
  /** Bytes on disk. */
  readonly size: number;
  /** Unix milliseconds. */
  readonly pulledAt: number;
  readonly platform: string;
  readonly inUse: boolean;
}

export interface LocalImages extends Images {
  list(): readonly ListedImage[];
  /** Imports a folder or archive. Rejects with `Problem`. */
  import(path: string, name?: string): Promise<readonly ImportedImage[]>;
  /** Brings an image up to date with its registry, map or no map. Rejects with `ImageError`. */
  pull(name: string, options?: Omit<ImageRequest, "name" | "policy">): Promise<ListedImage>;
  /** Forgets a name and, with the last one, its image; or an image by its id. Rejects with `Problem`. */
  remove(name: string): Promise<void>;
  /** Throws `Problem`, also when a file says otherwise. */
  map(name: string, mapping: Mapping): void;
  /** Throws `Problem` when the name is not mapped. */
  unmap(name: string): void;
  mappings(): readonly MapEntry[];
  /** Takes over what these map files say now. Throws `Problem` when they disagree. */
  adoptMaps(maps: readonly ImageMapSource[]): void;
}

/** Opens the images below `root`. Throws `Problem` for a store that cannot be used and maps that disagree. */
export function openImages(options: OpenImagesOptions): LocalImages {
  const { root, clock, platform, limits, builtin, inUse = () => false } = options;
  const store = openStore(root, { now: () => clock.now(), inUse: options.inUse });
  const kept = openKeptMap(join(root, "map.json"));
  if (options.maps !== undefined) kept.adopt(options.maps);
  const context: PullContext = {
    store,
    platform,
    limits,
    onProgress: options.onProgress,
    network: {
      clock,
      ca: options.ca,
      insecureRegistries: options.insecureRegistries,
      proxy: options.proxyVariables === undefined ? undefined : proxyFrom(options.proxyVariables),
    },
  };
  const pulls = new SharedWork<NamedImage>();
  const mapped = new SharedWork<NamedImage>();
  const seen: StoreMappedOptions["seen"] = new Map();

  async function pull(request: Pull): Promise<NamedImage> {
    const { reference, shownName, credentials: lookUpCredentials } = request;
    const credentials = lookUpCredentials?.(reference.domain);
    const key = `${familiarName(reference)} ${fingerprint(credentials)}`;
    const start = (signal: AbortSignal): Promise<NamedImage> =>
      pullImage(context, { reference, shownName, credentials, signal });
    return await pulls.join(key, start, request.signal);
  }

  async function resolveMapped(
    request: MappedRequest & { readonly signal?: AbortSignal | undefined },
  ): Promise<ResolvedImage> {
    const { mapping } = request.entry;
    if (mapping.kind === "host") return resolveHost(request, mapping);
    const { path } = mapping;
    const start = (signal: AbortSignal): Promise<NamedImage> =>
      storeMapped({ ...request, path }, { store, seen, platform, limits, signal });
    const image = await mapped.join(`${path} ${request.name}`, start, request.signal);
    return toResolved(request.name, image);
  }

  async function resolve(
    request: ImageRequest,
  ): Promise<ResolvedImage & { pulled: boolean; pullMs: number }> {
    const { name, policy, credentials, signal } = request;
    const reference = parseName(name);
    const entry = lookUp(kept.entries(), reference);
    if (entry !== undefined) {
      const image = await resolveMapped({ name, reference, entry, signal });
      return { ...image, pulled: false, pullMs: 0 };
    }
    const own = builtin?.(reference, name);
    if (own !== undefined) return { ...own, pulled: false, pullMs: 0 };
    const present = inspect(name, () => store.find(reference));
    if (present !== undefined && policy !== "Always") {
      return { ...toResolved(name, present), pulled: false, pullMs: 0 };
    }
    if (policy === "Never") {
      const message = `Container image "${name}" is not present with pull policy of Never`;
      throw new ImageError("ErrImageNeverPull", message);
    }
    const startedAt = clock.monotonic();
    const image = await pull({ reference, shownName: name, credentials, signal });
    const pullMs = Math.round(clock.monotonic() - startedAt);
    return { ...toResolved(name, image), pulled: true, pullMs };
  }

  return {
    resolve,
    isPresent(name) {
      try {
        const reference = parseName(name);
        if (lookUp(kept.entries(), reference) !== undefined) return true;
        return builtin?.(reference, name) !== undefined || store.find(reference) !== undefined;
      } catch (because) {
        // Whoever asks to resolve it is told what is wrong with it.
        if (because instanceof Error) return false;
        throw because;
      }
    },
    list: () => store.list().map((image) => toListed(image, inUse)),
    import: (path, name) => importImages(store, path, { platform, limits, name }),
    async pull(name, { credentials, signal } = {}) {
      const reference = parseName(name);
      return toListed(await pull({ reference, shownName: name, credentials, signal }), inUse);
    },
    async remove(name) {
      const id = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(name)?.[1];
      const found =
        id === undefined ? undefined : store.list().find((image) => image.id.startsWith(`sha256:${id}`));
      if (found !== undefined) await store.removeImage(found.id);
      else {
        checkMapName(name);
        await store.remove(parseName(name));
      }
    },
    map(name, mapping) {
      checkMapName(name);
      kept.map(name, mapping);
    },
    unmap(name) {
      checkMapName(name);
      kept.unmap(name);
    },
    mappings: () => kept.entries(),
    adoptMaps: (maps) => kept.adopt(maps),
  };
}

interface Pull {
  readonly reference: Reference;
  readonly shownName: string;
  readonly credentials?: ImageRequest["credentials"];
  readonly signal?: AbortSignal | undefined;
}

function parseName(name: string): Reference {
  try {
    return withDefaultTag(parseReference(name));
  } catch (because) {
    if (!(because instanceof InvalidReference)) throw because;
    const message = `couldn't parse image name "${name}": ${because.message}`;
    throw new ImageError("InvalidImageName", message, { cause: because });
  }
}

/** A store that somebody else has damaged is reported as the kubelet reports an image that it cannot inspect. */
function inspect<Result>(name: string, look: () => Result): Result {
  try {
    return look();
  } catch (because) {
    const message = `cannot read "${name}" from the image store: ${messageOf(because)}`;
    throw new ImageError("ImageInspectError", message, { cause: because });
  }
}

function toResolved(name: string, image: NamedImage): ResolvedImage {
  const { config, record, rootfs, manifestDigest } = image;
  const { env } = config.image;
  const hasPath = env.some((variable) => variable.startsWith("PATH="));
  return {
    name,
    id: `${repositoryOf(parseName(name))}@${manifestDigest}`,
    rootfs: { kind: "image", path: rootfs },
    config: hasPath ? config.image : { ...config.image, env: [DEFAULT_PATH, ...env] },
    size: record.bytes,
  };
}

function toListed(image: NamedImage, inUse: InUse): ListedImage {
  const { id, name, manifestDigest, namedAt, record, config } = image;
  return {
    name: shownName(name),
    id,
    manifestDigest,
    size: record.bytes,
    pulledAt: namedAt,
    platform: `${config.os}/${config.architecture}`,
    inUse: inUse(image),
  };
}

function shownName(name: string): string {
  const reference = name === "" ? undefined : parseReference(name);
  return reference === undefined || reference.domain === MAPPED_DOMAIN ? "" : familiarName(reference);
}

/** Tells credentials apart without keeping them. */
function fingerprint(credentials: RegistryCredentials | undefined): string {
  return credentials === undefined
    ? ""
    : createHash("sha256")
        .update(JSON.stringify([credentials.username, credentials.password]))
        .digest("hex");
}

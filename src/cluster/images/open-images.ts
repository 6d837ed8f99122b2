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
import type { KeptMap } from "./kept-map.ts";
import { DEFAULT_PATH, MAPPED_DOMAIN, resolveHost, storeMapped } from "./mapped-image.ts";
import type { StoreMappedOptions } from "./mapped-image.ts";
import type { Platform } from "./oci.ts";
import { proxyFrom } from "./proxy.ts";
import type { ProxyVariables } from "./proxy.ts";
import { pullImage } from "./pull.ts";
import type { PullContext, PullProgress } from "./pull.ts";
import { InvalidReference, familiarName, parseReference, repositoryOf, withDefaultTag } from "./reference.ts";
import type { Reference } from "./reference.ts";
import { SharedWork } from "./shared-work.ts";
import { openStore } from "./store.ts";
import type { ImageStore, InUse, NamedImage } from "./store.ts";
import type { UnpackLimits } from "./unpack.ts";

/** Images that the program itself provides; asked after the map and before the store. */
export interface BuiltinImages {
  has(reference: Reference): boolean;
  /** For names that it has. Rejects with `ImageError`, or with the signal's reason. */
  resolve(request: Pick<ImageRequest, "name" | "signal">): Promise<ResolvedImage>;
}

export interface OpenImagesOptions {
  /** Folder for images and the kept map; made when missing. */
  readonly root: string;
  readonly clock: Clock;
  readonly platform: Platform;
  /** Maps of this start, which take the place of what the same files said before. */
  readonly maps?: readonly ImageMapSource[] | undefined;
  readonly builtin?: BuiltinImages | undefined;
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
  const { root, clock, inUse } = options;
  const store = openStore(root, { now: () => clock.now(), inUse });
  const kept = openKeptMap(join(root, "map.json"));
  if (options.maps !== undefined) kept.adopt(options.maps);
  return new ClusterImages(options, store, kept);
}

class ClusterImages implements LocalImages {
  readonly #options: OpenImagesOptions;
  readonly #store: ImageStore;
  readonly #kept: KeptMap;
  readonly #pullContext: PullContext;
  readonly #pulls = new SharedWork<NamedImage>();
  readonly #mapped = new SharedWork<NamedImage>();
  readonly #seen: StoreMappedOptions["seen"] = new Map();

  constructor(options: OpenImagesOptions, store: ImageStore, kept: KeptMap) {
    const { clock, ca, insecureRegistries, platform, limits, onProgress, proxyVariables } = options;
    this.#options = options;
    this.#store = store;
    this.#kept = kept;
    const proxy = proxyVariables === undefined ? undefined : proxyFrom(proxyVariables);
    this.#pullContext = {
      store,
      platform,
      limits,
      onProgress,
      network: { clock, ca, insecureRegistries, proxy },
    };
  }

  async resolve(request: ImageRequest): Promise<ResolvedImage & { pulled: boolean; pullMs: number }> {
    const { name, policy, credentials, signal } = request;
    const reference = parseName(name);
    const provided = await this.#provided(reference, request);
    if (provided !== undefined) return { ...provided, pulled: false, pullMs: 0 };
    const present = inspect(name, () => this.#store.find(reference));
    if (present !== undefined && policy !== "Always") {
      return { ...toResolved(name, present), pulled: false, pullMs: 0 };
    }
    if (policy === "Never") {
      const message = `Container image "${name}" is not present with pull policy of Never`;
      throw new ImageError("ErrImageNeverPull", message);
    }
    const { clock } = this.#options;
    const startedAt = clock.monotonic();
    const image = await this.#pull({ reference, shownName: name, credentials, signal });
    return { ...toResolved(name, image), pulled: true, pullMs: Math.round(clock.monotonic() - startedAt) };
  }

  isPresent(name: string): boolean {
    try {
      const reference = parseName(name);
      if (lookUp(this.#kept.entries(), reference) !== undefined) return true;
      return this.#options.builtin?.has(reference) === true || this.#store.find(reference) !== undefined;
    } catch (because) {
      // Whoever asks to resolve it is told what is wrong with it.
      if (because instanceof Error) return false;
      throw because;
    }
  }

  list(): readonly ListedImage[] {
    return this.#store.list().map((image) => this.#toListed(image));
  }

  import(path: string, name?: string): Promise<readonly ImportedImage[]> {
    const { platform, limits } = this.#options;
    return importImages(this.#store, path, { platform, limits, name });
  }

  async pull(name: string, options: Omit<ImageRequest, "name" | "policy"> = {}): Promise<ListedImage> {
    const { credentials, signal } = options;
    const reference = parseName(name);
    return this.#toListed(await this.#pull({ reference, shownName: name, credentials, signal }));
  }

  async remove(name: string): Promise<void> {
    const id = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(name)?.[1];
    const byId =
      id === undefined ? [] : this.#store.list().filter((image) => image.id.startsWith(`sha256:${id}`));
    const [found] = byId;
    if (found !== undefined) {
      await this.#store.removeImage(found.id);
      return;
    }
    checkMapName(name);
    await this.#store.remove(parseName(name));
  }

  map(name: string, mapping: Mapping): void {
    checkMapName(name);
    this.#kept.map(name, mapping);
  }

  unmap(name: string): void {
    checkMapName(name);
    this.#kept.unmap(name);
  }

  mappings(): readonly MapEntry[] {
    return this.#kept.entries();
  }

  adoptMaps(maps: readonly ImageMapSource[]): void {
    this.#kept.adopt(maps);
  }

  /** What the map or the program itself provides; undefined when neither knows the name. */
  async #provided(
    reference: Reference,
    { name, signal }: Pick<ImageRequest, "name" | "signal">,
  ): Promise<ResolvedImage | undefined> {
    const { builtin } = this.#options;
    const entry = lookUp(this.#kept.entries(), reference);
    if (entry === undefined)
      return builtin?.has(reference) === true
        ? await builtin.resolve({ name, ...(signal && { signal }) })
        : undefined;
    const { mapping } = entry;
    const request = { name, reference, entry };
    if (mapping.kind === "host") return resolveHost(request, mapping);
    const { path } = mapping;
    const { platform, limits } = this.#options;
    const fixed = { store: this.#store, seen: this.#seen, platform, limits };
    const start = (given: AbortSignal): Promise<NamedImage> =>
      storeMapped({ ...request, path }, { ...fixed, signal: given });
    return toResolved(name, await this.#mapped.join(`${path} ${name}`, start, signal));
  }

  async #pull({ reference, shownName, credentials: lookUpCredentials, signal }: Pull): Promise<NamedImage> {
    const credentials = lookUpCredentials?.(reference.domain);
    const key = `${familiarName(reference)} ${fingerprint(credentials)}`;
    const start = (given: AbortSignal): Promise<NamedImage> =>
      pullImage(this.#pullContext, { reference, shownName, credentials, signal: given });
    return await this.#pulls.join(key, start, signal);
  }

  #toListed(image: NamedImage): ListedImage {
    const { id, name, manifestDigest, namedAt, record, config } = image;
    return {
      name: shownName(name),
      id,
      manifestDigest,
      size: record.bytes,
      pulledAt: namedAt,
      platform: `${config.os}/${config.architecture}`,
      inUse: this.#options.inUse?.(image) ?? false,
    };
  }
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

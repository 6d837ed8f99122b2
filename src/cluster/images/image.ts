/** What an image name resolves to: a root file system and the image's own configuration. */

/** The part of an OCI image configuration that decides how a container starts. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=value`, in order. */
  readonly env: readonly string[];
  /** `user`, `uid`, `user:group` or `uid:gid`; empty = root. */
  readonly user: string;
  /** True when the image works as any user: where `user` does not exist, its containers run as the one that does. */
  readonly isUserOptional?: boolean;
  /** Empty = `/`. */
  readonly workingDir: string;
  /** `SIGTERM` unless the image says otherwise. */
  readonly stopSignal: string;
  /** Paths the image declares as volumes; ignored, kept for `images ls -o json`. */
  readonly volumes: readonly string[];
}

/** A folder of this machine that a `host` mapping shows to the container, at the same path, under an overlay. */
export interface HostFolder {
  readonly path: string;
}

/** A file or folder that a `host` mapping copies into the container's fresh root (`copy:` of the image map). */
export interface HostCopy {
  readonly from: string;
  readonly to: string;
}

export type RootFs =
  /** An unpacked image: the lower layer of an overlay. */
  | { readonly kind: "image"; readonly path: string }
  /** This machine's own root under throw-away overlays, home folders and sockets masked. */
  | { readonly kind: "host"; readonly folders: readonly HostFolder[]; readonly copies: readonly HostCopy[] };

export interface ResolvedImage {
  /** The name as the pod wrote it. */
  readonly name: string;
  /** For `status.imageID`: `NAME@sha256:…` for pulled images, `host` mappings a digest of their settings. */
  readonly id: string;
  readonly rootfs: RootFs;
  readonly config: ImageConfig;
  /** Bytes on disk; 0 for host mappings. */
  readonly size: number;
}

export type PullPolicy = "Always" | "IfNotPresent" | "Never";

/** A registry's user name and password or token, from `imagePullSecrets`. Never logged. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

export interface ImageRequest {
  readonly name: string;
  readonly policy: PullPolicy;
  /** Credentials for the registry host (`docker.io`, `localhost:5000`), if the pod has some. */
  readonly credentials?: (registryHost: string) => RegistryCredentials | undefined;
  readonly signal?: AbortSignal;
}

export interface Images {
  /**
   * Map, then local store, then pull. Throws `ImageError`, whose `reason` becomes the container's waiting reason.
   * Concurrent requests for one image share one pull.
   */
  resolve(
    request: ImageRequest,
  ): Promise<ResolvedImage & { readonly pulled: boolean; readonly pullMs: number }>;
  /** True when `resolve` would not need the network: mapped or in the store. */
  isPresent(name: string): boolean;
}

/** Kubelet waiting reasons for images (`pkg/kubelet/images/types.go`). */
export type ImageErrorReason =
  | "InvalidImageName"
  | "ErrImagePull"
  | "ErrImageNeverPull"
  | "ImageInspectError";

export class ImageError extends Error {
  readonly reason: ImageErrorReason;

  /** `message` says what stopped the pull and, where a mapping would help, the exact `pillion images map` command. */
  constructor(reason: ImageErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ImageError";
    this.reason = reason;
  }
}

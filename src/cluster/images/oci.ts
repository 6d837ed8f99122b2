/** Manifests, indexes and configurations of images (OCI image-spec v1.1, Docker schema 2) as checked values. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { ArchiveError } from "./archive-error.ts";
import type { ImageConfig } from "./image.ts";
import { isDigest } from "./reference.ts";

/** What a manifest list is searched for. */
export interface Platform {
  readonly os: "linux";
  readonly architecture: "amd64" | "arm64";
}

/** Largest manifest, index or configuration that is read; registries refuse larger ones themselves. */
export const MAX_DOCUMENT_BYTES = 4 * 2 ** 20;

export const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");
const texts = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);

const Descriptor = z.object({
  mediaType: text,
  digest: z.string().refine(isDigest, "is not a digest"),
  size: z.int().min(0),
  platform: z.object({ os: text, architecture: text, variant: text }).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
});

export type Descriptor = z.output<typeof Descriptor>;

const Manifest = z.object({
  mediaType: text,
  config: Descriptor,
  layers: z.array(Descriptor).max(1_000),
});
const Index = z.object({ mediaType: text, manifests: z.array(Descriptor).max(10_000) });

export type Document =
  | { readonly kind: "index"; readonly manifests: readonly Descriptor[] }
  | { readonly kind: "manifest"; readonly config: Descriptor; readonly layers: readonly Descriptor[] };

const Config = z.object({
  os: text,
  architecture: text,
  created: text,
  rootfs: z.object({ diff_ids: z.array(z.string().refine(isDigest, "is not a digest")).nullish() }),
  config: z
    .object({
      Entrypoint: texts,
      Cmd: texts,
      Env: texts,
      User: text,
      WorkingDir: text,
      StopSignal: text,
      Volumes: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});

export interface ParsedConfig {
  readonly os: string;
  readonly architecture: string;
  /** RFC 3339, or empty. */
  readonly created: string;
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly string[];
  readonly image: ImageConfig;
}

/** `sha256:…` of the bytes. */
export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The digest of the bytes by the algorithm of another digest. */
export function digestOf(bytes: Uint8Array, like: string): string {
  const algorithm = like.slice(0, like.indexOf(":"));
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** Parses a manifest or an index. `what` names it in messages. Throws `ArchiveError`. */
export function parseDocument(bytes: Uint8Array, what: string): Document {
  const json = parseJson(bytes, what);
  if (isObject(json) && json["schemaVersion"] === 1) {
    throw new ArchiveError(
      `${what} is of the obsolete Docker manifest schema 1; push the image again with a current tool`,
    );
  }
  if (isObject(json) && "manifests" in json) {
    return { kind: "index", manifests: check(Index, json, what).manifests };
  }
  const { config, layers } = check(Manifest, json, what);
  return { kind: "manifest", config, layers };
}

/** Parses an image's configuration. Throws `ArchiveError`. */
export function parseConfig(bytes: Uint8Array, what: string): ParsedConfig {
  const { os, architecture, created, rootfs, config } = check(Config, parseJson(bytes, what), what);
  return {
    os,
    architecture,
    created,
    diffIds: rootfs.diff_ids ?? [],
    image: {
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      env: config?.Env ?? [],
      user: config?.User ?? "",
      workingDir: config?.WorkingDir ?? "",
      stopSignal:
        config?.StopSignal === undefined || config.StopSignal === "" ? "SIGTERM" : config.StopSignal,
      volumes: Object.keys(config?.Volumes ?? {}),
    },
  };
}

/** The entry for this platform. Throws `ArchiveError` that lists what there is. */
export function choosePlatform(manifests: readonly Descriptor[], { os, architecture }: Platform): Descriptor {
  // Attestations and signatures travel in indexes as `unknown/unknown`.
  const images = manifests.filter(({ platform }) => platform?.os !== "unknown");
  const fits = images.filter(({ platform }) => platform?.os === os && platform.architecture === architecture);
  const baseline = fits.find(({ platform }) => BASELINE[architecture].includes(platform?.variant ?? ""));
  const chosen = baseline ?? fits[0] ?? (images.length === 1 && !images[0]?.platform ? images[0] : undefined);
  if (chosen !== undefined) return chosen;
  const offered = [...new Set(images.map((image) => platformText(image)))];
  const list = offered.length === 0 ? "no platform" : offered.join(", ");
  throw new ArchiveError(`the image is not made for ${os}/${architecture}; it is made for ${list}`);
}

/** Throws `ArchiveError` when the image's programs cannot run here. Old images that do not say are believed. */
export function checkPlatform(config: ParsedConfig, { os, architecture }: Platform): void {
  const isFit =
    (config.os === "" || config.os === os) &&
    (config.architecture === "" || config.architecture === architecture);
  if (isFit) return;
  throw new ArchiveError(
    `the image is not made for ${os}/${architecture}; it is made for ${config.os || "?"}/${config.architecture || "?"}`,
  );
}

/** Variants that every machine of the architecture runs, best first. */
const BASELINE: Readonly<Record<Platform["architecture"], readonly string[]>> = {
  amd64: ["", "v1"],
  arm64: ["v8", ""],
};

function platformText({ platform }: Descriptor): string {
  if (!platform) return "an unnamed platform";
  const { os, architecture, variant } = platform;
  return `${os || "?"}/${architecture || "?"}${variant === "" ? "" : `/${variant}`}`.slice(0, 60);
}

/** JSON from outside, not yet checked. Throws `ArchiveError`. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (because) {
    throw new ArchiveError(`${what} is not JSON`, { cause: because });
  }
}

/** Checks JSON from outside against a schema. Throws `ArchiveError` with the first thing that is wrong. */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  json: unknown,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = (issue?.path ?? []).map(String).join(".").slice(0, 100);
  throw new ArchiveError(
    `${what} is not well-formed: ${where === "" ? "" : `${where}: `}${issue?.message ?? ""}`,
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What shape and encoding a client wants its answer in (`Accept`, as apiserver's `negotiation` reads it). */
import { StatusError } from "../../k8s/status-error.ts";

/** `Object` is the resource's own kind; `List` of it is decided by what is answered. */
export type Shape = "Object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";

export interface Accepted {
  readonly encoding: "json" | "yaml";
  readonly shape: Shape;
  /** Of `meta.k8s.io`: the apiVersion that Tables and partial objects are answered in. */
  readonly version: "v1" | "v1beta1";
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

/** Protobuf-only clients get JSON, which they all read. */
const ENCODINGS: ReadonlyMap<string, Accepted["encoding"]> = new Map([
  ["*/*", "json"],
  ["application/*", "json"],
  ["application/json", "json"],
  ["application/vnd.kubernetes.protobuf", "json"],
  ["application/yaml", "yaml"],
]);

const SHAPES: ReadonlySet<string> = new Set(["Table", "PartialObjectMetadata", "PartialObjectMetadataList"]);

/** The first range that can be answered. `NotAcceptable` when there is none. */
export function negotiate(accept: string | undefined): Accepted {
  if (accept === undefined || accept.trim() === "")
    return { encoding: "json", shape: "Object", version: "v1" };
  for (const range of mediaRanges(accept)) {
    const encoding = ENCODINGS.get(range.type);
    const shape = encoding === undefined ? undefined : shapeOf(range);
    if (encoding !== undefined && shape !== undefined) return { encoding, ...shape };
  }
  throw new StatusError(
    "NotAcceptable",
    "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  );
}

function shapeOf({ parameters }: MediaRange): Pick<Accepted, "shape" | "version"> | undefined {
  const as = parameters.get("as");
  if (as === undefined) return { shape: "Object", version: "v1" };
  const version = parameters.get("v");
  if (!SHAPES.has(as) || parameters.get("g") !== "meta.k8s.io") return undefined;
  return version === "v1" || version === "v1beta1" ? { shape: as as Shape, version } : undefined;
}

/** Most wanted first; equal quality keeps the client's order. */
export function mediaRanges(header: string): MediaRange[] {
  return header
    .split(",")
    .map((text) => {
      const [type = "", ...pairs] = text.split(";").map((part) => part.trim());
      const parameters = new Map(
        pairs.map((pair) => {
          const [key = "", value = ""] = pair.split("=");
          return [key.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, "$1")] as const;
        }),
      );
      const quality = Number(parameters.get("q") ?? 1);
      return { type: type.toLowerCase(), parameters, quality: Number.isFinite(quality) ? quality : 0 };
    })
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality);
}

/** How failures and pages are written for this client, whatever else its header says. Never throws. */
export function preferredEncoding(accept: string | undefined): Accepted["encoding"] {
  const known = mediaRanges(accept ?? "").map(({ type }) => ENCODINGS.get(type));
  return known.find((encoding) => encoding !== undefined) ?? "json";
}

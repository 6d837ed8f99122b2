/** Knows, for a host-root container, which part of the scratch space holds a path of the container. */
import { readlinkSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { lstatIfThere } from "../../lib/lstat-if-there.ts";

/** Something mounted over the top-level folders, in the order it was added. */
export type Layer =
  /** An overlay of `lower`, with `upper/NAME` and `work/NAME`. */
  | { readonly kind: "overlay"; readonly path: string; readonly lower: string; readonly name: string }
  /** `lower` as it is, read-only, with all that is mounted in it. */
  | { readonly kind: "bind"; readonly path: string; readonly lower: string }
  /** An empty folder, `masks/NAME`. */
  | { readonly kind: "mask"; readonly path: string; readonly name: string };

/** A layer below the top level, before its place is known. */
export type WantedLayer =
  | { readonly kind: "mask"; readonly path: string }
  | { readonly kind: "folder"; readonly path: string; readonly lower: string };

/** A place in the scratch space: `rest` below `base`; `lower` is what `base` covers on this machine, if anything. */
export interface Place {
  readonly base: string;
  readonly rest: string;
  readonly lower: string | undefined;
}

const MAX_LINKS = 40;

/** Outer folders first. At one path a folder comes after a mask: the image map names it on purpose. */
export function layerOrder(layers: readonly WantedLayer[]): readonly WantedLayer[] {
  return layers.toSorted((a, b) => depth(a.path) - depth(b.path) || b.kind.localeCompare(a.kind));
}

function depth(path: string): number {
  return path.split("/").length;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

export class HostView {
  readonly #scratch: string;
  readonly #layers: Layer[] = [];
  readonly #plain: string[] = [];
  readonly #wanted: WantedLayer[] = [];
  readonly #copiedInto = new Set<Layer>();

  /** `scratch`: the engine's path of the scratch space. */
  constructor(scratch: string) {
    this.#scratch = scratch;
  }

  get layers(): readonly Layer[] {
    return this.#layers;
  }

  get wanted(): readonly WantedLayer[] {
    return this.#wanted;
  }

  add(layer: Layer): void {
    this.#layers.push(layer);
  }

  /** A top-level folder that starts empty, a plain folder of the new root. */
  addPlain(path: string): void {
    this.#plain.push(path);
  }

  want(layer: { kind: "mask"; path: string | undefined } | WantedLayer): void {
    if (layer.path === undefined) return;
    this.#wanted.push(layer.kind === "mask" ? { kind: "mask", path: layer.path } : layer);
  }

  /** The path without symbolic links on this machine, undefined when it is not there. */
  realPath(path: string): string | undefined {
    try {
      return realpathSync(path);
    } catch {
      return undefined;
    }
  }

  /**
   * Where a process in the container gets to by `path`: symbolic links of this machine are followed, except in folders
   * that start empty. The last parts need not exist.
   */
  containerPath(path: string): string {
    let left = resolve("/", path).split("/").filter(Boolean);
    let at = "/";
    for (let links = 0; left.length > 0 && links < MAX_LINKS;) {
      const [name = "", ...rest] = left;
      const next = join(at, name);
      const target = this.plainPath(next) === undefined ? linkTarget(next) : undefined;
      left = rest;
      if (target === undefined) {
        at = next;
      } else {
        links += 1;
        left = [...resolve(at, target).split("/").filter(Boolean), ...rest];
        at = "/";
      }
    }
    return join(at, ...left);
  }

  /** The engine's path of a container path that lies in a folder which starts empty; else undefined. */
  plainPath(path: string): string | undefined {
    const layer = this.#layerOf(path);
    if (layer === undefined)
      return this.#plain.some((folder) => isWithin(path, folder))
        ? join(this.#scratch, "root", path)
        : undefined;
    return layer.kind === "mask"
      ? join(this.#scratch, "masks", layer.name, path.slice(layer.path.length))
      : undefined;
  }

  /**
   * Where a file must be written to appear at `path` in the container; undefined where nothing can be. With `isRequired` false
   * the layer may be shown without it.
   */
  place(path: string, { isRequired = true } = {}): Place | undefined {
    const layer = this.#layerOf(path);
    if (layer === undefined) return { base: join(this.#scratch, "root"), rest: path, lower: undefined };
    if (layer.kind === "bind") return undefined;
    const rest = path.slice(layer.path.length);
    if (layer.kind === "mask")
      return { base: join(this.#scratch, "masks", layer.name), rest, lower: undefined };
    if (isRequired) this.#copiedInto.add(layer);
    return { base: join(this.#scratch, "upper", layer.name), rest, lower: layer.lower };
  }

  isIn(layer: Layer, path: string): boolean {
    return this.#layerOf(path) === layer;
  }

  isCopiedInto(layer: Layer): boolean {
    return this.#copiedInto.has(layer);
  }

  /** The innermost layer; later ones cover earlier ones. */
  #layerOf(path: string): Layer | undefined {
    return this.#layers.findLast((layer) => isWithin(path, layer.path));
  }
}

function linkTarget(path: string): string | undefined {
  if (lstatIfThere(path)?.isSymbolicLink() !== true) return undefined;
  return resolve(dirname(path), readlinkSync(path));
}

/** The root of a container that runs this machine's own programs: its folders under throw-away overlays, its private ones masked. */
import { existsSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RootFs } from "../images/image.ts";
import { detachedTree } from "./attach.ts";
import { isSymlink, makeTopLevel, PRIVATE_FOLDERS, PSEUDO_FOLDERS } from "./host-folders.ts";
import { copyIntoLayer } from "./host-copy.ts";
import { EMPTY_FILE, hideSecrets, secretFolders } from "./host-secrets.ts";
import { makeMountPoints, type MountPoint } from "./host-mount-points.ts";
import { HostView, layerOrder, type Layer } from "./host-view.ts";
import * as linux from "./linux-constants.ts";
import type { OwnedFolders } from "./owned-folders.ts";
import type { Program } from "./program.ts";
import { bind, makeOverlayFolders, overlayOptions, type Root, type Scratch } from "./root-layers.ts";
import { ContainerStartError } from "./sandbox.ts";

type HostRootFs = Extract<RootFs, { kind: "host" }>;

export interface HostRootOptions {
  /** The cluster's own folder; containers must not see it. */
  readonly stateDir: string;
  readonly nodev: boolean;
  /** What will be mounted into the container. */
  readonly mountPoints: readonly MountPoint[];
  /** Layers that make this machine's folders the container's own. */
  readonly owned: OwnedFolders;
}

/** Throws `ContainerStartError` when a folder or a copy of the image map cannot be used. */
export async function prepareHostRoot(
  scratch: Scratch,
  rootfs: HostRootFs,
  { stateDir, nodev, mountPoints, owned }: HostRootOptions,
): Promise<Root> {
  for (const name of ["root", "upper", "work", "masks"])
    mkdirSync(join(scratch.path, name), { recursive: true });
  const view = new HostView(scratch.path);
  makeTopLevel(scratch, view, stateDir);
  addLayers(scratch, { view, rootfs, stateDir });
  const secrets = hideSecrets(scratch, view);
  for (const copy of rootfs.copies) await copyIntoLayer({ scratch, view, stateDir }, copy);
  makeMountPoints(scratch, view, mountPoints);
  const layers = view.layers;
  return {
    writable: ["/", ...layers.map(({ path }) => path)],
    mount(program) {
      bind(program, { source: "root", target: "root", attributes: nodev ? linux.MOUNT_ATTR_NODEV : 0 });
      for (const layer of layers)
        mountLayer(program, layer, {
          scratch,
          nodev,
          owned,
          mayFallBack: !view.isCopiedInto(layer),
          secrets: secrets.filter((path) => view.isIn(layer, path)),
        });
    },
  };
}

interface LayerInput {
  readonly view: HostView;
  readonly rootfs: HostRootFs;
  readonly stateDir: string;
}

/** Masks that are not at the top (a `/home` that is a link, the state folder) and the folders of the image map, outside in. */
function addLayers(scratch: Scratch, { view, rootfs, stateDir }: LayerInput): void {
  const links = [...PRIVATE_FOLDERS.keys()].filter((name) => isSymlink(`/${name}`)).map((name) => `/${name}`);
  for (const path of [...links, ...secretFolders(), stateDir])
    view.want({ kind: "mask", path: view.realPath(path) });
  for (const { path } of rootfs.folders) {
    const lower = view.realPath(path);
    if (lower === undefined || !lstatSync(lower).isDirectory()) {
      throw new ContainerStartError(
        "CreateContainerError",
        `cannot show folder "${path}" of the image map to the container: it is not a folder of this machine`,
      );
    }
    if (lower === "/" || PSEUDO_FOLDERS.includes(lower.split("/")[1] ?? "")) {
      throw new ContainerStartError(
        "CreateContainerError",
        `cannot show folder "${path}" of the image map to the container: name a folder below "/" that is not "/dev", "/proc" or "/sys"`,
      );
    }
    view.want({ kind: "folder", path: view.containerPath(path), lower });
  }
  for (const [index, wanted] of layerOrder(view.wanted).entries()) {
    const name = `${wanted.kind}-${index}`;
    const home = view.plainPath(wanted.path);
    if (wanted.kind === "mask") {
      // What is already hidden, and what does not exist, needs no mask.
      if (home !== undefined) continue;
      mkdirSync(join(scratch.path, "masks", name));
      view.add({ kind: "mask", path: wanted.path, name });
    } else {
      if (home !== undefined) mkdirSync(home, { recursive: true });
      makeOverlayFolders(scratch, name, wanted.lower);
      view.add({ kind: "overlay", path: wanted.path, lower: wanted.lower, name });
    }
  }
}

interface MountOptions {
  readonly scratch: Scratch;
  readonly nodev: boolean;
  readonly owned: OwnedFolders;
  /** False when something was copied into the layer: it would be missing. */
  readonly mayFallBack: boolean;
  /** Files in it that its upper folder hides. */
  readonly secrets: readonly string[];
}

/** What the kernel does not overlay (in a user namespace: folders with mounts below) is shown as it is, read-only. */
function mountLayer(
  program: Program,
  layer: Layer,
  { scratch, nodev, owned, mayFallBack, secrets }: MountOptions,
): void {
  const target = `root${layer.path}`;
  if (layer.kind === "mask") {
    bind(program, { source: `masks/${layer.name}`, target, attributes: nodev ? linux.MOUNT_ATTR_NODEV : 0 });
    return;
  }
  const showAsItIs = (): void => {
    bindReadOnly(program, layer.lower, target);
    for (const path of secrets)
      bind(program, { source: EMPTY_FILE, target: `root${path}`, attributes: linux.MOUNT_ATTR_RDONLY });
  };
  if (layer.kind === "bind") {
    showAsItIs();
    return;
  }
  const [fallback, done] = [program.label(), program.label()];
  const above = layer.path === layer.lower ? ownedPath(owned, layer.path) : undefined;
  const options = overlayOptions(
    above === undefined ? [layer.lower] : [above, layer.lower],
    layer.name,
    scratch,
  );
  program.call("mount", ["overlay", target, "overlay", nodev ? linux.MS_NODEV : 0, options], {
    name: `mount(overlay,${layer.path})`,
    onSuccess: done,
    ...(mayFallBack ? { ignore: "all", orElse: fallback } : {}),
  });
  program.place(fallback);
  showAsItIs();
  program.place(done);
}

function bindReadOnly(program: Program, source: string, target: string): void {
  const tree = detachedTree(program, source, linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NODEV);
  program.call("move_mount", [tree, "", linux.AT_FDCWD, target, linux.MOVE_MOUNT_F_EMPTY_PATH], {
    name: `mount(bind,${target.slice("root".length)})`,
  });
}

/** The layer that makes `path` the container's own, where there is one. */
function ownedPath(owned: OwnedFolders, path: string): string | undefined {
  const [, top = "", ...rest] = path.split("/");
  const layer = owned.get(`/${top}`);
  if (layer === undefined) return undefined;
  const above = join(layer, ...rest);
  return existsSync(above) ? above : undefined;
}

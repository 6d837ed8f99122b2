/** The root of a container that runs this machine's own programs: its folders under throw-away overlays, its private ones masked. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { RootFs } from "../images/image.ts";
import { detachedTree } from "./attach.ts";
import { copyIntoLayer } from "./host-copy.ts";
import { makeMountPoints, type MountPoint } from "./host-mount-points.ts";
import { HostView, layerOrder, type Layer } from "./host-view.ts";
import * as linux from "./linux-constants.ts";
import type { OwnedFolders } from "./owned-folders.ts";
import type { Program } from "./program.ts";
import {
  bind,
  makeFolderLike,
  makeOverlayFolders,
  overlayOptions,
  type Root,
  type Scratch,
} from "./root-layers.ts";
import { ContainerStartError } from "./sandbox.ts";

/** Empty in every container, with these modes: home folders, other people's sockets and files, removable media. */
const MASKED: ReadonlyMap<string, number> = new Map([
  ["home", 0o755],
  ["media", 0o755],
  ["mnt", 0o755],
  ["root", 0o700],
  ["run", 0o755],
  ["tmp", 0o1777],
]);
/** Mounted by the program for every container. */
const PSEUDO = ["dev", "proc", "sys"];
/** Of no use in a container. */
const SKIPPED = ["lost+found"];

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
  makeTopLevel(scratch, view);
  addLayers(scratch, { view, rootfs, stateDir });
  for (const copy of rootfs.copies) await copyIntoLayer({ scratch, view, stateDir }, copy);
  makeMountPoints(scratch, view, mountPoints);
  const layers = view.layers;
  return {
    writable: ["/", ...layers.map(({ path }) => path)],
    mount(program) {
      bind(program, { source: "root", target: "root", attributes: nodev ? linux.MOUNT_ATTR_NODEV : 0 });
      for (const layer of layers)
        mountLayer(program, layer, { scratch, nodev, owned, mayFallBack: !view.isCopiedInto(layer) });
    },
  };
}

function makeTopLevel(scratch: Scratch, view: HostView): void {
  const root = join(scratch.path, "root");
  for (const name of PSEUDO) mkdirSync(join(root, name));
  for (const entry of readdirSync("/", { withFileTypes: true })) {
    const { name } = entry;
    if (PSEUDO.includes(name) || SKIPPED.includes(name)) continue;
    if (entry.isSymbolicLink()) {
      symlinkSync(readlinkSync(`/${name}`), join(root, name));
    } else if (entry.isDirectory() && !MASKED.has(name)) {
      makeFolderLike(scratch, join(root, name), `/${name}`);
      makeOverlayFolders(scratch, name, `/${name}`);
      view.add({ kind: "overlay", path: `/${name}`, lower: `/${name}`, name });
    }
  }
  for (const [name, mode] of MASKED) {
    if (isSymlink(`/${name}`)) continue;
    mkdirSync(join(root, name));
    chmodSync(join(root, name), mode);
    view.addPlain(`/${name}`);
  }
  // Programs expect it where /var/lock leads; on a machine it is made at boot.
  mkdirSync(join(root, "run/lock"));
  chmodSync(join(root, "run/lock"), 0o1777);
}

interface LayerInput {
  readonly view: HostView;
  readonly rootfs: HostRootFs;
  readonly stateDir: string;
}

/** Masks that are not at the top (a `/home` that is a link, the state folder) and the folders of the image map, outside in. */
function addLayers(scratch: Scratch, { view, rootfs, stateDir }: LayerInput): void {
  const links = [...MASKED.keys()].filter((name) => isSymlink(`/${name}`)).map((name) => `/${name}`);
  for (const path of [...links, stateDir]) view.want({ kind: "mask", path: view.realPath(path) });
  for (const { path } of rootfs.folders) {
    const lower = view.realPath(path);
    if (lower === undefined || !lstatSync(lower).isDirectory()) {
      throw new ContainerStartError(
        "CreateContainerError",
        `cannot show folder "${path}" of the image map to the container: it is not a folder of this machine`,
      );
    }
    if (lower === "/" || PSEUDO.includes(lower.split("/")[1] ?? "")) {
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

function isSymlink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

interface MountOptions {
  readonly scratch: Scratch;
  readonly nodev: boolean;
  readonly owned: OwnedFolders;
  /** False when something was copied into the layer: it would be missing. */
  readonly mayFallBack: boolean;
}

/** What the kernel does not overlay (in a user namespace: folders with mounts below) is shown as it is, read-only. */
function mountLayer(
  program: Program,
  layer: Layer,
  { scratch, nodev, owned, mayFallBack }: MountOptions,
): void {
  const target = `root${layer.path}`;
  if (layer.kind === "mask") {
    bind(program, { source: `masks/${layer.name}`, target, attributes: nodev ? linux.MOUNT_ATTR_NODEV : 0 });
    return;
  }
  const [fallback, done] = [program.label(), program.label()];
  const above = layer.path === layer.lower ? owned.get(layer.lower) : undefined;
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
  const tree = detachedTree(program, layer.lower, linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NODEV);
  program.call("move_mount", [tree, "", linux.AT_FDCWD, target, linux.MOVE_MOUNT_F_EMPTY_PATH], {
    name: `mount(bind,${layer.path})`,
  });
  program.place(done);
}

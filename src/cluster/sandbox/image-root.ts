/** The root of a container that runs an image: the unpacked image below, a fresh writable layer above. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import * as linux from "./linux-constants.ts";
import { makeOverlayFolders, overlayOptions, type Root, type Scratch } from "./root-layers.ts";
import { ContainerStartError } from "./sandbox.ts";

const LAYER = "image";

/** Throws `ContainerStartError` when the image is not there any more. */
export function prepareImageRoot(scratch: Scratch, { path, nodev }: { path: string; nodev: boolean }): Root {
  if (!existsSync(path)) {
    throw new ContainerStartError("CreateContainerError", `the unpacked image is gone: no folder "${path}"`);
  }
  makeOverlayFolders(scratch, LAYER, path);
  // A folder in the upper layer wins over anything but a folder below, so the mounts that follow cannot be led astray.
  for (const name of ["dev", "proc", "sys"]) mkdirSync(join(scratch.path, "upper", LAYER, name));
  const options = overlayOptions([path], LAYER, scratch);
  return {
    writable: ["/"],
    mount(program) {
      program.call("mount", ["overlay", "root", "overlay", nodev ? linux.MS_NODEV : 0, options], {
        name: "mount(overlay,/)",
      });
    },
  };
}

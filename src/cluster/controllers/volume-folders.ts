/** The folders of claims, in the node's root: the only files that a controller touches. */
import { closeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { childOf, makeFolderInside, openFolderInside } from "../../lib/inside.ts";

/** Where volumes of claims are on the node. */
const PARENT = "var/lib/pillion/volumes";
/** Everybody may write: who shall not is the pod's securityContext's business, as with the provisioners of kind and minikube. */
const MODE = 0o777;

export interface VolumeFolders {
  /** Makes the folder, empty or as it was; answers its path on the node. */
  make(name: string): string;
  /** Deletes it with all that is in it. Resolves also when it was not there. */
  remove(path: string): Promise<void>;
  /** Whether the path on the node is one that `make` gives. */
  isOurs(path: string): boolean;
}

/** `nodeRoot` is a folder that pods can write to: no link in it leads anywhere. */
export function volumeFolders(nodeRoot: string): VolumeFolders {
  const prefix = `/${PARENT}/`;
  return {
    make(name) {
      makeFolderInside(nodeRoot, PARENT, 0o755);
      makeFolderInside(nodeRoot, `${PARENT}/${name}`, MODE);
      return `${prefix}${name}`;
    },
    async remove(path) {
      const name = path.slice(prefix.length);
      if (!path.startsWith(prefix) || name === "" || name.includes("/"))
        throw new RangeError(`Not the folder of a claim: ${JSON.stringify(path)}`);
      const parent = openFolderInside(nodeRoot, PARENT, 0o755);
      try {
        await rm(childOf(parent, name), { recursive: true, force: true });
      } finally {
        closeSync(parent);
      }
    },
    isOurs: (path) => path.startsWith(prefix),
  };
}

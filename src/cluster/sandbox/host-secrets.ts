/** Empties, in a host-root container, the files by which this machine knows its users and proves who it is: root in there could read them. */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  lstatSync,
  readdirSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { lstatIfThere } from "../../lib/lstat-if-there.ts";
import { makeFolders } from "./host-copy.ts";
import type { HostView } from "./host-view.ts";
import type { Scratch } from "./root-layers.ts";

/**
 * Only what is a secret by its nature and at the same place on every machine: hashes of passwords and keys of the machine.
 * The data of its programs is theirs to protect; an operator who runs programs of the machine wants them to find it.
 */
const SECRET_FILES: readonly (readonly [folder: string, name: RegExp])[] = [
  ["/etc", /^(g?shadow-?|krb5\.keytab)$/],
  ["/etc/security", /^opasswd$/],
  ["/etc/ssh", /^ssh_host_.*_key$/],
  // Debian's daily copies.
  ["/var/backups", /^g?shadow\.bak$/],
];
/** Empty unless the image map names them. */
const SECRET_FOLDERS = [
  "/etc/NetworkManager/system-connections",
  "/etc/letsencrypt",
  "/etc/pki/tls/private",
  "/etc/ssl/private",
  "/etc/wireguard",
];

/** An empty file of the scratch space, to be bound over a secret that no layer can hide. */
export const EMPTY_FILE = "masks/empty-file";

/** What this process cannot read, no container of its can. */
export function secretFolders(): readonly string[] {
  return SECRET_FOLDERS.filter((path) => isReadable(path));
}

/**
 * Puts empty files over them in the upper layers, where programs such as useradd(8) can still replace them. Returns the paths
 * in the container, for layers that are shown as they are after all.
 */
export function hideSecrets(scratch: Scratch, view: HostView): readonly string[] {
  writeFileSync(join(scratch.path, EMPTY_FILE), "", { mode: 0o600 });
  const hidden: string[] = [];
  for (const secret of secretFiles()) {
    const path = join(view.containerPath(dirname(secret)), basename(secret));
    if (view.plainPath(path) !== undefined) continue;
    const place = view.place(path, { isRequired: false });
    if (place === undefined) {
      hidden.push(path);
    } else if (place.lower === undefined) {
      const copy = join(place.base, place.rest);
      if (lstatIfThere(copy)?.isFile() === true) truncateSync(copy);
    } else {
      makeFolders(scratch, { ...place, rest: dirname(place.rest) });
      makeEmptyLike(scratch, join(place.base, place.rest), secret);
      hidden.push(path);
    }
  }
  return hidden;
}

function secretFiles(): readonly string[] {
  return SECRET_FILES.flatMap(([folder, name]) =>
    listing(folder)
      .filter((entry) => name.test(entry))
      .map((entry) => join(folder, entry))
      .filter((path) => isReadable(path) && lstatIfThere(path)?.isDirectory() === false),
  );
}

function makeEmptyLike({ isUserNamespace }: Scratch, path: string, model: string): void {
  const { mode, uid, gid } = lstatSync(model);
  writeFileSync(path, "");
  if (!isUserNamespace) chownSync(path, uid, gid);
  chmodSync(path, mode & 0o640);
}

function listing(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a container sees at which path: its volumeMounts and the files that every pod has. */
import { existsSync, readlinkSync, statSync } from "node:fs";
import { join, normalize } from "node:path";
import type { Container, VolumeMount } from "../../../generated/kubernetes.ts";
import { expandReferences } from "../../k8s/env-expansion.ts";
import { findInside, makeFolderInside } from "../../lib/inside.ts";
import type { Mount } from "../sandbox/sandbox.ts";
import { ContainerConfigError } from "./config-error.ts";
import type { MountedVolume } from "./volumes/pod-volumes.ts";

export interface MountFacts {
  readonly container: Container;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  readonly env: ReadonlyMap<string, string>;
  /** Files of the pod to mount where the container mounts nothing itself: target -> file. */
  readonly podFiles: ReadonlyMap<string, string>;
  /** Mounted at `terminationMessagePath`. */
  readonly terminationLog?: string;
}

/** Throws `ContainerConfigError` (kubelet makeMounts). */
export function containerMounts(facts: MountFacts): Mount[] {
  const { container, podFiles, terminationLog } = facts;
  const mounts = (container.volumeMounts ?? []).map((mount) => volumeMount(mount, facts));
  const taken = new Set(mounts.map(({ target }) => normalize(target).replace(/(?<=.)\/$/, "")));
  for (const [target, source] of podFiles)
    if (!taken.has(target)) mounts.push({ kind: "bind", source, target, readOnly: false });
  const messagePath = container.terminationMessagePath ?? "/dev/termination-log";
  if (terminationLog !== undefined && messagePath !== "" && !taken.has(messagePath))
    mounts.push({ kind: "bind", source: terminationLog, target: messagePath, readOnly: false });
  return mounts;
}

function volumeMount(mount: VolumeMount, facts: MountFacts): Mount {
  const volume = facts.volumes.get(mount.name);
  const target = mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`;
  if (volume === undefined) {
    const { name } = facts.container;
    throw new ContainerConfigError(`cannot find volume "${mount.name}" to mount into container "${name}"`);
  }
  const subPath = subPathOf(mount, facts.env);
  const below = subPath === "" ? volume.path : prepareSubPath(volume, subPath, { mount, facts });
  return {
    kind: "bind",
    source: volume.root,
    target,
    readOnly: mount.readOnly === true || volume.readOnly,
    ...(below === "" ? {} : { subPath: below }),
  };
}

function subPathOf({ subPath = "", subPathExpr }: VolumeMount, env: ReadonlyMap<string, string>): string {
  const expanded =
    subPathExpr === undefined
      ? { text: subPath, missing: [] }
      : expandReferences(subPathExpr, (name) => env.get(name));
  const [missing] = expanded.missing;
  if (missing !== undefined) throw new ContainerConfigError(`missing value for "${missing}"`);
  const { text } = expanded;
  if (text.startsWith("/"))
    throw new ContainerConfigError(`error SubPath \`${text}\` must not be an absolute path`);
  if (text.split("/").includes("..") || text.includes("\0"))
    throw new ContainerConfigError(`unable to provision SubPath \`${text}\`: must not contain '..'`);
  return text;
}

/** The place of a subPath below the volume's root; a missing folder is made with the volume's mode. */
function prepareSubPath(
  volume: MountedVolume,
  subPath: string,
  { mount, facts }: { readonly mount: VolumeMount; readonly facts: MountFacts },
): string {
  const what = `volumeMount "${mount.name}" of container "${facts.container.name}"`;
  if (volume.isOurs) return resolveOurs(volume.root, subPath, what);
  const wanted = join(volume.path, subPath);
  try {
    const found = findInside(volume.root, wanted);
    if (found.stats === undefined)
      makeFolderInside(volume.root, found.path, statSync(join(volume.root, volume.path)).mode & 0o7777);
    return found.path;
  } catch (error) {
    throw new ContainerConfigError(`failed to create subPath directory for ${what}: ${String(error)}`);
  }
}

/** The file itself behind the `..data` links, so that the mount keeps what it was when the files are replaced (V12). */
function resolveOurs(root: string, subPath: string, what: string): string {
  const current = join(root, "..data");
  const path = existsSync(current) ? join(readlinkSync(current), normalize(subPath)) : "";
  if (path === "" || !existsSync(join(root, path))) {
    throw new ContainerConfigError(
      `failed to prepare subPath for ${what}: no such file in the volume: ${subPath}`,
    );
  }
  return path;
}

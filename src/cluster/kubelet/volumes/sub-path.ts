/** The part of a volume that a container mounts: `subPath` and `subPathExpr` (kubelet makeMounts, PrepareSafeSubpath). */
import { lstatSync, readlinkSync, statSync } from "node:fs";
import { join, normalize } from "node:path";
import type { VolumeMount } from "../../../../generated/kubernetes.ts";
import { expandReferences } from "../../../k8s/env-expansion.ts";
import { findInside, makeFolderInside, type Found, segmentsOf } from "../../../lib/inside.ts";
import { ContainerConfigError } from "../config-error.ts";
import type { MountedVolume } from "./pod-volumes.ts";

export interface SubPathFacts {
  readonly container: string;
  readonly env: ReadonlyMap<string, string>;
}

/**
 * The path below `volume.root`, free of links; a missing folder is made with the volume's mode. Throws
 * `ContainerConfigError` in the kubelet's words, which keep to themselves what lies on the node.
 */
export function resolveSubPath(mount: VolumeMount, volume: MountedVolume, facts: SubPathFacts): string {
  const wanted = wantedSubPath(mount, facts.env);
  if (wanted === "") return volume.path;
  const what = `volumeMount "${mount.name}" of container "${facts.container}"`;
  let found: Found;
  try {
    found = volume.isOurs ? findOurs(volume.root, wanted) : find(volume, wanted);
  } catch {
    throw new ContainerConfigError(`failed to prepare subPath for ${what}`);
  }
  if (found.stats !== undefined) return found.path;
  try {
    const { mode } = statSync(join(volume.root, volume.path));
    makeFolderInside(volume.root, found.path, mode & 0o7777);
    return found.path;
  } catch {
    throw new ContainerConfigError(`failed to create subPath directory for ${what}`);
  }
}

function wantedSubPath({ subPath = "", subPathExpr = "" }: VolumeMount, env: SubPathFacts["env"]): string {
  const text = subPathExpr === "" ? subPath : expandAll(subPathExpr, env);
  if (text.startsWith("/"))
    throw new ContainerConfigError(`error SubPath \`${text}\` must not be an absolute path`);
  if (text.split("/").includes(".."))
    throw new ContainerConfigError(`unable to provision SubPath \`${text}\`: must not contain '..'`);
  return text;
}

/** A variable without a value would mount more than was meant. */
function expandAll(expression: string, env: SubPathFacts["env"]): string {
  const missing = new Set<string>();
  const { text } = expandReferences(expression, (name) => {
    const value = env.get(name) ?? "";
    if (value === "") missing.add(name);
    return value;
  });
  if (missing.size > 0) throw new ContainerConfigError(`missing value for ${[...missing].sort().join(", ")}`);
  return text;
}

/** Throws when a link leads out of the volume. */
function find({ root, path }: MountedVolume, subPath: string): Found {
  if (path === "") return findInside(root, subPath, { mayLeave: false });
  const found = findInside(root, join(path, subPath));
  if (found.path === path || found.path.startsWith(`${path}/`)) return found;
  throw new RangeError("outside of the volume");
}

/** The file itself behind the `..data` links, so that the mount keeps what it was when the files are replaced (V12). */
function findOurs(root: string, subPath: string): Found {
  const [first = "", ...rest] = segmentsOf(subPath);
  const isPayload = lstatSync(join(root, first), { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (!isPayload) return findInside(root, normalize(subPath), { mayLeave: false });
  return findInside(root, join(readlinkSync(join(root, "..data")), first, ...rest), { mayLeave: false });
}

/** What a container sees at which path: its volumeMounts and the files that every pod has. */
import { normalize } from "node:path";
import type { Container, VolumeMount } from "../../../generated/kubernetes.ts";
import type { Mount } from "../sandbox/sandbox.ts";
import { ContainerConfigError } from "./config-error.ts";
import type { MountedVolume } from "./volumes/pod-volumes.ts";
import { resolveSubPath } from "./volumes/sub-path.ts";

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
  const { name } = facts.container;
  if (volume === undefined)
    throw new ContainerConfigError(`cannot find volume "${mount.name}" to mount into container "${name}"`);
  refusePropagation(mount, volume, name);
  const below = resolveSubPath(mount, volume, { container: name, env: facts.env });
  const readOnly = mount.readOnly === true || volume.readOnly;
  return {
    kind: "bind",
    source: volume.root,
    target,
    readOnly,
    // What is mounted inside a volume stays as it is, unless asked otherwise (resolveRecursiveReadOnly).
    ...(readOnly && isRecursive(mount) ? { recursiveReadOnly: true } : {}),
    ...(below === "" ? {} : { subPath: below }),
  };
}

function isRecursive({ recursiveReadOnly: mode }: VolumeMount): boolean {
  return mode === "Enabled" || mode === "IfPossible";
}

/**
 * Nobody mounts anything on the node but this machine's own people in the folders it shares, so that `HostToContainer`
 * holds everywhere else; what a container mounts never leaves it.
 */
function refusePropagation(
  { name, mountPropagation }: VolumeMount,
  volume: MountedVolume,
  container: string,
): void {
  const isRefused =
    mountPropagation === "Bidirectional" ||
    (mountPropagation === "HostToContainer" && volume.isShared === true);
  if (!isRefused) return;
  throw new ContainerConfigError(
    `Cannot mount volume "${name}" into container "${container}" with mountPropagation ${mountPropagation}: ` +
      "pods of this cluster see no mounts made outside and hand none on. Use mountPropagation None, or leave it out",
  );
}

/** The volumes of one pod: checked before its sandbox exists, set up in it, kept current, taken down at the end. */
import { chmodSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Volume } from "../../../../generated/kubernetes.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import { messageOf } from "../../../kernel/problem.ts";
import type { PodSandbox } from "../../sandbox/sandbox.ts";
import { writeVolumeAtomically } from "./atomic-writer.ts";
import { claimNameOf, prepareClaim } from "./claims.ts";
import { isMemory, memoryVolumeSize } from "./empty-dir.ts";
import { applyFsGroup, type FsGroupWish } from "./fs-group.ts";
import { prepareHostPath, type NodeFolders, type VolumeLocation } from "./host-path.ts";
import { makeNestedMountPoints, nestedMountPoints } from "./nested-mounts.ts";
import { volumePayload, type Payload, type PayloadFacts } from "./payload.ts";
import { VolumeError } from "./volume-error.ts";

const VOLUME_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Volume plugins as the kubelet names their folders. */
const PLUGIN_FOLDER = {
  emptyDir: "kubernetes.io~empty-dir",
  configMap: "kubernetes.io~configmap",
  secret: "kubernetes.io~secret",
  downwardAPI: "kubernetes.io~downward-api",
  projected: "kubernetes.io~projected",
} as const;

export interface VolumeFacts extends PayloadFacts {
  /** The pod's folder in the state folder. */
  readonly podFolder: string;
  readonly node: NodeFolders;
  /** Unix milliseconds. */
  readonly now: number;
  /** False where the engine cannot give files to other groups (one user id only). */
  readonly canChown: boolean;
  /** Folders where the present sandbox has a tmpfs. */
  readonly memory: Set<string>;
}

/** A volume that is ready to be mounted into containers. */
export interface MountedVolume extends VolumeLocation {
  /** configMap, secret, downwardAPI and projected volumes are always mounted read-only. */
  readonly readOnly: boolean;
  /** Written by us: its links are trusted. */
  readonly isOurs: boolean;
}

/** A volume that could not be set up, for the `FailedMount` event. */
export interface FailedVolume {
  readonly volume: string;
  readonly message: string;
}

/** Only volumes that some container mounts are set up. */
export function usedVolumes({ spec }: Pick<StoredPod, "spec">): Volume[] {
  const { initContainers = [], containers, ephemeralContainers = [], volumes = [] } = spec;
  const used = new Set(
    [...initContainers, ...containers, ...ephemeralContainers].flatMap(({ volumeMounts = [] }) =>
      volumeMounts.map(({ name }) => name),
    ),
  );
  return volumes.filter(({ name }) => used.has(name));
}

/** Volumes have to be set up: none are yet, or an ephemeral container wants one that nobody else mounts. */
export function lacksVolumes(
  pod: Pick<StoredPod, "spec">,
  mounted: ReadonlyMap<string, MountedVolume> | undefined,
): boolean {
  return mounted === undefined || usedVolumes(pod).some(({ name }) => !mounted.has(name));
}

/** Finds out what is missing, without a sandbox. Empty = `mountVolumes` will work. */
export function checkVolumes(facts: VolumeFacts): FailedVolume[] {
  return usedVolumes(facts.pod).flatMap((volume) => {
    try {
      checkVolume(volume, facts);
      return [];
    } catch (error) {
      return [failed(volume, error)];
    }
  });
}

/** Anything but a `VolumeError` is a bug of ours or of the machine. */
function failed({ name }: Volume, error: unknown): FailedVolume {
  if (error instanceof VolumeError) return { volume: name, message: error.message };
  throw error;
}

function checkVolume(volume: Volume, facts: VolumeFacts): void {
  const { pod } = facts;
  if (!VOLUME_NAME.test(volume.name))
    throw new VolumeError(`invalid volume name ${JSON.stringify(volume.name)}`);
  if (volumePayload(volume, facts) !== undefined) return;
  if (volume.hostPath !== undefined) prepareHostPath(volume.hostPath, facts.node);
  else if (claimNameOf(volume, pod.metadata.name) !== undefined) prepareClaim(volume, facts);
  else if (volume.emptyDir !== undefined) isMemory(volume.emptyDir);
  else throw notSupported(volume, pod);
}

function notSupported(volume: Volume, { spec }: StoredPod): VolumeError {
  const index = (spec.volumes ?? []).findIndex(({ name }) => name === volume.name);
  const kind = Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
  return new VolumeError(
    `spec.volumes[${index}].${kind}: this kind of volume is not supported yet; ` +
      "use emptyDir, hostPath, configMap, secret, downwardAPI, projected, persistentVolumeClaim or ephemeral",
  );
}

export interface MountOutcome {
  readonly mounted: Map<string, MountedVolume>;
  readonly failed: readonly FailedVolume[];
  /** Sentences about what was asked for and could not be had; the pod runs all the same. */
  readonly warnings: readonly string[];
}

/** Sets all up; what exists is used again. A volume is in `mounted` or in `failed`. */
export async function mountVolumes(facts: VolumeFacts, sandbox: PodSandbox): Promise<MountOutcome> {
  const mounted = new Map<string, MountedVolume>();
  const failures: FailedVolume[] = [];
  const warnings: string[] = [];
  for (const volume of usedVolumes(facts.pod)) {
    try {
      checkVolume(volume, facts);
      const { fsGroup, ...ready } = mountVolume(volume, facts, sandbox);
      mounted.set(volume.name, ready);
      if (fsGroup === undefined) continue;
      const { failure } = await applyFsGroup(join(ready.root, ready.path), fsGroup);
      if (failure !== undefined)
        warnings.push(`volume "${volume.name}" cannot be given to fsGroup ${fsGroup.group}: ${failure}`);
    } catch (error) {
      failures.push({ volume: volume.name, message: messageOf(error) });
    }
  }
  const { fsGroup = 0 } = facts.pod.spec.securityContext ?? {};
  if (fsGroup > 0 && !facts.canChown && mounted.size > 0)
    warnings.push(
      `securityContext.fsGroup ${fsGroup} is not applied to volumes: this cluster has only one group id; run it as root or give its user a range in /etc/subgid`,
    );
  return { mounted, failed: failures, warnings };
}

interface Mounting extends MountedVolume {
  /** What is left to do; files that we write have their group already. */
  readonly fsGroup?: FsGroupWish | undefined;
}

function mountVolume(volume: Volume, facts: VolumeFacts, sandbox: PodSandbox): Mounting {
  const payload = volumePayload(volume, facts);
  if (payload !== undefined) return mountPayload(volume, payload, { facts, sandbox });
  if (volume.hostPath !== undefined)
    return { ...prepareHostPath(volume.hostPath, facts.node), readOnly: false, isOurs: false };
  if (volume.emptyDir === undefined) return mountClaim(volume, facts);
  const root = join(facts.podFolder, "volumes", PLUGIN_FOLDER.emptyDir, volume.name);
  const isNew = mkdirSync(root, { recursive: true }) !== undefined;
  if (isNew) chmodSync(root, 0o777);
  if (isMemory(volume.emptyDir)) mountMemory(root, volume.emptyDir.sizeLimit, { facts, sandbox });
  // `fsGroupChangePolicy` is not for volumes that begin empty.
  const group = groupOf(facts);
  const fsGroup = group === undefined ? undefined : { group, readOnly: false };
  return { root, path: "", readOnly: false, isOurs: false, fsGroup };
}

function mountClaim(volume: Volume, facts: VolumeFacts): Mounting {
  const { takesFsGroup, ...location } = prepareClaim(volume, facts);
  const group = takesFsGroup ? groupOf(facts) : undefined;
  const policy = facts.pod.spec.securityContext?.fsGroupChangePolicy;
  const { readOnly } = location;
  const fsGroup =
    group === undefined ? undefined : { group, readOnly, ...(policy === undefined ? {} : { policy }) };
  return { ...location, isOurs: false, fsGroup };
}

interface Setting {
  readonly facts: VolumeFacts;
  readonly sandbox: PodSandbox;
}

function mountPayload(volume: Volume, payload: Payload, { facts, sandbox }: Setting): MountedVolume {
  const root = payloadFolder(volume, facts.podFolder);
  mkdirSync(root, { recursive: true });
  // Secrets and tokens must not reach a disk. A ConfigMap may, as in the kubelet.
  if (volume.configMap === undefined) mountMemory(root, undefined, { facts, sandbox });
  else chmodSync(root, 0o777);
  makeNestedMountPoints(root, nestedMountPoints(volume.name, facts.pod.spec));
  writePayload(root, payload, facts);
  return { root, path: "", readOnly: true, isOurs: true };
}

function mountMemory(path: string, sizeLimit: string | undefined, { facts, sandbox }: Setting): void {
  const { memory, pod, allocatable } = facts;
  if (memory.has(path)) return;
  const bytes = memoryVolumeSize(sizeLimit === undefined ? {} : { sizeLimit }, pod.spec, allocatable);
  sandbox.mountTmpfs(path, { mode: 0o777, ...(bytes > 0 ? { sizeLimit: bytes } : {}) });
  memory.add(path);
}

/**
 * Brings the files of ConfigMaps, Secrets, tokens, labels and annotations up to date. A volume whose object is gone keeps
 * what it shows, as in the kubelet. Returns what could not be updated.
 */
export function refreshVolumes(facts: VolumeFacts): FailedVolume[] {
  return usedVolumes(facts.pod).flatMap((volume) => {
    const root = payloadFolder(volume, facts.podFolder);
    try {
      const payload = volumePayload(volume, facts);
      if (payload !== undefined && existsSync(root)) writePayload(root, payload, facts);
      return [];
    } catch (error) {
      return [failed(volume, error)];
    }
  });
}

/** After the last container has ended. Never throws: what is left is removed at the next start of the engine. */
export function removeVolumes({ memory, podFolder }: VolumeFacts, sandbox: PodSandbox | undefined): void {
  try {
    for (const path of memory) sandbox?.unmount(path);
    memory.clear();
    rmSync(podFolder, { recursive: true, force: true });
  } catch {
    // A mount that would not go, or a folder in use.
  }
}

function writePayload(root: string, payload: Payload, facts: VolumeFacts): void {
  const { now, canChown } = facts;
  const group = groupOf(facts);
  writeVolumeAtomically(root, payload, { now, canChown, ...(group === undefined ? {} : { group }) });
}

function groupOf({ pod, canChown }: VolumeFacts): number | undefined {
  return canChown ? pod.spec.securityContext?.fsGroup : undefined;
}

type PayloadKind = Exclude<keyof typeof PLUGIN_FOLDER, "emptyDir">;

function payloadKind(volume: Volume): PayloadKind | undefined {
  const kinds = ["configMap", "secret", "downwardAPI", "projected"] as const;
  return kinds.find((kind) => volume[kind] !== undefined);
}

function payloadFolder(volume: Volume, podFolder: string): string {
  const kind = payloadKind(volume) ?? "configMap";
  return join(podFolder, "volumes", PLUGIN_FOLDER[kind], volume.name);
}

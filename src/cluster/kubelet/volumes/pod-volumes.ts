/** The volumes of one pod: checked before its sandbox exists, set up in it, kept current, taken down at the end. */
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Volume } from "../../../../generated/kubernetes.ts";
import { messageOf } from "../../../kernel/problem.ts";
import { quantityOf, wholeValue } from "../../../k8s/quantity.ts";
import type { PodSandbox } from "../../sandbox/sandbox.ts";
import { writeVolumeAtomically } from "./atomic-writer.ts";
import { prepareHostPath, type NodeFolders, type VolumeLocation } from "./host-path.ts";
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
  /** Written by us: its links are trusted, and nothing may be made in it for a `subPath`. */
  readonly isOurs: boolean;
}

/** A volume that could not be set up, for the `FailedMount` event. */
export interface FailedVolume {
  readonly volume: string;
  readonly message: string;
}

/** Only volumes that some container mounts are set up. */
export function usedVolumes({ pod }: PayloadFacts): Volume[] {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const used = new Set(containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)));
  return (pod.spec.volumes ?? []).filter(({ name }) => used.has(name));
}

/** Finds out what is missing, without a sandbox. Empty = `mountVolumes` will work. */
export function checkVolumes(facts: VolumeFacts): FailedVolume[] {
  return usedVolumes(facts).flatMap((volume) => {
    try {
      checkVolume(volume, facts);
      return [];
    } catch (error) {
      if (error instanceof VolumeError) return [{ volume: volume.name, message: error.message }];
      throw error;
    }
  });
}

function checkVolume(volume: Volume, facts: VolumeFacts): void {
  if (!VOLUME_NAME.test(volume.name))
    throw new VolumeError(`invalid volume name ${JSON.stringify(volume.name)}`);
  if (volumePayload(volume, facts) !== undefined) return;
  if (volume.hostPath !== undefined) prepareHostPath(volume.hostPath, facts.node);
  else if (volume.emptyDir === undefined) throw notSupported(volume, facts);
}

function notSupported(volume: Volume, { pod }: VolumeFacts): VolumeError {
  const index = (pod.spec.volumes ?? []).findIndex(({ name }) => name === volume.name);
  const kind = Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
  return new VolumeError(
    `spec.volumes[${index}].${kind}: this kind of volume is not supported yet; ` +
      "use emptyDir, hostPath, configMap, secret, downwardAPI or projected",
  );
}

/** Sets all up; what exists is used again. A volume is in `mounted` or in `failed`. */
export function mountVolumes(
  facts: VolumeFacts,
  sandbox: PodSandbox,
): { readonly mounted: Map<string, MountedVolume>; readonly failed: readonly FailedVolume[] } {
  const mounted = new Map<string, MountedVolume>();
  const failed: FailedVolume[] = [];
  for (const volume of usedVolumes(facts)) {
    try {
      mounted.set(volume.name, mountVolume(volume, facts, sandbox));
    } catch (error) {
      failed.push({ volume: volume.name, message: messageOf(error) });
    }
  }
  return { mounted, failed };
}

function mountVolume(volume: Volume, facts: VolumeFacts, sandbox: PodSandbox): MountedVolume {
  checkVolume(volume, facts);
  const payload = volumePayload(volume, facts);
  if (payload !== undefined) {
    const root = payloadFolder(volume, facts.podFolder);
    mkdirSync(root, { recursive: true });
    // Secrets and tokens must not reach a disk. A ConfigMap may, as in the kubelet.
    if (volume.configMap === undefined) mountMemory(root, facts, sandbox);
    else chmodSync(root, 0o777);
    writePayload(root, payload, facts);
    return { root, path: "", readOnly: true, isOurs: true };
  }
  if (volume.hostPath !== undefined)
    return { ...prepareHostPath(volume.hostPath, facts.node), readOnly: false, isOurs: false };
  return mountEmptyDir(volume, facts, sandbox);
}

function mountEmptyDir(volume: Volume, facts: VolumeFacts, sandbox: PodSandbox): MountedVolume {
  const root = join(facts.podFolder, "volumes", PLUGIN_FOLDER.emptyDir, volume.name);
  const { medium, sizeLimit } = volume.emptyDir ?? {};
  mkdirSync(root, { recursive: true });
  if (medium === "Memory") {
    const bytes = sizeLimit === undefined ? 0 : wholeValue(quantityOf(sizeLimit));
    mountMemory(root, facts, sandbox, bytes);
  }
  const group = facts.canChown ? facts.pod.spec.securityContext?.fsGroup : undefined;
  if (group === undefined) chmodSync(root, 0o777);
  else if (statSync(root).gid !== group) {
    chownSync(root, -1, group);
    // The set-group-id bit makes what is created inside belong to the group, too (SetVolumeOwnership).
    chmodSync(root, 0o2777);
  }
  return { root, path: "", readOnly: false, isOurs: false };
}

function mountMemory(path: string, { memory }: VolumeFacts, sandbox: PodSandbox, bytes = 0): void {
  if (memory.has(path)) return;
  sandbox.mountTmpfs(path, { mode: 0o777, ...(bytes > 0 ? { sizeLimit: bytes } : {}) });
  memory.add(path);
}

/**
 * Brings the files of ConfigMaps, Secrets, labels and annotations up to date. A volume whose object is gone keeps what
 * it shows, as in the kubelet. Returns what could not be updated.
 */
export function refreshVolumes(facts: VolumeFacts): FailedVolume[] {
  return usedVolumes(facts).flatMap((volume) => {
    const root = payloadFolder(volume, facts.podFolder);
    try {
      const payload = volumePayload(volume, facts);
      if (payload !== undefined && existsSync(root)) writePayload(root, payload, facts);
      return [];
    } catch (error) {
      if (error instanceof VolumeError) return [{ volume: volume.name, message: error.message }];
      throw error;
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

function writePayload(root: string, payload: Payload, { pod, now, canChown }: VolumeFacts): void {
  const group = canChown ? pod.spec.securityContext?.fsGroup : undefined;
  writeVolumeAtomically(root, payload, { now, ...(group === undefined ? {} : { group }) });
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

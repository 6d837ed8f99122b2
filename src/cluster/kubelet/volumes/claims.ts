/** Volumes of claims: from a pod's volume to the claim, to the PersistentVolume, to a folder of the node. */
import type {
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  Volume,
} from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import type { ReferencedObjects } from "../referenced-objects.ts";
import { prepareHostPath, type NodeFolders, type VolumeLocation } from "./host-path.ts";
import { VolumeError } from "./volume-error.ts";

export interface ClaimFacts {
  readonly pod: StoredPod;
  readonly objects: ReferencedObjects;
  readonly node: NodeFolders;
}

export interface ClaimedVolume extends VolumeLocation {
  readonly readOnly: boolean;
  /** The kubelet gives only volumes of some kinds to the pod's `fsGroup`; `hostPath` is none of them. */
  readonly takesFsGroup: boolean;
}

/** Parts of a PersistentVolume that the node acts on. */
interface PersistentVolumeSpec {
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly local?: { readonly path: string };
  readonly claimRef?: { readonly uid?: string };
}

/** Name of the claim that the volume stands for; `undefined` for volumes of other kinds. */
export function claimNameOf(volume: Volume, podName: string): string | undefined {
  if (volume.persistentVolumeClaim !== undefined) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral === undefined ? undefined : `${podName}-${volume.name}`;
}

/** Finds the folder. Throws `VolumeError` with the kubelet's text while the claim is not there or not bound. */
export function prepareClaim(volume: Volume, { pod, objects, node }: ClaimFacts): ClaimedVolume {
  const name = claimNameOf(volume, pod.metadata.name) ?? "";
  const claim = claimFor(volume, name, { pod, objects });
  const volumeName = claim.spec?.volumeName ?? "";
  if (claim.status?.phase !== "Bound" || volumeName === "") throw processing(pod, name, "PVC is not bound");
  const found = objects.persistentVolume(volumeName);
  if (found === undefined)
    throw processing(pod, name, `failed to fetch PV ${volumeName} from API server: not found`);
  const spec = (found["spec"] ?? {}) as PersistentVolumeSpec;
  if (spec.claimRef?.uid !== claim.metadata?.uid)
    throw processing(pod, name, `PV ${volumeName} is not bound to this claim`);
  refuseBlock(claim.spec, pod, name);
  const { readOnly = false } = volume.persistentVolumeClaim ?? {};
  return { ...locate(spec, { volumeName, node }), readOnly, takesFsGroup: spec.local !== undefined };
}

function claimFor(
  volume: Volume,
  name: string,
  { pod, objects }: Pick<ClaimFacts, "pod" | "objects">,
): PersistentVolumeClaim {
  const claim = objects.claim(name);
  if (claim === undefined) {
    const why = `failed to fetch PVC from API server: persistentvolumeclaims "${name}" not found`;
    throw processing(pod, name, why);
  }
  if (volume.ephemeral !== undefined && !isOwnedBy(claim as KubeObject, pod))
    throw processing(
      pod,
      name,
      `PVC ${pod.metadata.namespace}/${name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`,
    );
  return claim;
}

/** `ephemeral.VolumeIsForPod`. */
function isOwnedBy({ metadata }: KubeObject, pod: StoredPod): boolean {
  return (metadata.ownerReferences ?? []).some(
    ({ uid, controller }) => controller === true && uid === pod.metadata.uid,
  );
}

function refuseBlock(spec: PersistentVolumeClaimSpec | undefined, pod: StoredPod, name: string): void {
  if (spec?.volumeMode === "Block")
    throw processing(pod, name, 'volumeMode "Block" is not supported: use "Filesystem"');
}

function processing({ metadata }: StoredPod, claim: string, why: string): VolumeError {
  return new VolumeError(`error processing PVC ${metadata.namespace}/${claim}: ${why}`);
}

/** Both kinds mean folders of the node, which is a throw-away root and never this machine's, unless shared. */
function locate(
  { local, hostPath }: PersistentVolumeSpec,
  { volumeName, node }: { readonly volumeName: string; readonly node: NodeFolders },
): VolumeLocation {
  if (local !== undefined) return prepareHostPath({ path: local.path, type: "Directory" }, node);
  if (hostPath !== undefined) return prepareHostPath(hostPath, node);
  throw new VolumeError(
    `PersistentVolume "${volumeName}" is of a kind that is not supported: use hostPath or local, or leave it to the StorageClass "standard"`,
  );
}

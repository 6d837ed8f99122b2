/** Defaults of volumes, claims and their classes (core and storage `v1/defaults.go`). */
import type { HostPathVolumeSource, PersistentVolumeClaim, Volume } from "../../../generated/kubernetes.ts";
import { defaultClaimSpec, defaultNetworkVolume } from "./volumes.ts";

interface PersistentVolume {
  /** The network sources differ from a pod's in their secret references only. */
  spec?: Pick<Volume, "iscsi" | "azureDisk" | "rbd" | "scaleIO"> & {
    persistentVolumeReclaimPolicy?: string;
    volumeMode?: string;
    hostPath?: HostPathVolumeSource;
  };
  status?: { phase?: string };
}

interface StorageClass {
  reclaimPolicy?: string;
  volumeBindingMode?: string;
}

interface CsiDriver {
  spec?: {
    attachRequired?: boolean;
    podInfoOnMount?: boolean;
    storageCapacity?: boolean;
    fsGroupPolicy?: string;
    volumeLifecycleModes?: string[];
    requiresRepublish?: boolean;
    seLinuxMount?: boolean;
  };
}

function defaultPersistentVolume(volume: PersistentVolume): void {
  const { spec } = volume;
  (volume.status ??= {}).phase ??= "Pending";
  if (spec === undefined) return;
  spec.persistentVolumeReclaimPolicy ??= "Retain";
  spec.volumeMode ??= "Filesystem";
  if (spec.hostPath !== undefined) spec.hostPath.type ??= "";
  defaultNetworkVolume(spec);
}

function defaultClaim(claim: PersistentVolumeClaim): void {
  (claim.status ??= {}).phase ??= "Pending";
  defaultClaimSpec(claim.spec);
}

function defaultStorageClass(storageClass: StorageClass): void {
  storageClass.reclaimPolicy ??= "Delete";
  storageClass.volumeBindingMode ??= "Immediate";
}

function defaultCsiDriver({ spec }: CsiDriver): void {
  if (spec === undefined) return;
  spec.attachRequired ??= true;
  spec.podInfoOnMount ??= false;
  spec.storageCapacity ??= false;
  spec.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
  spec.volumeLifecycleModes ??= ["Persistent"];
  spec.requiresRepublish ??= false;
  spec.seLinuxMount ??= false;
}

/** By `apiVersion kind`. */
export const defaultStorage: Readonly<Record<string, (draft: Record<string, unknown>) => void>> = {
  "v1 PersistentVolume": defaultPersistentVolume,
  "v1 PersistentVolumeClaim": defaultClaim,
  "storage.k8s.io/v1 StorageClass": defaultStorageClass,
  "storage.k8s.io/v1 CSIDriver": defaultCsiDriver,
};

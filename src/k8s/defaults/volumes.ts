/** Defaults of volumes and of claims (core `v1/defaults.go`). */
import type {
  DownwardAPIVolumeFile,
  PersistentVolumeClaimSpec,
  ProjectedVolumeSource,
  Volume,
} from "../../../generated/kubernetes.ts";
import { hasLatestTag } from "../image-tag.ts";

/** 0644, as JSON has it. */
const FILE_MODE = 420;
const TOKEN_SECONDS = 3600;

export function defaultVolume(volume: Volume): void {
  const { configMap, secret, downwardAPI, projected, hostPath, ephemeral, image } = volume;
  if (Object.keys(volume).every((key) => key === "name")) volume.emptyDir = {};
  if (configMap !== undefined) configMap.defaultMode ??= FILE_MODE;
  if (secret !== undefined) secret.defaultMode ??= FILE_MODE;
  if (downwardAPI !== undefined) {
    downwardAPI.defaultMode ??= FILE_MODE;
    defaultDownwardItems(downwardAPI.items);
  }
  if (projected !== undefined) defaultProjected(projected);
  if (hostPath !== undefined) hostPath.type ??= "";
  if (ephemeral?.volumeClaimTemplate !== undefined) defaultClaimSpec(ephemeral.volumeClaimTemplate.spec);
  if (image !== undefined)
    image.pullPolicy ??= hasLatestTag(image.reference ?? "") ? "Always" : "IfNotPresent";
  defaultNetworkVolume(volume);
}

function defaultProjected(projected: ProjectedVolumeSource): void {
  projected.defaultMode ??= FILE_MODE;
  for (const { serviceAccountToken, downwardAPI } of projected.sources ?? []) {
    if (serviceAccountToken !== undefined) serviceAccountToken.expirationSeconds ??= TOKEN_SECONDS;
    defaultDownwardItems(downwardAPI?.items);
  }
}

function defaultDownwardItems(items: DownwardAPIVolumeFile[] | undefined): void {
  for (const { fieldRef, resourceFieldRef } of items ?? []) {
    if (fieldRef !== undefined) fieldRef.apiVersion ??= "v1";
    if (resourceFieldRef !== undefined) resourceFieldRef.divisor ??= "0";
  }
}

type NetworkSources = Pick<Volume, "iscsi" | "azureDisk" | "rbd" | "scaleIO">;

/** Storage that Pillion does not mount: defaulted all the same, for manifests that only pass through. */
export function defaultNetworkVolume({ iscsi, azureDisk, rbd, scaleIO }: NetworkSources): void {
  if (iscsi !== undefined) iscsi.iscsiInterface ??= "default";
  if (azureDisk !== undefined) {
    azureDisk.cachingMode ??= "ReadWrite";
    azureDisk.kind ??= "Shared";
    azureDisk.fsType ??= "ext4";
    azureDisk.readOnly ??= false;
  }
  if (rbd !== undefined) {
    rbd.pool ??= "rbd";
    rbd.user ??= "admin";
    rbd.keyring ??= "/etc/ceph/keyring";
  }
  if (scaleIO !== undefined) {
    scaleIO.storageMode ??= "ThinProvisioned";
    scaleIO.fsType ??= "xfs";
  }
}

export function defaultClaimSpec(spec: PersistentVolumeClaimSpec | undefined): void {
  if (spec !== undefined) spec.volumeMode ??= "Filesystem";
}

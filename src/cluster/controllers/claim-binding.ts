/** The objects of a claim and its volume once they belong to each other; pure. */
import type { Claim, PersistentVolume, StorageClass } from "../../k8s/claims.ts";
import { requestOf } from "../../k8s/claims.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { compareQuantities, quantityOf } from "../../k8s/quantity.ts";

export const CLAIM_FINALIZER = "kubernetes.io/pvc-protection";
export const VOLUME_FINALIZER = "kubernetes.io/pv-protection";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
const PROVISIONER = "volume.kubernetes.io/storage-provisioner";

/** A volume made for the claim: a folder of the node, which `local` says, so that `fsGroup` counts for it. */
export function volumeFor(
  claim: Claim,
  storageClass: StorageClass,
  { path, nodeName }: { readonly path: string; readonly nodeName: string },
): KubeObject {
  const { provisioner = "", reclaimPolicy = "Delete" } = storageClass;
  const values = [nodeName];
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name: `pvc-${claim.metadata.uid}`,
      annotations: { [PROVISIONED_BY]: provisioner },
      finalizers: [VOLUME_FINALIZER],
    },
    spec: {
      accessModes: claim.spec?.accessModes ?? [],
      capacity: { storage: requestOf(claim) },
      claimRef: referenceTo(claim),
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values }] },
          ],
        },
      },
      persistentVolumeReclaimPolicy: reclaimPolicy,
      storageClassName: storageClass.metadata.name,
      volumeMode: "Filesystem",
    },
    status: { phase: "Pending" },
  };
}

export function referenceTo({ metadata }: Claim) {
  const { namespace, name, uid, resourceVersion } = metadata;
  return { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid, resourceVersion };
}

/** The volume with the claim in it. */
export function boundVolume(volume: PersistentVolume, claim: Claim): KubeObject {
  const { claimRef } = volume.spec ?? {};
  if (claimRef?.uid === claim.metadata.uid) return volume;
  return {
    ...annotated(volume, claimRef === undefined ? { [BOUND_BY_CONTROLLER]: "yes" } : {}),
    spec: { ...volume.spec, claimRef: referenceTo(claim) },
  };
}

/** The claim with the volume in it, and protected. */
export function boundClaim(claim: Claim, volume: PersistentVolume): KubeObject {
  const volumeName = volume.metadata.name ?? "";
  const isOurChoice = (claim.spec?.volumeName ?? "") === "";
  const provisioner = volume.metadata.annotations?.[PROVISIONED_BY];
  return {
    ...annotated(claim, {
      [BIND_COMPLETED]: "yes",
      ...(isOurChoice ? { [BOUND_BY_CONTROLLER]: "yes" } : {}),
      ...(provisioner === undefined ? {} : { [PROVISIONER]: provisioner }),
    }),
    spec: { ...claim.spec, volumeName },
  };
}

/** What the claim's status says once it has its volume. */
export function boundStatus(claim: Claim, { spec = {} }: PersistentVolume): KubeObject {
  const { accessModes = [], capacity = {} } = spec;
  return { ...claim, status: { ...claim.status, phase: "Bound", accessModes, capacity } };
}

/** A volume of ours whose claim asks for more by now: folders have no size of their own. */
export function grownVolume(volume: PersistentVolume, claim: Claim): KubeObject {
  const { spec = {} } = volume;
  const wanted = requestOf(claim);
  const { storage = "0" } = spec.capacity ?? {};
  const isEnough = compareQuantities(quantityOf(storage), quantityOf(wanted)) >= 0;
  if (isEnough || volume.metadata.annotations?.[PROVISIONED_BY] === undefined) return volume;
  return { ...volume, spec: { ...spec, capacity: { ...spec.capacity, storage: wanted } } };
}

function annotated<Kind extends KubeObject>(
  object: Kind,
  annotations: Readonly<Record<string, string>>,
): Kind {
  const { metadata } = object;
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } } };
}

export function withFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const { finalizers = [] } = object.metadata;
  if (finalizers.includes(finalizer)) return object;
  return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, finalizer] } };
}

export function withoutFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const { finalizers = [] } = object.metadata;
  return {
    ...object,
    metadata: { ...object.metadata, finalizers: finalizers.filter((one) => one !== finalizer) },
  };
}

/** Claims and volumes: what the objects say, and which volume suits which claim (`pkg/controller/volume/persistentvolume`). */
import type {
  ObjectReference,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PodSpec,
} from "../../generated/kubernetes.ts";
import type { KubeObject } from "./object.ts";
import { compareQuantities, isQuantity, quantityOf } from "./quantity.ts";
import { labelSelectorOf } from "./selectors.ts";
import type { Unchecked } from "./validation/unchecked.ts";

/** A PersistentVolume as far as Pillion acts on it. */
export interface PersistentVolume extends KubeObject {
  readonly spec?: PersistentVolumeSpec;
  readonly status?: { readonly phase?: string; readonly message?: string; readonly reason?: string };
}

export interface PersistentVolumeSpec {
  readonly capacity?: Readonly<Record<string, string>>;
  readonly accessModes?: readonly string[];
  readonly claimRef?: ObjectReference;
  readonly persistentVolumeReclaimPolicy?: string;
  readonly storageClassName?: string;
  readonly volumeMode?: string;
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly local?: { readonly path: string };
}

export interface StorageClass extends KubeObject {
  readonly provisioner?: string;
  readonly reclaimPolicy?: string;
  readonly volumeBindingMode?: string;
}

export type Claim = KubeObject & PersistentVolumeClaim;

const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";
const OLD_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class";
/** How a claim named its class before there was a field. */
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

/** `undefined`: the default one is wanted. Empty: none, only volumes that are there. */
export function classOfClaim({ metadata, spec }: PersistentVolumeClaim): string | undefined {
  return metadata?.annotations?.[CLASS_ANNOTATION] ?? spec?.storageClassName;
}

/** Of several the newest, then the first by name (`GetDefaultClass`). */
export function defaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  const marked = classes.filter(({ metadata: { annotations = {} } }) =>
    [annotations[DEFAULT_CLASS], annotations[OLD_DEFAULT_CLASS]].includes("true"),
  );
  const created = ({ metadata }: StorageClass) => metadata.creationTimestamp ?? "";
  const name = ({ metadata }: StorageClass) => metadata.name ?? "";
  return marked.toSorted((a, b) => created(b).localeCompare(created(a)) || name(a).localeCompare(name(b)))[0];
}

/** The claim may use it, as far as the two objects say (`FindMatchingVolume`). */
export function isForClaim({ claimRef }: PersistentVolumeSpec, { metadata }: Claim): boolean {
  return (
    claimRef?.namespace === metadata.namespace &&
    claimRef?.name === metadata.name &&
    ["", undefined, metadata.uid].includes(claimRef?.uid)
  );
}

/** The volume that was made for the claim, else the smallest that is free and large enough. */
export function pickVolume(claim: Claim, volumes: readonly PersistentVolume[]): PersistentVolume | undefined {
  const open = volumes.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const reserved = open.find(({ spec = {} }) => isForClaim(spec, claim));
  if (reserved !== undefined) return reserved;
  const size = ({ spec }: PersistentVolume) => quantityOf(spec?.capacity?.["storage"] ?? "0");
  return open
    .filter((volume) => volume.spec?.claimRef === undefined && suits(volume, claim))
    .toSorted((a, b) => compareQuantities(size(a), size(b)))[0];
}

/** Class, modes, size and labels. */
export function suits({ metadata, spec: volume = {} }: PersistentVolume, claim: Claim): boolean {
  const wanted: Partial<PersistentVolumeClaimSpec> = claim.spec ?? {};
  const modes = new Set(volume.accessModes);
  const { storage = "0" } = volume.capacity ?? {};
  return (
    (volume.storageClassName ?? "") === (classOfClaim(claim) ?? "") &&
    (volume.volumeMode ?? "Filesystem") === (wanted.volumeMode ?? "Filesystem") &&
    (wanted.accessModes ?? []).every((mode) => modes.has(mode)) &&
    isQuantity(storage) &&
    compareQuantities(quantityOf(storage), quantityOf(requestOf(claim))) >= 0 &&
    (wanted.selector === undefined || labelSelectorOf(wanted.selector).matches(metadata.labels ?? {}))
  );
}

/** Bytes that the claim asks for, as an amount. */
export function requestOf({ spec }: PersistentVolumeClaim): string {
  return spec?.resources?.requests?.["storage"] ?? "0";
}

export interface ClaimUse {
  readonly claim: string;
  /** The claim is made for the pod (generic ephemeral volumes). */
  readonly isEphemeral: boolean;
}

/** The claims that a pod's volumes stand for. The specification may not have been validated yet. */
export function claimsOfPod(
  podName: string,
  { volumes = [] }: Unchecked<Pick<PodSpec, "volumes">>,
): ClaimUse[] {
  return volumes.flatMap(({ name, persistentVolumeClaim, ephemeral }): ClaimUse[] => {
    if (persistentVolumeClaim !== undefined)
      return [{ claim: persistentVolumeClaim.claimName ?? "", isEphemeral: false }];
    return ephemeral === undefined ? [] : [{ claim: `${podName}-${name}`, isEphemeral: true }];
  });
}

/** The claims of a StatefulSet: made with their pods, and kept or given up as its retention policy says (KEP-1847). */
import type { OwnerReference } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { jsonEqual } from "../../../k8s/patch/json.ts";
import type { Store } from "../../store/store.ts";
import { controllerReference } from "../controller.ts";
import {
  claimsFor,
  isInRange,
  type MemberPod,
  ordinalOf,
  ordinalRange,
  podName,
  type StatefulSetObject,
} from "./stateful-set-identity.ts";

export const CLAIMS = "persistentvolumeclaims";

/** One of them is on its way out, or belongs to an earlier pod of that name (`PodClaimIsStale`). */
export function hasStaleClaim(store: Store, set: StatefulSetObject, ordinal: number): boolean {
  const { namespace = "" } = set.metadata;
  const pod = store.get("pods", { namespace, name: podName(set, ordinal) });
  return claimsFor(set, ordinal).some(({ metadata }) => {
    const claim = store.get(CLAIMS, { namespace, name: metadata.name ?? "" });
    if (claim === undefined) return false;
    return (
      claim.metadata.deletionTimestamp !== undefined ||
      (claim.metadata.ownerReferences ?? []).some(
        ({ kind, name, uid }) =>
          kind === "Pod" && name === podName(set, ordinal) && uid !== pod?.metadata.uid,
      )
    );
  });
}

/** Gives the claims of the set's pods the owners that they should go with (`UpdatePodClaimForRetentionPolicy`). */
export function retainClaims(store: Store, set: StatefulSetObject, pods: readonly MemberPod[]): void {
  const { namespace = "" } = set.metadata;
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) continue;
    for (const { metadata } of claimsFor(set, ordinal)) {
      const at = { namespace, name: metadata.name ?? "" };
      const claim = store.get(CLAIMS, at);
      if (claim === undefined) continue;
      const before = claim.metadata.ownerReferences ?? [];
      const ownerReferences = claimOwners(set, pod, before);
      if (jsonEqual(before, ownerReferences)) continue;
      store.update(CLAIMS, at, (current) => ({
        ...current,
        metadata: { ...current.metadata, ownerReferences },
      }));
    }
  }
}

/** Owners of other kinds stay (`updateClaimOwnerRefForSetAndPod`). */
export function claimOwners(
  set: StatefulSetObject,
  pod: MemberPod,
  before: readonly OwnerReference[],
): OwnerReference[] {
  const { whenDeleted = "Retain", whenScaled = "Retain" } =
    set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const isScaledDown = !isInRange(ordinalOf(set, pod) ?? -1, ordinalRange(set));
  const goesWithPod = whenScaled === "Delete" && isScaledDown;
  const goesWithSet = whenDeleted === "Delete" && !goesWithPod;
  const wanted = [
    { owner: set as KubeObject, isOwner: goesWithSet },
    // What a list gives has its kind, but not every test's pod.
    { owner: { ...pod, apiVersion: "v1", kind: "Pod" }, isOwner: goesWithPod },
  ];
  return wanted.reduce<OwnerReference[]>(
    (owners, { owner, isOwner }) => {
      const { uid } = owner.metadata;
      if (isOwner && owners.some((one) => one.uid === uid)) return owners;
      const others = owners.filter((one) => one.uid !== uid);
      return isOwner ? [...others, controllerReference(owner)] : others;
    },
    [...before],
  );
}

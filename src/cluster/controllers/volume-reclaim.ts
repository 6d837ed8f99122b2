/** What becomes of a volume without a claim: it is free, kept, or goes with its data. */
import { messageOf } from "../../kernel/problem.ts";
import type { Claim, PersistentVolume } from "../../k8s/claims.ts";
import type { KubeObject, ObjectName } from "../../k8s/object.ts";
import type { Store } from "../store/store.ts";
import { PROVISIONED_BY, VOLUME_FINALIZER, withFinalizer, withoutFinalizer } from "./claim-binding.ts";
import type { Tell } from "./claim-events.ts";
import type { VolumeFolders } from "./volume-folders.ts";

const VOLUMES = "persistentvolumes";

export interface ReclaimParts {
  readonly store: Store;
  readonly folders: VolumeFolders;
  readonly tell: Tell;
  readonly onError: (error: unknown) => void;
  /** Asks for another look at the volume. */
  readonly again: (name: string) => void;
}

export interface VolumeReclaimer {
  reconcile(name: string): void;
}

export function volumeReclaimer(parts: ReclaimParts): VolumeReclaimer {
  const { store } = parts;
  /** Volumes whose folder is being deleted, and those whose folder is gone. */
  const removing = new Set<string>();
  const removed = new Set<string>();

  function reconcile(name: string): void {
    const at = { namespace: "", name };
    const found = store.get(VOLUMES, at);
    if (found === undefined) {
      removed.delete(name);
      return;
    }
    const hasClaim = claimOf(store, found) !== undefined;
    const isLeaving = found.metadata.deletionTimestamp !== undefined;
    if (isLeaving && hasClaim) return;
    if (isLeaving) {
      if (!isReclaimed(found, parts) || removed.has(name))
        store.update(VOLUMES, at, (current) => withoutFinalizer(current, VOLUME_FINALIZER));
      else removeFolder(found);
      return;
    }
    const volume = store.update(VOLUMES, at, (current) =>
      withFinalizer(current, VOLUME_FINALIZER),
    ) as PersistentVolume;
    if (hasClaim) return;
    const { claimRef } = volume.spec ?? {};
    if ((claimRef?.uid ?? "") === "") setPhase(store, volume, { phase: "Available" });
    else if (isReclaimed(volume, parts)) {
      setPhase(store, volume, { phase: "Released" });
      store.delete(VOLUMES, at);
    } else release(volume);
  }

  function release(volume: PersistentVolume): void {
    if (volume.spec?.persistentVolumeReclaimPolicy !== "Delete")
      return setPhase(store, volume, { phase: "Released" });
    const message = "error getting deleter volume plugin for volume: no deletable volume plugin matched";
    parts.tell(volume, { type: "Warning", reason: "VolumeFailedDelete", message });
    setPhase(store, volume, { phase: "Failed", message });
  }

  function removeFolder({ metadata: { name = "" }, spec }: PersistentVolume): void {
    if (removing.has(name)) return;
    removing.add(name);
    void parts.folders
      .remove(spec?.local?.path ?? "")
      .then(() => removed.add(name))
      .catch((error: unknown) => {
        // Nobody can repair it; the volume goes all the same.
        removed.add(name);
        parts.onError(
          new Error(`cannot delete the data of volume ${name}: ${messageOf(error)}`, { cause: error }),
        );
      })
      .finally(() => {
        removing.delete(name);
        parts.again(name);
      });
  }

  return { reconcile };
}

/** Ours, and to be deleted when its claim is gone. */
function isReclaimed(
  { metadata, spec }: PersistentVolume,
  { folders }: Pick<ReclaimParts, "folders">,
): boolean {
  return (
    spec?.persistentVolumeReclaimPolicy === "Delete" &&
    metadata.annotations?.[PROVISIONED_BY] !== undefined &&
    folders.isOurs(spec.local?.path ?? "")
  );
}

/** The claim that the volume is bound to; one of the same name is another. */
function claimOf(store: Store, { spec }: PersistentVolume): Claim | undefined {
  const { namespace = "", name = "", uid = "" } = spec?.claimRef ?? {};
  const at: ObjectName = { namespace, name };
  const claim = name === "" ? undefined : store.get("persistentvolumeclaims", at);
  return uid !== "" && claim?.metadata.uid === uid ? claim : undefined;
}

function setPhase(
  store: Store,
  { metadata: { name = "" } }: KubeObject,
  status: { readonly phase: string; readonly message?: string },
): void {
  store.update(VOLUMES, { namespace: "", name }, (current) => ({ ...current, status }), {
    subresource: "status",
  });
}

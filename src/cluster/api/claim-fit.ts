/** Whether the claims of a Pod let it go to a node: what the scheduler's VolumeBinding asks before it looks at nodes. */
import type { Pod } from "../../../generated/kubernetes.ts";
import { classOfClaim, claimsOfPod, type Claim, type ClaimUse, type StorageClass } from "../../k8s/claims.ts";
import type { Store } from "../store/store.ts";

const UNBOUND = "pod has unbound immediate PersistentVolumeClaims";
const IS_BEING_BOUND = "";

/** The scheduler's reason, empty where it says nothing because the claim is being bound; undefined when all are bound. */
export function whyUnclaimed(store: Store, { metadata, spec }: Pod): string | undefined {
  const { namespace = "", name = "" } = metadata ?? {};
  let reason: string | undefined;
  for (const use of claimsOfPod(name, spec ?? {})) {
    const claim: Claim | undefined = store.get("persistentvolumeclaims", { namespace, name: use.claim });
    const wrong = claim === undefined ? whyMissing(use) : whyUnbound(store, claim);
    // What somebody has to do something about comes before what only takes its time.
    if (wrong !== undefined && wrong !== IS_BEING_BOUND) return wrong;
    reason ??= wrong;
  }
  return reason;
}

function whyMissing({ claim, isEphemeral }: ClaimUse): string {
  return isEphemeral
    ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${claim}"`
    : `persistentvolumeclaim "${claim}" not found`;
}

function whyUnbound(store: Store, claim: Claim): string | undefined {
  const { metadata, spec, status } = claim;
  const name = metadata.name ?? "";
  const volumeName = spec?.volumeName ?? "";
  if (status?.phase === "Lost")
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${volumeName}"`;
  if (metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
  if (status?.phase === "Bound" && volumeName !== "") return undefined;
  const storageClass: StorageClass | undefined = store.get("storageclasses.storage.k8s.io", {
    namespace: "",
    name: classOfClaim(claim) ?? "",
  });
  const isImmediate = storageClass?.volumeBindingMode !== "WaitForFirstConsumer";
  return isImmediate ? UNBOUND : IS_BEING_BOUND;
}

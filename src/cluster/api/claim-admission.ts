/** The built-in admission steps of claims and volumes: DefaultStorageClass and StorageObjectInUseProtection. */
import { classOfClaim, defaultClass, type Claim, type StorageClass } from "../../k8s/claims.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { Store } from "../store/store.ts";
import type { Admit } from "./api-context.ts";

/** What keeps an object until nobody uses it any more; the controller of claims takes it off. */
const FINALIZERS: Readonly<Record<string, string>> = {
  persistentvolumeclaims: "kubernetes.io/pvc-protection",
  persistentvolumes: "kubernetes.io/pv-protection",
};

export function completeClaim(store: Store): Admit {
  return ({ info, object, operation }) => {
    const finalizer = FINALIZERS[info.groupResource];
    if (operation !== "CREATE" || finalizer === undefined) return object;
    const whole = info.groupResource === "persistentvolumes" ? object : withClass(store, object);
    const { finalizers = [] } = whole.metadata;
    if (finalizers.includes(finalizer)) return whole;
    return { ...whole, metadata: { ...whole.metadata, finalizers: [...finalizers, finalizer] } };
  };
}

function withClass(store: Store, claim: Claim): KubeObject {
  if (classOfClaim(claim) !== undefined) return claim;
  const classes: readonly StorageClass[] = store.list("storageclasses.storage.k8s.io").items;
  const found = defaultClass(classes);
  if (found === undefined) return claim;
  return { ...claim, spec: { ...claim.spec, storageClassName: found.metadata.name } };
}

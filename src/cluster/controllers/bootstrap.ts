/** What every cluster has from its first moment on (`pkg/controlplane`). */
import { NODE_IP } from "../../k8s/cluster-network.ts";
import type { Store } from "../store/store.ts";
import { seedRoles } from "./bootstrap-roles.ts";
import { seedSystemServices } from "./system-services.ts";

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

export interface SeedOptions {
  readonly apiPort: number;
  /** The node's on the pod network, under which pods reach the API. @default {NODE_IP} */
  readonly nodeAddress?: string;
}

/** Makes what is missing and corrects where the API is. Safe to repeat; run it before anything else writes. */
export function seedCluster(store: Store, { apiPort, nodeAddress = NODE_IP }: SeedOptions): void {
  for (const name of NAMESPACES) {
    if (store.get("namespaces", { namespace: "", name }) !== undefined) continue;
    store.create("namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  seedStorageClass(store);
  seedRoles(store);
  seedSystemServices(store, { apiPort, nodeAddress });
}

const STORAGE_CLASS = "standard";

/** Once: who deletes it, or makes another the default, has decided so. */
function seedStorageClass(store: Store): void {
  const resource = "storageclasses.storage.k8s.io";
  if (store.list(resource, { limit: 1 }).items.length > 0) return;
  store.create(resource, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: {
      name: STORAGE_CLASS,
      annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
    },
    provisioner: "pillion.dev/local",
    reclaimPolicy: "Delete",
    // With one node there is nothing to wait for, and `helm install --wait` waits for claims without pods, too.
    volumeBindingMode: "Immediate",
    allowVolumeExpansion: true,
  });
}

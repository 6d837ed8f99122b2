/** What every cluster has from its first moment on (`pkg/controlplane`). */
import type { KubeObject } from "../../k8s/object.ts";
import { specOf } from "../store/resource-rules.ts";
import type { Store } from "../store/store.ts";
import { seedRoles } from "./bootstrap-roles.ts";

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** The first address of the Service network: pods find the API server here. */
export const KUBERNETES_SERVICE_IP = "10.96.0.1";

/** Makes what is missing and corrects the API server's port. Safe to repeat; run it before anything else writes. */
export function seedCluster(store: Store, { apiPort }: { readonly apiPort: number }): void {
  for (const name of NAMESPACES) {
    if (store.get("namespaces", { namespace: "", name }) !== undefined) continue;
    store.create("namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  seedStorageClass(store);
  seedRoles(store);
  const at = { namespace: "default", name: "kubernetes" };
  const service = kubernetesService(apiPort);
  if (store.get("services", at) === undefined) store.create("services", service);
  else
    store.update("services", at, (current) => ({
      ...current,
      spec: { ...specOf(current), ...specOf(service) },
    }));
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

function kubernetesService(apiPort: number): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "kubernetes",
      namespace: "default",
      labels: { component: "apiserver", provider: "kubernetes" },
    },
    spec: {
      clusterIP: KUBERNETES_SERVICE_IP,
      clusterIPs: [KUBERNETES_SERVICE_IP],
      internalTrafficPolicy: "Cluster",
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: apiPort }],
      sessionAffinity: "None",
      type: "ClusterIP",
    },
    status: { loadBalancer: {} },
  };
}

/** Makes the claims of generic ephemeral volumes (`pkg/controller/volume/ephemeral`); they go with their pod. */
import type { Volume } from "../../../generated/kubernetes.ts";
import type { KubeObject, ObjectName } from "../../k8s/object.ts";
import { asPod, type StoredPod } from "../../k8s/pod.ts";
import type { Store } from "../store/store.ts";

const CLAIMS = "persistentvolumeclaims";

/** Makes what is missing. A claim of that name that is not the pod's is left alone: the node says so. */
export function claimOfPod(store: Store, at: ObjectName): void {
  const object = store.get("pods", at);
  if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
  const pod = asPod(object);
  for (const volume of pod.spec.volumes ?? []) {
    const claim = claimFor(pod, volume);
    if (claim === undefined) continue;
    const name = claim.metadata.name ?? "";
    if (store.get(CLAIMS, { namespace: at.namespace, name }) === undefined) store.create(CLAIMS, claim);
  }
}

function claimFor({ metadata: pod }: StoredPod, { name, ephemeral }: Volume): KubeObject | undefined {
  const template = ephemeral?.volumeClaimTemplate;
  if (template === undefined) return undefined;
  const { labels, annotations } = template.metadata ?? {};
  const owner = {
    apiVersion: "v1",
    kind: "Pod",
    name: pod.name,
    uid: pod.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      namespace: pod.namespace,
      name: `${pod.name}-${name}`,
      ownerReferences: [owner],
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: template.spec,
    status: { phase: "Pending" },
  };
}

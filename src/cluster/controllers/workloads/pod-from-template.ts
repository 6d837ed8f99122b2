/** Pods as their controllers make them (`GetPodFromTemplate`). */
import type { ObjectMeta, Pod, PodTemplateSpec } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { controllerReference } from "../controller.ts";

/** Names are at most 63 long; what the API server adds to `generateName` takes five. */
const LONGEST_PREFIX = 58;

/** A pod whose name the API server completes, controlled by `owner`. Ready for `CreateObject`. */
export function podFromTemplate(owner: KubeObject, template: PodTemplateSpec): KubeObject & Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const { name = "", namespace = "" } = owner.metadata;
  const metadata: ObjectMeta = {
    generateName: `${name.slice(0, LONGEST_PREFIX - 1)}-`,
    namespace,
    ownerReferences: [controllerReference(owner)],
    ...(labels === undefined ? {} : { labels: { ...labels } }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
    ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: structuredClone(template.spec ?? { containers: [] }),
  };
}

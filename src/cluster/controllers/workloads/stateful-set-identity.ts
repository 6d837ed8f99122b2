/** Who the pods of a StatefulSet are: their names, labels and claims follow from an ordinal (stateful_set_utils.go). */
import type {
  PersistentVolumeClaim,
  Pod,
  PodTemplateSpec,
  StatefulSet,
  StatefulSetSpec,
} from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { REVISION_LABEL } from "./controller-revisions.ts";
import { podFromTemplate } from "./pod-from-template.ts";

export const POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name";
const POD_INDEX_LABEL = "apps.kubernetes.io/pod-index";

/** As the store has it: defaulted and validated. */
export type StatefulSetObject = KubeObject & StatefulSet & { readonly spec: StatefulSetSpec };
export type MemberPod = KubeObject & Pod;

export function podName({ metadata }: KubeObject, ordinal: number): string {
  return `${metadata.name ?? ""}-${ordinal}`;
}

/** `undefined` for a pod that is not named after the set. */
export function ordinalOf({ metadata }: KubeObject, pod: Pod): number | undefined {
  const { name = "" } = pod.metadata ?? {};
  const dash = name.lastIndexOf("-");
  const digits = name.slice(dash + 1);
  if (name.slice(0, dash) !== metadata.name || !/^\d{1,9}$/.test(digits)) return undefined;
  const ordinal = Number(digits);
  return String(ordinal) === digits ? ordinal : undefined;
}

export interface OrdinalRange {
  readonly start: number;
  /** The first one after the range. */
  readonly end: number;
}

export function ordinalRange({ spec }: StatefulSetObject): OrdinalRange {
  const start = spec.ordinals?.start ?? 0;
  return { start, end: start + (spec.replicas ?? 1) };
}

export function isInRange(ordinal: number, { start, end }: OrdinalRange): boolean {
  return ordinal >= start && ordinal < end;
}

export function revisionOf({ metadata }: Pod): string | undefined {
  return metadata?.labels?.[REVISION_LABEL];
}

export function claimName(claim: PersistentVolumeClaim, set: KubeObject, ordinal: number): string {
  return `${claim.metadata?.name ?? ""}-${podName(set, ordinal)}`;
}

/** The claims of one pod; they have the labels of the selector too, so that they are found with it. */
export function claimsFor(set: StatefulSetObject, ordinal: number): KubeObject[] {
  const { namespace = "" } = set.metadata;
  return (set.spec.volumeClaimTemplates ?? []).map((template) => {
    const { labels, annotations, finalizers } = template.metadata ?? {};
    return {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: claimName(template, set, ordinal),
        namespace,
        labels: { ...labels, ...set.spec.selector.matchLabels },
        ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
        ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
      },
      spec: structuredClone(template.spec),
    };
  });
}

/** The pod of that ordinal, of the template of that revision. Ready for `CreateObject`. */
export function podFor(
  set: StatefulSetObject,
  template: PodTemplateSpec,
  { ordinal, revision }: { readonly ordinal: number; readonly revision: string },
): KubeObject {
  const { metadata, spec, ...pod } = podFromTemplate(set, template);
  const name = podName(set, ordinal);
  const own = (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
    name: claim.metadata?.name ?? "",
    persistentVolumeClaim: { claimName: claimName(claim, set, ordinal) },
  }));
  const names = new Set(own.map((volume) => volume.name));
  const volumes = [...own, ...(spec?.volumes ?? []).filter((volume) => !names.has(volume.name))];
  const subdomain = set.spec.serviceName ?? "";
  return {
    ...pod,
    metadata: {
      ...metadata,
      name,
      labels: { ...metadata.labels, ...identityLabels(set, ordinal), [REVISION_LABEL]: revision },
    },
    spec: {
      ...spec,
      hostname: name,
      ...(subdomain === "" ? {} : { subdomain }),
      ...(volumes.length === 0 ? {} : { volumes }),
    },
  };
}

export function identityLabels(set: KubeObject, ordinal: number): Record<string, string> {
  return { [POD_NAME_LABEL]: podName(set, ordinal), [POD_INDEX_LABEL]: String(ordinal) };
}

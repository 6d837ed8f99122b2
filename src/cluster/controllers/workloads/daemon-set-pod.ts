/** The pod that a DaemonSet wants on a node, and whether the node is one for it (controller/daemon/util, `NodeShouldRunDaemonPod`). */
import type {
  DaemonSet,
  DaemonSetSpec,
  Node,
  NodeSelectorTerm,
  Pod,
  PodSpec,
  Toleration,
} from "../../../../generated/kubernetes.ts";
import { isWantedNode, untolerated } from "../../../k8s/node-fit.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { REVISION_LABEL } from "./controller-revisions.ts";
import { podFromTemplate } from "./pod-from-template.ts";

/** As the store has it: defaulted and validated. */
export type DaemonSetObject = KubeObject & DaemonSet & { readonly spec: DaemonSetSpec };
export type DaemonPod = KubeObject & Pod;

const NAME_FIELD = "metadata.name";

/** Daemons belong to the node: its troubles do not drive them out (`AddOrUpdateDaemonPodTolerations`). */
const TOLERATED: readonly (readonly [string, string])[] = [
  ["not-ready", "NoExecute"],
  ["unreachable", "NoExecute"],
  ["disk-pressure", "NoSchedule"],
  ["memory-pressure", "NoSchedule"],
  ["pid-pressure", "NoSchedule"],
  ["unschedulable", "NoSchedule"],
];

/** Ready for `CreateObject`. The scheduler puts it onto the node, which is the only one that its affinity allows. */
export function daemonPod(set: DaemonSetObject, nodeName: string, hash: string): KubeObject & Pod {
  const { metadata, spec, ...pod } = podFromTemplate(set, set.spec.template);
  const { containers, ...rest }: PodSpec = spec ?? { containers: [] };
  return {
    ...pod,
    metadata: { ...metadata, labels: { ...metadata.labels, [REVISION_LABEL]: hash } },
    spec: {
      ...rest,
      containers,
      affinity: onlyOn(rest.affinity, nodeName),
      tolerations: withTolerations(rest),
    },
  };
}

function withTolerations({ tolerations = [], hostNetwork = false }: Partial<PodSpec>): Toleration[] {
  const pairs = hostNetwork ? [...TOLERATED, ["network-unavailable", "NoSchedule"] as const] : TOLERATED;
  const added = pairs.map(([name, effect]) => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect,
  }));
  const has =
    (one: Toleration) =>
    ({ key, effect, operator }: Toleration) =>
      key === one.key && effect === one.effect && operator === one.operator;
  return [...tolerations, ...added.filter((one) => !tolerations.some(has(one)))];
}

/** `ReplaceDaemonSetPodNodeNameNodeAffinity` */
function onlyOn(affinity: PodSpec["affinity"], nodeName: string): NonNullable<PodSpec["affinity"]> {
  const term: NodeSelectorTerm = { matchFields: [{ key: NAME_FIELD, operator: "In", values: [nodeName] }] };
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
    },
  };
}

/** The node that a pod is on, or is meant for (`GetTargetNodeName`). */
export function targetNode({ spec }: Pod): string | undefined {
  if ((spec?.nodeName ?? "") !== "") return spec?.nodeName;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required?.nodeSelectorTerms
    .flatMap(({ matchFields = [] }) => matchFields)
    .find(({ key, operator }) => key === NAME_FIELD && operator === "In")?.values?.[0];
}

export interface Suitability {
  readonly shouldRun: boolean;
  /** False drives pods out that are there. */
  readonly mayStay: boolean;
}

export function suitability(set: DaemonSetObject, node: Node): Suitability {
  const { spec } = set.spec.template;
  const { name } = node.metadata ?? {};
  const isNamed = ["", undefined, name].includes(spec?.nodeName);
  const pod: Pod = { spec: { containers: [], ...spec, tolerations: withTolerations(spec ?? {}) } };
  if (!isNamed || !isWantedNode(pod, node)) return { shouldRun: false, mayStay: false };
  const shouldRun = untolerated(pod, node, ["NoSchedule", "NoExecute"]).length === 0;
  return { shouldRun, mayStay: untolerated(pod, node, ["NoExecute"]).length === 0 };
}

/** Why the node does not take a Pod: the scheduler's filters that make sense with one node. */
import type { Node, Pod, Taint, Toleration } from "../../../generated/kubernetes.ts";

const UNSCHEDULABLE: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

/**
 * The scheduler's message, or undefined when the Pod fits: NodeUnschedulable, TaintToleration and NodeAffinity (its
 * `nodeSelector`). Requests are not compared with the machine: a Pod that asks for too much is better tried than kept.
 */
export function whyUnfit({ spec }: Pod, node: Node): string | undefined {
  const { tolerations = [], nodeSelector = {} } = spec ?? {};
  const { unschedulable = false, taints = [] } = node.spec ?? {};
  if (unschedulable && !isTolerated(UNSCHEDULABLE, tolerations)) return refusal("were unschedulable");
  const taint = taints.find(
    (one) =>
      one.effect !== "PreferNoSchedule" && one.key !== UNSCHEDULABLE.key && !isTolerated(one, tolerations),
  );
  if (taint !== undefined) return refusal(`had untolerated taint {${taint.key}: ${taint.value ?? ""}}`);
  const labels = node.metadata?.labels ?? {};
  const matches = Object.entries(nodeSelector).every(([key, value]) => labels[key] === value);
  return matches ? undefined : refusal("didn't match Pod's node affinity/selector");
}

function refusal(why: string): string {
  return noNode(`1 node(s) ${why}`, "Preemption is not helpful for scheduling");
}

/** Before any node was looked at (a PreFilter plugin). */
export function refusalOfPod(why: string): string {
  return noNode(why, "Preemption is not helpful for scheduling");
}

/** NodePorts: who has the port could make room, but has no lower priority. */
export const PORTS_TAKEN = noNode(
  "1 node(s) didn't have free ports for the requested pod ports",
  "No preemption victims found for incoming pod",
);

function noNode(why: string, preemption: string): string {
  const none = "0/1 nodes are available";
  return `${none}: ${why}. preemption: ${none}: 1 ${preemption}.`;
}

/** `Toleration.ToleratesTaint`: what is left empty stands for everything. */
function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(({ key = "", operator = "Equal", value = "", effect = "" }) => {
    if (effect !== "" && effect !== taint.effect) return false;
    if (key !== "" && key !== taint.key) return false;
    return operator === "Exists" || (key !== "" && value === (taint.value ?? ""));
  });
}

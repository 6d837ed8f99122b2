/** Why a node does not take a Pod: the scheduler's filters that make sense with one node; DaemonSets ask the same ones. */
import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from "../../generated/kubernetes.ts";
import { fulfils, type LabelOperator, type Labels } from "./label-requirement.ts";

const UNSCHEDULABLE: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

/**
 * The scheduler's message, or undefined when the Pod fits: NodeUnschedulable, TaintToleration and NodeAffinity (with
 * `nodeSelector`). Requests are not compared with the machine: a Pod that asks for too much is better tried than kept.
 */
export function whyUnfit(pod: Pod, node: Node): string | undefined {
  const { tolerations = [] } = pod.spec ?? {};
  if (node.spec?.unschedulable === true && !isTolerated(UNSCHEDULABLE, tolerations))
    return refusal("were unschedulable");
  const taint = untolerated(pod, node, ["NoSchedule", "NoExecute"]).find(
    ({ key }) => key !== UNSCHEDULABLE.key,
  );
  if (taint !== undefined) return refusal(`had untolerated taint {${taint.key}: ${taint.value ?? ""}}`);
  return isWantedNode(pod, node) ? undefined : refusal("didn't match Pod's node affinity/selector");
}

/** The node's taints with one of the effects that the Pod does not tolerate. */
export function untolerated({ spec }: Pod, node: Node, effects: readonly string[]): Taint[] {
  return (node.spec?.taints ?? []).filter(
    (taint) => effects.includes(taint.effect) && !isTolerated(taint, spec?.tolerations ?? []),
  );
}

/** `nodeSelector` and the required node affinity (component-helpers `GetRequiredNodeAffinity`). */
export function isWantedNode({ spec }: Pod, { metadata = {} }: Node): boolean {
  const { labels = {}, name = "" } = metadata;
  const selector = Object.entries(spec?.nodeSelector ?? {});
  if (!selector.every(([key, value]) => labels[key] === value)) return false;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return required.nodeSelectorTerms.some((term) => matchesTerm(term, labels, { "metadata.name": name }));
}

const OPERATORS: Readonly<Record<string, LabelOperator>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
  Gt: "gt",
  Lt: "lt",
};

/** A term that says nothing matches no node. */
function matchesTerm(
  { matchExpressions = [], matchFields = [] }: NodeSelectorTerm,
  labels: Labels,
  fields: Labels,
): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((one) => isFulfilled(one, labels)) &&
    matchFields.every((one) => isFulfilled(one, fields))
  );
}

function isFulfilled({ key, operator: name, values = [] }: NodeSelectorRequirement, labels: Labels): boolean {
  const operator = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
  return operator !== undefined && fulfils(labels, { key, operator, values });
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

/** The built-in admission steps that complete a Pod: Priority and DefaultTolerationSeconds. */
import type { Pod, PodSpec, Toleration } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Store } from "../store/store.ts";
import type { Admit } from "./api-context.ts";

const CLASSES = "priorityclasses.scheduling.k8s.io";

/** The classes that every cluster has. */
const SYSTEM_CLASSES: ReadonlyMap<string, number> = new Map([
  ["system-node-critical", 2_000_001_000],
  ["system-cluster-critical", 2_000_000_000],
]);

interface PriorityClass extends KubeObject {
  readonly value: number;
  readonly globalDefault?: boolean;
  readonly preemptionPolicy?: string;
}

type Rank = Required<Pick<PodSpec, "priority" | "preemptionPolicy">> & Pick<PodSpec, "priorityClassName">;

/** plugin/pkg/admission/priority: a Pod's class decides, else the global default, else 0. */
export function assignPriority(store: Store): Admit {
  return ({ info, object, before, operation }) => {
    if (info.groupResource !== "pods") return object;
    const { spec = {} as PodSpec, metadata } = object as Pod;
    if (operation === "UPDATE") return { ...object, spec: { ...priorityOf(before as Pod), ...spec } };
    const refuse = (why: string) => forbiddenPod(metadata?.name || metadata?.generateName || "", why);
    const rank = rankOf(store, spec.priorityClassName ?? "", refuse);
    if (spec.priority !== undefined && spec.priority !== rank.priority) {
      const text = `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${rank.priority} from the given PriorityClass name`;
      throw refuse(text);
    }
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== rank.preemptionPolicy) {
      const text = `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${rank.preemptionPolicy} from the given PriorityClass name`;
      throw refuse(text);
    }
    return { ...object, spec: { ...spec, ...rank } };
  };
}

function priorityOf({ spec }: Pod): Partial<PodSpec> {
  const { priority, preemptionPolicy } = spec ?? {};
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(preemptionPolicy === undefined ? {} : { preemptionPolicy }),
  };
}

function rankOf(store: Store, wanted: string, refuse: (why: string) => StatusError): Rank {
  const system = SYSTEM_CLASSES.get(wanted);
  if (system !== undefined) return { priority: system, preemptionPolicy: "PreemptLowerPriority" };
  if (wanted === "") return defaultRank(store);
  const found = store.get(CLASSES, { namespace: "", name: wanted });
  if (found === undefined) throw refuse(`no PriorityClass with name ${wanted} was found`);
  return rankIn(found as PriorityClass);
}

/** Of several global defaults the lowest counts. */
function defaultRank(store: Store): Rank {
  const classes = store.list(CLASSES).items as PriorityClass[];
  const [lowest] = classes
    .filter(({ globalDefault = false }) => globalDefault)
    .toSorted((a, b) => a.value - b.value);
  if (lowest === undefined) return { priority: 0, preemptionPolicy: "PreemptLowerPriority" };
  return { ...rankIn(lowest), priorityClassName: lowest.metadata?.name ?? "" };
}

function rankIn({ value, preemptionPolicy = "PreemptLowerPriority" }: PriorityClass): Rank {
  return { priority: value, preemptionPolicy };
}

function forbiddenPod(name: string, why: string): StatusError {
  return new StatusError("Forbidden", `pods "${name}" is forbidden: ${why}`, { name, kind: "pods" });
}

const DEFAULT_TOLERATIONS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] as const;
const TOLERATION_SECONDS = 300;

/** plugin/pkg/admission/defaulttolerationseconds. */
export const addTolerations: Admit = ({ info, object }) => {
  if (info.groupResource !== "pods") return object;
  const { spec = {} as PodSpec } = object as Pod;
  const { tolerations = [] } = spec;
  const missing = DEFAULT_TOLERATIONS.filter((key) => !tolerations.some((one) => tolerates(one, key)));
  if (missing.length === 0) return object;
  const added = missing.map((key) => ({
    key,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: TOLERATION_SECONDS,
  }));
  return { ...object, spec: { ...spec, tolerations: [...tolerations, ...added] } };
};

function tolerates({ key = "", effect = "" }: Toleration, taint: string): boolean {
  return (key === "" || key === taint) && (effect === "" || effect === "NoExecute");
}

/** The conditions of a pod that its node owns, derived from the containers' statuses. */
import type { ContainerStatus, PodCondition, PodSpec } from "../../generated/kubernetes.ts";
import { isSidecar } from "./pod.ts";
import type { PodPhase } from "./pod-phase.ts";

/** Types that the kubelet writes; every other condition belongs to somebody else and is kept (PodConditionByKubelet). */
const OWNED = [
  "PodReadyToStartContainers",
  "Initialized",
  "Ready",
  "ContainersReady",
  "PodScheduled",
] as const;

/** Written by the API server, by controllers and by the node (PodConditionSharedByKubelet). */
const DISRUPTION = "DisruptionTarget";

type OwnedType = (typeof OWNED)[number];

export interface ConditionFacts {
  readonly spec: PodSpec;
  readonly phase: PodPhase;
  readonly initStatuses: readonly ContainerStatus[];
  readonly statuses: readonly ContainerStatus[];
  /** The conditions as stored now. */
  readonly current: readonly PodCondition[];
  /** A sandbox with an address exists. */
  readonly hasSandbox: boolean;
  /** `metadata.generation` that these facts are about. */
  readonly generation: number | undefined;
  /** RFC 3339, for conditions that change. */
  readonly now: string;
  /** Somebody other than the pod itself ends it. */
  readonly disruption?: { readonly reason: string; readonly message: string };
}

interface Verdict {
  readonly status: "True" | "False";
  readonly reason?: string;
  readonly message?: string;
}

/** All conditions to store: foreign ones first and untouched, then the kubelet's (generateAPIPodStatus). */
export function podConditions(facts: ConditionFacts): PodCondition[] {
  const { disruption } = facts;
  const isOurs = (type: string) =>
    (OWNED as readonly string[]).includes(type) || (type === DISRUPTION && disruption !== undefined);
  const foreign = facts.current.filter(({ type }) => !isOurs(type));
  const containersReady = judgeContainersReady(facts);
  const verdicts: Record<OwnedType, Verdict> = {
    PodReadyToStartContainers: { status: facts.hasSandbox ? "True" : "False" },
    Initialized: judgeInitialized(facts),
    Ready: judgeReady(facts, containersReady),
    ContainersReady: containersReady,
    PodScheduled: { status: "True" },
  };
  return [
    ...foreign,
    ...(disruption === undefined ? [] : [dated(DISRUPTION, { status: "True", ...disruption }, facts)]),
    ...OWNED.map((type) => dated(type, verdicts[type], facts)),
  ];
}

/** `lastTransitionTime` moves only when the status does. */
function dated(
  type: OwnedType | typeof DISRUPTION,
  verdict: Verdict,
  { current, generation, now }: ConditionFacts,
): PodCondition {
  const before = current.find((condition) => condition.type === type);
  const isSame = before?.status === verdict.status && before.lastTransitionTime !== undefined;
  return {
    type,
    ...verdict,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    lastTransitionTime: isSame ? (before.lastTransitionTime ?? now) : now,
  };
}

function judgeInitialized({ spec, phase, initStatuses, statuses }: ConditionFacts): Verdict {
  const unknown: string[] = [];
  const incomplete: string[] = [];
  for (const container of spec.initContainers ?? []) {
    const status = initStatuses.find(({ name }) => name === container.name);
    if (status === undefined) unknown.push(container.name);
    else if (isSidecar(container) ? status.started !== true : !status.ready) incomplete.push(container.name);
  }
  if (phase === "Succeeded" && unknown.length === 0) return { status: "True", reason: "PodCompleted" };
  if (statuses.some(hasEverStarted)) return { status: "True" };
  const message = unreadyMessage({ unknown, listed: incomplete, word: "incomplete" });
  return message === "" ? { status: "True" } : refuse("ContainersNotInitialized", message);
}

function judgeContainersReady({ spec, phase, initStatuses, statuses }: ConditionFacts): Verdict {
  if (phase === "Succeeded") return { status: "False", reason: "PodCompleted" };
  if (phase === "Failed") return { status: "False", reason: "PodFailed" };
  const unknown: string[] = [];
  const unready: string[] = [];
  const sidecars = (spec.initContainers ?? []).filter(isSidecar);
  for (const { name } of [...sidecars, ...spec.containers]) {
    const status = [...initStatuses, ...statuses].find((candidate) => candidate.name === name);
    if (status === undefined) unknown.push(name);
    else if (!status.ready) unready.push(name);
  }
  const message = unreadyMessage({ unknown, listed: unready, word: "unready" });
  return message === "" ? { status: "True" } : refuse("ContainersNotReady", message);
}

function judgeReady({ spec, current }: ConditionFacts, containersReady: Verdict): Verdict {
  if (containersReady.status !== "True") return containersReady;
  const messages = (spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const gate = current.find(({ type }) => type === conditionType);
    const quoted = JSON.stringify(conditionType);
    if (gate === undefined)
      return [`corresponding condition of pod readiness gate ${quoted} does not exist.`];
    return gate.status === "True"
      ? []
      : [`the status of pod readiness gate ${quoted} is not "True", but ${gate.status}`];
  });
  return messages.length === 0 ? { status: "True" } : refuse("ReadinessGatesNotReady", messages.join(", "));
}

/** `HasAnyRegularContainerStarted`: also one that is backing off now. */
function hasEverStarted({ state, lastState, started }: ContainerStatus): boolean {
  return (
    started === true ||
    state?.running !== undefined ||
    state?.terminated !== undefined ||
    lastState?.terminated !== undefined
  );
}

function unreadyMessage(names: {
  readonly unknown: readonly string[];
  readonly listed: readonly string[];
  readonly word: string;
}): string {
  const sentences: string[] = [];
  if (names.unknown.length > 0)
    sentences.push(`containers with unknown status: [${names.unknown.join(" ")}]`);
  if (names.listed.length > 0)
    sentences.push(`containers with ${names.word} status: [${names.listed.join(" ")}]`);
  return sentences.join(", ");
}

function refuse(reason: string, message: string): Verdict {
  return { status: "False", reason, message };
}

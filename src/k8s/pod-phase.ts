/** One word for where a pod is in its life, derived from its containers' statuses. */
import type { Container, ContainerStatus, PodSpec } from "../../generated/kubernetes.ts";
import { isSidecar } from "./pod.ts";
import { restartsAfterExit } from "./restart-policy.ts";

export type PodPhase = "Pending" | "Running" | "Succeeded" | "Failed";

export interface PhaseFacts {
  readonly spec: PodSpec;
  /** Of init and main containers, in any order. */
  readonly statuses: readonly ContainerStatus[];
  /** The pod is being torn down and nothing of it runs any more. */
  readonly isTornDown: boolean;
  /** A main container has been started in the present sandbox. */
  readonly hasInitialized: boolean;
}

interface Tally {
  running: number;
  waiting: number;
  unknown: number;
  stopped: number;
  succeeded: number;
  restartable: number;
}

/** `getPhase` of the kubelet (kubelet_pods.go), with ContainerRestartRules. */
export function podPhase(facts: PhaseFacts): PodPhase {
  const byName = new Map(facts.statuses.map((status) => [status.name, status]));
  const plain = plainInitProgress(facts.spec, byName);
  if (plain === "failed") return "Failed";

  const tally: Tally = { running: 0, waiting: 0, unknown: 0, stopped: 0, succeeded: 0, restartable: 0 };
  const pendingSidecars = countSidecars(facts.spec, byName, tally);
  for (const container of facts.spec.containers) countMain(facts.spec, container, byName, tally);

  if (plain === "pending" || (pendingSidecars > 0 && !facts.hasInitialized) || tally.waiting > 0)
    return "Pending";
  if (tally.unknown > 0) return "Pending";
  if (tally.running > 0) return "Running";
  if (tally.stopped === 0) return "Pending";
  const outcome = tally.stopped === tally.succeeded ? "Succeeded" : "Failed";
  if (facts.isTornDown) return outcome;
  return tally.restartable > 0 ? "Running" : outcome;
}

function plainInitProgress(
  spec: PodSpec,
  byName: ReadonlyMap<string, ContainerStatus>,
): "done" | "pending" | "failed" {
  let isPending = false;
  for (const container of spec.initContainers ?? []) {
    if (isSidecar(container)) continue;
    const status = byName.get(container.name);
    const ended = status?.state?.terminated ?? endedBeforeWaiting(status);
    if (ended === undefined) isPending = true;
    else if (ended.exitCode !== 0 && !restartsAfterExit(spec, container, ended.exitCode)) return "failed";
  }
  return isPending ? "pending" : "done";
}

/** Sidecars that have ended or are backing off do not count at all: only the main containers decide the outcome. */
function countSidecars(spec: PodSpec, byName: ReadonlyMap<string, ContainerStatus>, tally: Tally): number {
  let pending = 0;
  for (const container of spec.initContainers ?? []) {
    if (!isSidecar(container)) continue;
    const status = byName.get(container.name);
    const state = status?.state;
    if (state?.running !== undefined) {
      tally.running++;
      if (status?.started !== true) pending++;
    } else if (state?.waiting !== undefined) {
      if (endedBeforeWaiting(status) === undefined) {
        pending++;
        tally.waiting++;
      }
    } else if (state?.terminated === undefined) {
      pending++;
      tally.unknown++;
    }
  }
  return pending;
}

function countMain(
  spec: PodSpec,
  container: Container,
  byName: ReadonlyMap<string, ContainerStatus>,
  tally: Tally,
): void {
  const status = byName.get(container.name);
  const state = status?.state;
  const ended = state?.terminated ?? endedBeforeWaiting(status);
  if (state?.running !== undefined) tally.running++;
  else if (ended !== undefined) {
    tally.stopped++;
    if (state?.terminated?.exitCode === 0) tally.succeeded++;
    if (state?.waiting !== undefined || restartsAfterExit(spec, container, ended.exitCode))
      tally.restartable++;
  } else if (state?.waiting !== undefined) tally.waiting++;
  else tally.unknown++;
}

function endedBeforeWaiting(status: ContainerStatus | undefined) {
  return status?.state?.waiting === undefined ? undefined : status.lastState?.terminated;
}

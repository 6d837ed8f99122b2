/** How far an object is on its way to what its user waits for; kinds that have no such way are ready at once. */
import type {
  ContainerStatus,
  DaemonSet,
  Deployment,
  Job,
  Pod,
  ReplicaSet,
  Service,
  StatefulSet,
} from "../../generated/kubernetes.ts";
import type { KubeObject } from "../k8s/object.ts";
import { addressesOf, isBalanced } from "./service-addresses.ts";

export type Progress =
  | { readonly state: "waiting" | "ready" }
  | { readonly state: "stuck"; readonly why: string };

const READY: Progress = { state: "ready" };
const WAITING: Progress = { state: "waiting" };

/** Resources that `up` waits for; the selector of workloads names the pods that may hold it up. */
export const AWAITED: ReadonlySet<string> = new Set([
  "pods",
  "deployments.apps",
  "statefulsets.apps",
  "daemonsets.apps",
  "replicasets.apps",
  "jobs.batch",
  "services",
]);

/** Pure; as `kubectl rollout status` and `kubectl wait` judge. */
export function progressOf(object: KubeObject): Progress {
  switch (object.kind) {
    case "Pod":
      return podProgress(object);
    case "Deployment":
      return observed(object, deploymentProgress);
    case "StatefulSet":
      return observed(object, statefulSetProgress);
    case "DaemonSet":
      return observed(object, daemonSetProgress);
    case "ReplicaSet":
      return observed(object, replicaSetProgress);
    case "Job":
      return jobProgress(object);
    case "Service":
      return serviceProgress(object);
    default:
      return READY;
  }
}

/** A status speaks of the specification that its controller has seen. */
function observed<Workload extends KubeObject>(
  object: Workload,
  judge: (workload: Workload) => Progress,
): Progress {
  const { observedGeneration = 0 } = (object["status"] ?? {}) as { readonly observedGeneration?: number };
  return observedGeneration < (object.metadata.generation ?? 0) ? WAITING : judge(object);
}

function deploymentProgress({ spec, status }: Deployment): Progress {
  const late = status?.conditions?.find(({ type }) => type === "Progressing");
  if (late?.reason === "ProgressDeadlineExceeded")
    return { state: "stuck", why: late.message ?? "its progress deadline has passed" };
  const wanted = spec?.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status ?? {};
  return when(updatedReplicas >= wanted && replicas === updatedReplicas && availableReplicas >= wanted);
}

function statefulSetProgress({ spec, status }: StatefulSet): Progress {
  const wanted = spec?.replicas ?? 1;
  const { readyReplicas = 0, updatedReplicas = 0 } = status ?? {};
  const partition = spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  const isUpdated =
    spec?.updateStrategy?.type === "OnDelete" || updatedReplicas >= Math.max(0, wanted - partition);
  return when(readyReplicas >= wanted && isUpdated);
}

function daemonSetProgress({ spec, status }: DaemonSet): Progress {
  const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status ?? {};
  const isUpdated =
    spec?.updateStrategy?.type === "OnDelete" || updatedNumberScheduled >= desiredNumberScheduled;
  return when(isUpdated && numberAvailable >= desiredNumberScheduled);
}

function replicaSetProgress({ spec, status }: ReplicaSet): Progress {
  return when((status?.readyReplicas ?? 0) >= (spec?.replicas ?? 1));
}

/** A Job is up when its pods are; one that ends, ends. */
function jobProgress({ spec, status }: Job): Progress {
  const holds = (wanted: string) =>
    status?.conditions?.find(({ type, status: value }) => type === wanted && value === "True");
  const failed = holds("Failed") ?? holds("FailureTarget");
  if (failed !== undefined)
    return { state: "stuck", why: failed.message ?? failed.reason ?? "it has failed" };
  if (spec?.suspend === true || holds("Complete") !== undefined) return READY;
  const { active = 0, ready = 0 } = status ?? {};
  return when(active > 0 && ready >= active);
}

/** Every other Service is where it says as soon as it is stored. */
function serviceProgress(service: Service): Progress {
  return when(!isBalanced(service) || addressesOf(service).length > 0);
}

function when(isReady: boolean): Progress {
  return isReady ? READY : WAITING;
}

/** Waiting reasons that do not go away by waiting a moment longer. */
const STUCK = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
  "CrashLoopBackOff",
]);

function podProgress({ status }: Pod): Progress {
  if (status?.phase === "Succeeded") return READY;
  if (status?.phase === "Failed") {
    return { state: "stuck", why: status.message ?? status.reason ?? "the pod has failed" };
  }
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { waiting } = container.state ?? {};
    if (waiting?.reason !== undefined && STUCK.has(waiting.reason)) {
      return { state: "stuck", why: `container "${container.name}": ${describeWaiting(container)}` };
    }
  }
  return when(
    status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true,
  );
}

/** The waiting reason; behind a crash loop, why the last instance ended. */
function describeWaiting({ state, lastState }: ContainerStatus): string {
  const { reason = "", message } = state?.waiting ?? {};
  const ended = lastState?.terminated;
  if (reason !== "CrashLoopBackOff" || ended === undefined) return message ? `${reason}: ${message}` : reason;
  const cause = ended.message?.trim() || `exit code ${ended.exitCode}`;
  return `${reason}: it ended with ${ended.reason ?? "Error"}: ${cause}`;
}

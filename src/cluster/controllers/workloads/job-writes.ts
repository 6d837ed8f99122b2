/** What a Job's controller does to pods and Jobs in the store, and what it tells about it. */
import type { JobStatus } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import { controllerOf, type ControllerParts } from "../controller.ts";
import { claimObjects } from "./claim-objects.ts";
import { newJobPod } from "./job-new-pod.ts";
import { isTracked, type JobPod, JOBS, type StoredJob, TRACKING_FINALIZER, uidOf } from "./job-pod.ts";

export interface JobParts extends ControllerParts {
  readonly events: EventRecorder;
}

interface Told {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export function tellOfJob({ events }: JobParts, job: KubeObject, told: Told): void {
  events.record({ about: referenceTo(job), ...told });
}

/** The Job's pods, after adoption and release. Adopted ones are counted like those that it made. */
export function claimJobPods({ store }: JobParts, job: StoredJob): JobPod[] {
  const { namespace = "" } = job.metadata;
  const free = new Set(
    store
      .list("pods", { namespace, matches: (pod) => controllerOf(pod) === undefined })
      .items.map(({ metadata }) => metadata.uid),
  );
  const claimed = claimObjects({ store, resource: "pods", owner: job, selector: job.spec.selector });
  return claimed.map((pod) => {
    if (!free.has(pod.metadata.uid) || isTracked(pod)) return pod;
    return changeFinalizers(store, pod, (finalizers) => [...finalizers, TRACKING_FINALIZER]) ?? pod;
  });
}

export function podsOfJob({ store }: JobParts, { metadata: { namespace = "", uid } }: StoredJob): JobPod[] {
  const matches = (pod: KubeObject) => controllerOf(pod)?.uid === uid;
  return [...store.list("pods", { namespace, matches }).items];
}

/** From here on the pod is counted, or never will be. */
export function releasePod({ store }: Pick<JobParts, "store">, pod: KubeObject): void {
  if (!isTracked(pod)) return;
  changeFinalizers(store, pod, (finalizers) => finalizers.filter((one) => one !== TRACKING_FINALIZER));
}

/** `undefined` when the pod is gone, or is another by now. */
function changeFinalizers(
  store: JobParts["store"],
  { metadata: { namespace = "", name = "", uid } }: KubeObject,
  change: (finalizers: readonly string[]) => string[],
): KubeObject | undefined {
  try {
    return store.update("pods", { namespace, name }, (current) => {
      if (current.metadata.uid !== uid) return current;
      const { finalizers: before = [], ...metadata } = current.metadata;
      const finalizers = change(before);
      return { ...current, metadata: finalizers.length === 0 ? metadata : { ...metadata, finalizers } };
    });
  } catch (error) {
    if (error instanceof StatusError && error.reason === "NotFound") return undefined;
    throw error;
  }
}

export function deleteJobPod(parts: JobParts, job: StoredJob, pod: JobPod): void {
  const { namespace = "", name = "" } = pod.metadata;
  try {
    parts.store.delete("pods", { namespace, name }, { preconditions: { uid: uidOf(pod) } });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    // Somebody was faster.
    if (error.reason === "NotFound" || error.reason === "Conflict") return;
    tellOfJob(parts, job, {
      type: "Warning",
      reason: "FailedDelete",
      message: `Error deleting: ${error.message}`,
    });
    throw error;
  }
  tellOfJob(parts, job, { type: "Normal", reason: "SuccessfulDelete", message: `Deleted pod: ${name}` });
}

interface Place {
  readonly index: number | undefined;
  /** The failed pod that had it before. */
  readonly replaced: JobPod | undefined;
}

/** What it was refused with, if it was; where the first is refused the others are not tried. */
export async function createJobPods(
  parts: JobParts,
  job: StoredJob,
  places: readonly Place[],
): Promise<StatusError | undefined> {
  for (const { index, replaced } of places) {
    try {
      const { metadata } = await parts.create("pods", newJobPod(job, index, replaced));
      const message = `Created pod: ${metadata.name ?? ""}`;
      tellOfJob(parts, job, { type: "Normal", reason: "SuccessfulCreate", message });
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      // The namespace goes, and the Job with it.
      if (error.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating") === true)
        return undefined;
      const message = `Error creating: ${error.message}`;
      tellOfJob(parts, job, { type: "Warning", reason: "FailedCreate", message });
      return error;
    }
  }
  return undefined;
}

/** `false` when the Job is gone, or is another by now. */
export function writeJobStatus({ store }: JobParts, job: StoredJob, status: JobStatus): boolean {
  const { namespace = "", name = "", uid } = job.metadata;
  if (store.get(JOBS, { namespace, name })?.metadata.uid !== uid) return false;
  store.update(JOBS, { namespace, name }, (current) => ({ ...current, status }), { subresource: "status" });
  return true;
}

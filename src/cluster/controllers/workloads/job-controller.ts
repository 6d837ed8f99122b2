/** Runs Jobs to their end: makes their pods, counts how those end, and says when enough have (`pkg/controller/job`). */
import type { JobCondition } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { StatusError } from "../../../k8s/status-error.ts";
import { createEventRecorder } from "../../store/event-recorder.ts";
import type { WatchEvent } from "../../store/store.ts";
import { keyOf, placeOfKey } from "../../../k8s/object-name.ts";
import { controllerOf, type ControllerParts } from "../controller.ts";
import { createWorkQueue, type WorkQueue } from "../work-queue.ts";
import { followPods, type Ownership, ownersOf } from "./follow-pods.ts";
import { accountPods, settleReleased } from "./job-account.ts";
import { type FailureRecord, NO_FAILURES, recordEnds } from "./job-back-off.ts";
import { jobCondition } from "./job-conditions.ts";
import { type JobFacts, jobFacts } from "./job-facts.ts";
import { asJob, endOf, isTracked, JOBS, type StoredJob } from "./job-pod.ts";
import { jobScale } from "./job-scale.ts";
import { jobEnd, withPodCounts, withStart, withSuspension, withVerdict } from "./job-status.ts";
import { deadlineLeft, isJobComplete, jobVerdict } from "./job-verdict.ts";
import {
  claimJobPods,
  createJobPods,
  deleteJobPod,
  type JobParts,
  podsOfJob,
  releasePod,
  tellOfJob,
  writeJobStatus,
} from "./job-writes.ts";

const OWN_NAME = "kubernetes.io/job-controller";

interface Controller extends JobParts {
  readonly queue: WorkQueue;
  /** Pods that carry the finalizer and have no Job any more that would take it off. */
  readonly orphans: WorkQueue;
  /** By the Job's uid. Lost when the process ends, as upstream's. */
  readonly records: Map<string, FailureRecord>;
}

/** Watches until the returned function is called. */
export function startJobController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const events = createEventRecorder({ store, clock, component: "job-controller", host: "" });
  const queue = createWorkQueue(clock, (key) => sync(controller, key));
  const orphans = createWorkQueue(clock, (key) => releaseOrphan(controller, key));
  const controller: Controller = {
    ...parts,
    events,
    queue,
    orphans,
    records: new Map(),
  };
  const stops = [
    store.watch(JOBS, {}, (event) => observeJob(controller, event)),
    followPods({
      ...ownershipOf(parts),
      wake: (key) => queue.add(key),
      observe: ({ type, object }, jobs) => {
        const isLost = jobs.length === 0 && type !== "DELETED" && isTracked(object);
        if (isLost) orphans.add(keyOf(object.metadata));
      },
    }),
  ];
  return () => {
    queue.stop();
    orphans.stop();
    for (const stop of stops) stop();
  };
}

function observeJob({ store, queue, orphans, records }: Controller, { type, object }: WatchEvent): void {
  const { namespace = "", uid = "" } = object.metadata;
  if (type !== "DELETED") {
    queue.add(keyOf(object.metadata));
    return;
  }
  records.delete(uid);
  const matches = (pod: KubeObject) => isTracked(pod) && controllerOf(pod)?.uid === uid;
  for (const pod of store.list("pods", { namespace, matches }).items) orphans.add(keyOf(pod.metadata));
}

/** Jobs that have ended want nothing any more, those that go adopt nothing. */
function ownershipOf({ store }: Pick<ControllerParts, "store">): Ownership {
  return {
    store,
    resource: JOBS,
    kind: "Job",
    cares: (object) => endOf(asJob(object)) === undefined,
    selectorOf: (object) => {
      const { spec, metadata } = asJob(object);
      return metadata.deletionTimestamp === undefined ? spec.selector : undefined;
    },
  };
}

function releaseOrphan(controller: Controller, key: string): void {
  const pod = controller.store.get("pods", placeOfKey(key));
  const isLost = pod !== undefined && ownersOf(ownershipOf(controller), pod).length === 0;
  if (isLost) releasePod(controller, pod);
}

async function sync(controller: Controller, key: string): Promise<void> {
  const { store, clock, queue, records } = controller;
  const found = store.get(JOBS, placeOfKey(key));
  if (found === undefined) return;
  const job = asJob(found);
  if (endOf(job) !== undefined) {
    expire(controller, key, job);
    return;
  }
  if ((job.spec.managedBy ?? OWN_NAME) !== OWN_NAME) return;
  const now = clock.now();
  const facts = jobFacts(job, claimJobPods(controller, job));
  const record = recordEnds(firstRecord(controller, facts), {
    succeeded: facts.newSucceeded,
    failed: facts.newFailed,
  });
  const step = await takeStep(controller, facts, { record, now });
  if (!conclude(controller, facts, step.verdict)) return;
  records.set(job.metadata.uid ?? "", record);
  if (step.error !== undefined) throw step.error;
  const left = deadlineLeft(facts, now);
  const wakes = [step.wakeInMs, step.verdict === undefined ? left : undefined];
  for (const wake of wakes) if (wake !== undefined) queue.addAfter(key, wake);
}

/** After a restart: what the pods that are still there tell. */
function firstRecord(
  { records }: Controller,
  { job, pods, newSucceeded, newFailed }: JobFacts,
): FailureRecord {
  const known = records.get(job.metadata.uid ?? "");
  if (known !== undefined) return known;
  const fresh = new Set([...newSucceeded, ...newFailed]);
  const old = pods.filter((pod) => !fresh.has(pod));
  return recordEnds(NO_FAILURES, {
    succeeded: old.filter(({ status }) => status?.phase === "Succeeded"),
    failed: old.filter(({ status }) => status?.phase === "Failed"),
  });
}

interface Step {
  readonly verdict?: JobCondition | undefined;
  readonly wakeInMs?: number | undefined;
  readonly error?: StatusError | undefined;
}

/** Makes and deletes pods; the verdict says that the Job ends. */
async function takeStep(
  controller: Controller,
  facts: JobFacts,
  { record, now }: { readonly record: FailureRecord; readonly now: number },
): Promise<Step> {
  const { job, active } = facts;
  const verdict = jobVerdict(facts, now);
  if (verdict !== undefined) {
    // They still carry the finalizer, so that they are counted.
    for (const pod of active) deleteJobPod(controller, job, pod);
    return { verdict };
  }
  if (job.metadata.deletionTimestamp !== undefined) return {};
  const { remove, create, wakeInMs } = jobScale(facts, { record, now });
  for (const pod of remove) {
    // Nobody failed: such a pod is not counted.
    releasePod(controller, pod);
    deleteJobPod(controller, job, pod);
  }
  const places = create.map((index) => ({
    index,
    replaced: index === undefined ? undefined : facts.lastFailures.get(index),
  }));
  const error = await createJobPods(controller, job, places);
  const activeLeft = active.length - remove.length + places.length;
  if (error !== undefined || !isJobComplete(facts, activeLeft)) return { wakeInMs, error };
  const reached = {
    type: "SuccessCriteriaMet",
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
  };
  return { verdict: jobCondition(reached, now) };
}

/** Writes the status; `false` when the Job is gone. */
function conclude(controller: Controller, facts: JobFacts, verdict: JobCondition | undefined): boolean {
  const { job } = facts;
  const now = controller.clock.now();
  const before = withSuspensionOf(controller, job, { now, isEnding: verdict !== undefined });
  const counted = withVerdict(withPodCounts(before, podsOfJob(controller, job)), verdict);
  const account = accountPods(facts, counted, verdict);
  const isNew = verdict !== undefined && job.status?.conditions?.includes(verdict) !== true;
  if ((isNew || account.release.length > 0) && !writeJobStatus(controller, job, account.status)) return false;
  for (const pod of account.release) releasePod(controller, pod);
  const pods = podsOfJob(controller, job);
  const status = withPodCounts(settleReleased(account.status, job, pods), pods);
  const end = verdict === undefined || account.isPartial ? undefined : jobEnd(status, { verdict, pods, now });
  if (!writeJobStatus(controller, job, end?.status ?? status)) return false;
  if (end !== undefined) tellEnd(controller, job, end);
  return true;
}

function withSuspensionOf(
  controller: Controller,
  job: StoredJob,
  { now, isEnding }: { readonly now: number; readonly isEnding: boolean },
) {
  const started = withStart(job, now);
  if (isEnding || job.metadata.deletionTimestamp !== undefined) return started;
  const isSuspended = job.spec.suspend === true;
  const status = withSuspension(started, isSuspended, now);
  if (status === started) return status;
  const [reason, message] = isSuspended ? ["Suspended", "Job suspended"] : ["Resumed", "Job resumed"];
  tellOfJob(controller, job, { type: "Normal", reason, message });
  return status;
}

function tellEnd(
  controller: Controller,
  job: StoredJob,
  { status, condition }: NonNullable<ReturnType<typeof jobEnd>>,
): void {
  const { completions } = job.spec;
  if (completions !== undefined && (status.succeeded ?? 0) > completions) {
    const message = "Too many succeeded pods running after completion count reached";
    tellOfJob(controller, job, { type: "Warning", reason: "TooManySucceededPods", message });
  }
  if (condition.type === "Complete") {
    tellOfJob(controller, job, { type: "Normal", reason: "Completed", message: "Job completed" });
    return;
  }
  const { reason = "", message = "" } = condition;
  tellOfJob(controller, job, { type: "Warning", reason, message });
}

/** `pkg/controller/ttlafterfinished`. */
function expire({ store, clock, queue }: Controller, key: string, job: StoredJob): void {
  const { ttlSecondsAfterFinished } = job.spec;
  const { namespace = "", name = "", uid = "", deletionTimestamp } = job.metadata;
  if (ttlSecondsAfterFinished === undefined || deletionTimestamp !== undefined) return;
  const ended = Date.parse(endOf(job)?.lastTransitionTime ?? "");
  const left = ended + ttlSecondsAfterFinished * 1000 - clock.now();
  if (left > 0) queue.addAfter(key, left);
  else store.delete(JOBS, { namespace, name }, { propagationPolicy: "Foreground", preconditions: { uid } });
}

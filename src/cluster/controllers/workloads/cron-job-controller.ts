/** Makes Jobs when CronJobs are due (`pkg/controller/cronjob`). */
import type { CronJob, CronJobStatus, ObjectReference } from "../../../../generated/kubernetes.ts";
import { parseSchedule, type Schedule } from "../../../k8s/cron-schedule.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { isTimeZone, offsetAt } from "../../../k8s/time-zone.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";
import { createEventRecorder, type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import { keyOf, placeOfKey } from "../../../k8s/object-name.ts";
import { controllerOf, controllerReference, type ControllerParts } from "../controller.ts";
import { createWorkQueue, type WorkQueue } from "../work-queue.ts";
import { type Finding, observeJobs, surplusJobs } from "./cron-job-history.ts";
import { isTooLate, jobNameFor, runsOf, type StoredCronJob } from "./cron-job-plan.ts";
import { asJob, JOBS, type StoredJob } from "./job-pod.ts";

const CRON_JOBS = "cronjobs.batch";
const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/** So that the clock is surely past the moment (`nextScheduleDelta`). */
const DELTA_MS = 100;

interface Controller extends ControllerParts {
  readonly events: EventRecorder;
  readonly queue: WorkQueue;
}

/** Watches until the returned function is called. */
export function startCronJobController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const events = createEventRecorder({ store, clock, component: "cronjob-controller", host: "" });
  const queue = createWorkQueue(clock, (key) => sync({ ...parts, events, queue }, key));
  const stops = [
    store.watch(CRON_JOBS, {}, ({ object }) => queue.add(keyOf(object.metadata))),
    store.watch(JOBS, {}, ({ object }) => {
      const owner = controllerOf(object);
      if (owner?.kind === "CronJob") queue.add(keyOf({ ...object.metadata, name: owner.name }));
    }),
  ];
  return () => {
    queue.stop();
    for (const stop of stops) stop();
  };
}

function read({ store }: Controller, key: string): StoredCronJob | undefined {
  const found = store.get(CRON_JOBS, placeOfKey(key)) as (KubeObject & CronJob) | undefined;
  return found?.spec === undefined ? undefined : found;
}

async function sync(controller: Controller, key: string): Promise<void> {
  const cronJob = read(controller, key);
  if (cronJob === undefined) return;
  const jobs = jobsOf(controller, cronJob);
  const kept = removeSurplus(controller, cronJob, jobs);
  const { status, findings } = observeJobs(cronJob, kept);
  for (const finding of findings) tell(controller, cronJob, finding);
  const current = writeStatus(controller, cronJob, status);
  if (current === undefined || current.metadata.deletionTimestamp !== undefined) return;
  const schedule = scheduleOf(controller, current);
  if (schedule !== undefined) await runDue(controller, { key, cronJob: current, schedule });
}

function jobsOf({ store }: Controller, { metadata: { namespace = "", uid } }: StoredCronJob): StoredJob[] {
  const matches = (job: KubeObject) => controllerOf(job)?.uid === uid;
  return store.list(JOBS, { namespace, matches }).items.map(asJob);
}

function tell({ events }: Controller, cronJob: StoredCronJob, finding: Finding): void {
  events.record({ about: referenceTo(cronJob), ...finding });
}

function removeSurplus(
  controller: Controller,
  cronJob: StoredCronJob,
  jobs: readonly StoredJob[],
): StoredJob[] {
  const surplus = surplusJobs(cronJob, jobs);
  for (const job of surplus) deleteJob(controller, cronJob, job.metadata);
  return jobs.filter((job) => !surplus.includes(job));
}

function deleteJob(
  controller: Controller,
  cronJob: StoredCronJob,
  { namespace = "", name = "", uid = "" }: KubeObject["metadata"],
): void {
  try {
    const options = { propagationPolicy: "Background", preconditions: { uid } } as const;
    controller.store.delete(JOBS, { namespace, name }, options);
  } catch (error) {
    // Somebody was faster.
    if (error instanceof StatusError && (error.reason === "NotFound" || error.reason === "Conflict")) return;
    throw error;
  }
  tell(controller, cronJob, { type: "Normal", reason: "SuccessfulDelete", message: `Deleted job ${name}` });
}

/** What is stored then; `undefined` when the CronJob is gone, or is another by now. */
function writeStatus(
  { store }: Controller,
  { metadata: { namespace = "", name = "", uid } }: StoredCronJob,
  status: CronJobStatus,
): StoredCronJob | undefined {
  const at = { namespace, name };
  if (store.get(CRON_JOBS, at)?.metadata.uid !== uid) return undefined;
  const change = (current: KubeObject) => ({ ...current, status });
  return store.update(CRON_JOBS, at, change, { subresource: "status" }) as StoredCronJob;
}

/** Nothing for one that is suspended, or that cannot be understood: that is said, and a change of it brings the next look. */
function scheduleOf(controller: Controller, cronJob: StoredCronJob): Schedule | undefined {
  const { schedule: text, timeZone, suspend = false } = cronJob.spec;
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    const message = `invalid timeZone: "${timeZone}": unknown time zone ${timeZone}`;
    tell(controller, cronJob, { type: "Warning", reason: "UnknownTimeZone", message });
    return undefined;
  }
  if (suspend) return undefined;
  if (text.includes("TZ")) {
    const message = `CRON_TZ or TZ used in schedule "${text}" is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details`;
    tell(controller, cronJob, { type: "Warning", reason: "UnsupportedSchedule", message });
  }
  const parsed = parseSchedule(text);
  if (parsed.ok) return parsed.schedule;
  const message = `unparseable schedule "${text}" : ${parsed.why}`;
  tell(controller, cronJob, { type: "Warning", reason: "UnparseableSchedule", message });
  return undefined;
}

interface Due {
  readonly key: string;
  readonly cronJob: StoredCronJob;
  readonly schedule: Schedule;
}

async function runDue(controller: Controller, { key, cronJob, schedule }: Due): Promise<void> {
  const { clock, queue } = controller;
  const now = clock.now();
  const runs = runsOf(cronJob, schedule, now);
  if (runs === undefined) {
    const why = "time difference between two schedules is less than 1 second";
    const message = `invalid schedule: ${cronJob.spec.schedule} : ${why}`;
    tell(controller, cronJob, { type: "Warning", reason: "InvalidSchedule", message });
    return;
  }
  const { due, next, hasMissedMany } = runs;
  if (next !== undefined) queue.addAfter(key, Math.max(0, next - now) + DELTA_MS);
  if (due === undefined || isDone(cronJob, due)) return;
  if (hasMissedMany) {
    const message =
      "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    tell(controller, cronJob, { type: "Warning", reason: "TooManyMissedTimes", message });
  }
  if (isTooLate(cronJob.spec, due, now)) {
    const message = `Missed scheduled time to start a job: ${new Date(due).toUTCString().replace("GMT", "+0000")}`;
    tell(controller, cronJob, { type: "Warning", reason: "MissSchedule", message });
    return;
  }
  if (mayStart(controller, cronJob)) await startJob(controller, cronJob, due);
}

function isDone({ metadata, status = {} }: StoredCronJob, due: number): boolean {
  const name = jobNameFor(metadata.name ?? "", due);
  return (
    status.active?.some((job) => job.name === name) === true ||
    (status.lastScheduleTime !== undefined && Date.parse(status.lastScheduleTime) === due)
  );
}

/** Whether what runs already lets another begin; with `Replace` it is ended first. */
function mayStart(controller: Controller, cronJob: StoredCronJob): boolean {
  const { active = [] } = cronJob.status ?? {};
  const { concurrencyPolicy } = cronJob.spec;
  if (active.length === 0 || concurrencyPolicy === "Allow") return true;
  if (concurrencyPolicy === "Forbid") {
    const message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    tell(controller, cronJob, { type: "Normal", reason: "JobAlreadyActive", message });
    return false;
  }
  for (const job of active) deleteJob(controller, cronJob, job);
  return true;
}

async function startJob(controller: Controller, cronJob: StoredCronJob, due: number): Promise<void> {
  const { namespace = "", name = "" } = cronJob.metadata;
  const job = await makeJob(controller, cronJob, due);
  if (job === undefined || controllerOf(job)?.uid !== cronJob.metadata.uid) return;
  const current = read(controller, `${namespace}/${name}`);
  if (current === undefined) return;
  const isReplaced = cronJob.spec.concurrencyPolicy === "Replace";
  const before = isReplaced ? [] : (current.status?.active ?? []);
  const reference: ObjectReference = referenceTo(job);
  const active = [...before.filter(({ uid }) => uid !== reference.uid), reference];
  writeStatus(controller, cronJob, { ...current.status, active, lastScheduleTime: formatTimestamp(due) });
}

/** One that is there under the name has been made before the process ended last. */
async function makeJob(
  controller: Controller,
  cronJob: StoredCronJob,
  due: number,
): Promise<KubeObject | undefined> {
  const { namespace = "" } = cronJob.metadata;
  const wanted = jobFrom(cronJob, due);
  try {
    const job = await controller.create(JOBS, wanted);
    const message = `Created job ${job.metadata.name ?? ""}`;
    tell(controller, cronJob, { type: "Normal", reason: "SuccessfulCreate", message });
    return job;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    if (error.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating") === true)
      return undefined;
    if (error.reason === "AlreadyExists") {
      return controller.store.get(JOBS, { namespace, name: wanted.metadata.name ?? "" });
    }
    const message = `Error creating job: ${error.message}`;
    tell(controller, cronJob, { type: "Warning", reason: "FailedCreate", message });
    throw error;
  }
}

function jobFrom(cronJob: StoredCronJob, due: number): KubeObject {
  const { jobTemplate, timeZone } = cronJob.spec;
  const { labels, annotations } = jobTemplate.metadata ?? {};
  const { name = "", namespace = "" } = cronJob.metadata;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: jobNameFor(name, due),
      namespace,
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      annotations: { ...annotations, [SCHEDULED_AT]: localTimestamp(due, timeZone ?? "UTC") },
      ownerReferences: [controllerReference(cronJob)],
    },
    spec: structuredClone(jobTemplate.spec),
  };
}

/** RFC 3339 with the zone's offset. */
function localTimestamp(ms: number, zone: string): string {
  const offset = offsetAt(zone, ms);
  if (offset === 0) return formatTimestamp(ms);
  const minutes = Math.abs(offset) / 60_000;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const sign = offset < 0 ? "-" : "+";
  return `${formatTimestamp(ms + offset).slice(0, -1)}${sign}${two(minutes / 60)}:${two(minutes % 60)}`;
}

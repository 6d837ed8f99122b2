/** When a CronJob runs next, and whether a run is due now (`pkg/controller/cronjob/utils.go`). */
import type { CronJob, CronJobSpec } from "../../../../generated/kubernetes.ts";
import type { Schedule } from "../../../k8s/cron-schedule.ts";
import { nextTime } from "../../../k8s/cron-time.ts";
import type { KubeObject } from "../../../k8s/object.ts";

export type StoredCronJob = KubeObject & CronJob & { readonly spec: CronJobSpec };

/** More missed runs than this are worth a warning. */
const MANY = 100;

export interface Runs {
  /** Unix milliseconds; the latest that has come due since the last one, if any has. */
  readonly due?: number;
  /** Unix milliseconds; the next that is still to come. */
  readonly next?: number;
  readonly hasMissedMany: boolean;
}

/** `undefined` for a schedule that never comes due, such as that of 31 February. */
export function runsOf(
  { metadata, spec, status }: StoredCronJob,
  schedule: Schedule,
  now: number,
): Runs | undefined {
  const zone = spec.timeZone ?? "UTC";
  const after = (time: number) => nextTime(schedule, time, zone);
  const last = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp ?? "") || now;
  const { startingDeadlineSeconds } = spec;
  const deadline = startingDeadlineSeconds === undefined ? last : now - startingDeadlineSeconds * 1000;
  const recent = latestBetween(Math.max(last, deadline), { now, after });
  if (recent === undefined) return undefined;
  const { latest, hasMissedMany } = recent;
  // Runs that the deadline forbids still set the pace of `@every`.
  const base = latest ?? latestBetween(last, { now, after })?.latest ?? last;
  const next = after(base);
  return {
    ...(latest === undefined ? {} : { due: latest }),
    ...(next === undefined ? {} : { next }),
    hasMissedMany,
  };
}

interface Span {
  readonly now: number;
  readonly after: (time: number) => number | undefined;
}

/** `mostRecentScheduleTime`: near the end of a long span it starts counting there, instead of going through all of it. */
function latestBetween(
  from: number,
  { now, after }: Span,
): { readonly latest?: number; readonly hasMissedMany: boolean } | undefined {
  const first = after(from);
  if (first === undefined) return undefined;
  if (now < first) return { hasMissedMany: false };
  const second = after(first);
  if (second === undefined || now < second) return { latest: first, hasMissedMany: false };
  const period = Math.max(1000, Math.round((second - first) / 1000) * 1000);
  const missed = Math.floor((now - first) / period) + 1;
  let latest = first;
  for (let skipped = missed - 2; ; skipped = Math.floor(skipped / 2)) {
    const start: number = skipped > 0 ? first + skipped * period : first;
    const found = walk(start, { now, after });
    if (found !== undefined) latest = found;
    // Nothing since then: the runs are further apart there than here.
    if (found !== undefined || start === first) break;
  }
  return { latest, hasMissedMany: missed > MANY };
}

function walk(start: number, { now, after }: Span): number | undefined {
  let latest: number | undefined;
  for (let time = after(start); time !== undefined && time <= now; time = after(time)) latest = time;
  return latest;
}

/** So that a run is never made twice (`getJobName`). `scheduled` is Unix milliseconds. */
export function jobNameFor(name: string, scheduled: number): string {
  return `${name}-${Math.floor(scheduled / 60_000)}`;
}

/** Whether the run would begin later than the CronJob allows. */
export function isTooLate({ startingDeadlineSeconds }: CronJobSpec, scheduled: number, now: number): boolean {
  return startingDeadlineSeconds !== undefined && scheduled + startingDeadlineSeconds * 1000 < now;
}

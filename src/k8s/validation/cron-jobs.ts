/** Checks of CronJobs (`ValidateCronJobSpec`). */
import type { CronJobSpec, ObjectMeta } from "../../../generated/kubernetes.ts";
import { parseSchedule } from "../cron-schedule.ts";
import { type FieldError, invalid, required } from "../field-error.ts";
import { isTimeZone } from "../time-zone.ts";
import { validateJobTemplateSpec } from "./jobs.ts";
import { requireOneOf } from "./one-of.ts";
import { validateCounts } from "./pod-amount.ts";
import type { Unchecked } from "./unchecked.ts";

interface AnyCronJob {
  readonly metadata?: ObjectMeta;
  readonly spec?: Unchecked<CronJobSpec>;
}

const POLICIES = ["Allow", "Forbid", "Replace"];
const COUNTS = ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] as const;
/** The controller appends 11 characters to make the names of Jobs. */
const LONGEST_NAME = 52;

export function validateCronJob({ metadata, spec = {} }: AnyCronJob): FieldError[] {
  const { name = "" } = metadata ?? {};
  const errors = validateSpec(spec, undefined);
  if (name.length <= LONGEST_NAME) return errors;
  return [invalid("metadata.name", name, `must be no more than ${LONGEST_NAME} characters`), ...errors];
}

export function validateCronJobUpdate({ spec = {} }: AnyCronJob, before: AnyCronJob): FieldError[] {
  return validateSpec(spec, before.spec ?? {});
}

function validateSpec(spec: Unchecked<CronJobSpec>, old: Unchecked<CronJobSpec> | undefined): FieldError[] {
  const { concurrencyPolicy, timeZone, jobTemplate } = spec;
  const errors = [
    ...validateFormat(spec, old?.schedule?.includes("TZ") === true),
    ...validateCounts(spec, COUNTS, "spec"),
  ];
  if (timeZone !== undefined && timeZone !== old?.timeZone) errors.push(...validateTimeZone(timeZone));
  errors.push(...requireOneOf(concurrencyPolicy, POLICIES, "spec.concurrencyPolicy"));
  return [...errors, ...validateJobTemplateSpec(jobTemplate?.spec ?? {}, "spec.jobTemplate.spec")];
}

/** A schedule that was stored with a zone may keep it. */
function validateFormat(
  { schedule = "", timeZone }: Unchecked<CronJobSpec>,
  allowsZone: boolean,
): FieldError[] {
  const field = "spec.schedule";
  if (schedule === "") return [required(field)];
  const parsed = parseSchedule(schedule);
  const errors = parsed.ok ? [] : [invalid(field, schedule, parsed.why)];
  if (!schedule.includes("TZ")) return errors;
  if (!allowsZone) {
    const why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    return [...errors, invalid(field, schedule, why)];
  }
  if (timeZone === undefined) return errors;
  return [
    ...errors,
    invalid(field, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"),
  ];
}

function validateTimeZone(name: string): FieldError[] {
  const field = "spec.timeZone";
  if (name === "") return [invalid(field, name, "timeZone must be nil or non-empty string")];
  if (name.toLowerCase() === "local") {
    const why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
    return [invalid(field, name, why)];
  }
  return isTimeZone(name) ? [] : [invalid(field, name, `unknown time zone ${name}`)];
}

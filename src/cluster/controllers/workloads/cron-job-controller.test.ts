import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { CronJob, CronJobSpec, Event, Job } from "../../../../generated/kubernetes.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { at, openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { startCronJobController } from "./cron-job-controller.ts";

const CRON_JOBS = "cronjobs.batch";
const JOBS = "jobs.batch";
const MINUTE = 60_000;
let store: Store;
let clock: ManualClock;
let stop: () => void;

beforeEach(() => {
  clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 0, 30));
  store = openTestStore({ clock });
  stop = start();
});
afterEach(() => {
  stop();
  store.close();
});

function start(): () => void {
  const create = async (resource: string, object: KubeObject) =>
    store.create(resource, applyDefaults(object));
  return startCronJobController({ store, clock, create });
}

async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await Promise.resolve();
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await settle();
}

async function createCronJob(spec: Partial<CronJobSpec> = {}): Promise<void> {
  const template = { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] } };
  const jobTemplate = { metadata: { labels: { a: "b" } }, spec: { template } };
  const whole = { schedule: "* * * * *", jobTemplate, ...spec };
  const metadata = { namespace: "default", name: "c" };
  store.create(CRON_JOBS, applyDefaults({ apiVersion: "batch/v1", kind: "CronJob", metadata, spec: whole }));
  await settle();
}

const cronJob = () => store.get(CRON_JOBS, at("c")) as (KubeObject & CronJob) | undefined;
const jobs = () => store.list(JOBS).items.map(({ metadata }) => metadata.name);
const events = () => store.list("events").items.map((one) => (one as unknown as Event).reason ?? "");

async function finish(name: string | undefined, type: "Complete" | "Failed"): Promise<void> {
  const completionTime = new Date(clock.now()).toISOString();
  const status = { conditions: [{ type, status: "True" }], startTime: completionTime, completionTime };
  store.update(JOBS, at(name ?? ""), (job) => ({ ...job, status }), { subresource: "status" });
  await settle();
}

const nameAt = (...time: [number, number]) => `c-${Date.UTC(2026, 0, 1, ...time) / MINUTE}`;

describe("a CronJob", () => {
  test("makes a Job each time it is due, and names it after the time [CJ3]", async () => {
    await createCronJob();
    expect(jobs()).toEqual([]);
    await pass(30_100);
    expect(jobs()).toEqual([nameAt(0, 1)]);
    const job = store.get(JOBS, at(nameAt(0, 1))) as KubeObject & Job;
    expect(job.metadata).toMatchObject({
      labels: { a: "b" },
      annotations: { "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:01:00Z" },
      ownerReferences: [{ kind: "CronJob", name: "c", controller: true }],
    });
    expect(cronJob()?.status).toMatchObject({
      active: [{ kind: "Job", name: nameAt(0, 1) }],
      lastScheduleTime: "2026-01-01T00:01:00Z",
    });
    expect(events()).toEqual(["SuccessfulCreate"]);
    await pass(MINUTE);
    expect(jobs()).toEqual([nameAt(0, 1), nameAt(0, 2)]);
  });

  test("does not run twice for one time, whenever its controller is restarted [CJ3]", async () => {
    await createCronJob();
    await pass(30_100);
    stop();
    store.update(CRON_JOBS, at("c"), (one) => ({ ...one, status: {} }), { subresource: "status" });
    stop = start();
    await settle();
    expect(jobs()).toEqual([nameAt(0, 1)]);
    expect(cronJob()?.status?.active).toHaveLength(1);
  });

  test("runs by the clock of its zone [CJ2]", async () => {
    await createCronJob({ schedule: "30 5 * * *", timeZone: "Asia/Kolkata" });
    await pass(24 * 60 * MINUTE - 31_000);
    expect(jobs()).toEqual([]);
    await pass(2_000);
    const [name] = jobs();
    expect(store.get(JOBS, at(name ?? ""))?.metadata.annotations).toEqual({
      "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-02T05:30:00+05:30",
    });
  });

  test.each([
    [{ schedule: "bad" }, "UnparseableSchedule"],
    [{ timeZone: "Moon/Sea" }, "UnknownTimeZone"],
    [{ schedule: "0 0 31 2 *" }, "InvalidSchedule"],
  ])("that cannot be understood says so and does not run: %p [CJ2]", async (spec, reason) => {
    await createCronJob(spec);
    await pass(10 * MINUTE);
    expect([jobs(), events()]).toEqual([[], [reason]]);
  });

  test.each([
    ["Allow", 2, ["SuccessfulCreate", "SuccessfulCreate"]],
    ["Forbid", 1, ["JobAlreadyActive", "SuccessfulCreate"]],
    ["Replace", 1, ["SuccessfulCreate", "SuccessfulCreate", "SuccessfulDelete"]],
  ])("that is due while its Job runs does what its policy says: %s [CJ5]", async (policy, count, said) => {
    await createCronJob({ concurrencyPolicy: policy });
    await pass(30_100);
    await pass(MINUTE);
    expect(jobs()).toHaveLength(count);
    expect(events().toSorted((a, b) => (a < b ? -1 : 1))).toEqual(said);
    expect(cronJob()?.status?.active).toHaveLength(count);
  });

  test("makes up only for the latest run that it missed [CJ4]", async () => {
    await createCronJob();
    stop();
    await pass(200 * MINUTE);
    stop = start();
    await settle();
    expect(jobs()).toEqual([nameAt(3, 20)]);
    expect(events()).toContain("TooManyMissedTimes");
  });

  test("does not start later than its deadline allows [CJ4]", async () => {
    await createCronJob({ schedule: "0 * * * *", startingDeadlineSeconds: 20 });
    stop();
    await pass(60 * MINUTE);
    stop = start();
    await settle();
    expect(jobs()).toEqual([]);
    await pass(59 * MINUTE + 30_100);
    expect(jobs()).toEqual([nameAt(2, 0)]);
  });

  test("keeps as many finished Jobs as it should, the youngest [CJ1]", async () => {
    await createCronJob({ successfulJobsHistoryLimit: 2 });
    await pass(30_100);
    for (let run = 1; run <= 4; run += 1) {
      await finish(nameAt(0, run), "Complete");
      await pass(MINUTE);
    }
    expect(jobs()).toEqual([nameAt(0, 3), nameAt(0, 4), nameAt(0, 5)]);
    expect(cronJob()?.status).toMatchObject({ active: [{ name: nameAt(0, 5) }] });
    expect(events()).toContain("SawCompletedJob");
  });

  test("does nothing while it is suspended", async () => {
    await createCronJob({ suspend: true });
    await pass(5 * MINUTE);
    expect(jobs()).toEqual([]);
  });
});

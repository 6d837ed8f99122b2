import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Event, Job, JobSpec, Pod, PodStatus } from "../../../../generated/kubernetes.ts";
import { resources } from "../../../k8s/catalogue.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import { withGeneratedSelector } from "../../../k8s/generated-selector.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { at, openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { startGarbageCollector } from "../garbage-collector.ts";
import { startJobController } from "./job-controller.ts";

const JOBS = "jobs.batch";
let store: Store;
let clock: ManualClock;
let stops: (() => void)[];

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  stops = [startController(), startGarbageCollector({ store, clock, resources: [...resources] })];
});
afterEach(() => {
  for (const stop of stops) stop();
  store.close();
});

function startController(): () => void {
  const create = async (resource: string, object: KubeObject) =>
    store.create(resource, onNode(applyDefaults(object)));
  return startJobController({ store, clock, create });
}

/** A pod of a node is ended by its kubelet, not by the store. */
function onNode(pod: KubeObject): KubeObject {
  return { ...pod, spec: { ...(pod as Pod).spec, nodeName: "node-1" }, status: { phase: "Pending" } };
}

async function settle(): Promise<void> {
  for (let round = 0; round < 30; round++) await Promise.resolve();
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await settle();
}

async function createJob(spec: Partial<JobSpec> = {}, restartPolicy = "Never"): Promise<void> {
  const template = { spec: { restartPolicy, containers: [{ name: "c", image: "i" }] } };
  const metadata = { namespace: "default", name: "j", uid: crypto.randomUUID() };
  const job = { apiVersion: "batch/v1", kind: "Job", metadata, spec: { template, ...spec }, status: {} };
  store.create(JOBS, withGeneratedSelector(applyDefaults(job)));
  await settle();
}

function job(): Job {
  const found = store.get(JOBS, at("j"));
  if (found === undefined) throw new Error("the Job is gone");
  return found;
}

const pods = (): (KubeObject & Pod)[] => [...store.list("pods").items];
const running = () =>
  pods().filter(({ metadata }) => metadata.deletionTimestamp === undefined && !ended(metadata.name));
const ended = (name = "") =>
  ["Succeeded", "Failed"].includes((store.get("pods", at(name)) as Pod).status?.phase ?? "");
const conditions = () =>
  (job().status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);
const events = () =>
  store.list("events").items.map((one) => {
    const { reason, message } = one as unknown as Event;
    return `${reason}: ${message}`;
  });

async function report(pod: KubeObject | undefined, status: PodStatus): Promise<void> {
  const { name = "" } = pod?.metadata ?? {};
  store.update("pods", at(name), (current) => ({ ...current, status }), { subresource: "status" });
  await settle();
}

const exit = (code: number): PodStatus => ({
  phase: code === 0 ? "Succeeded" : "Failed",
  containerStatuses: [
    {
      name: "c",
      image: "i",
      imageID: "",
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode: code, finishedAt: new Date(clock.now()).toISOString() } },
    },
  ],
});

/** What the kubelet does last. */
async function removeDeleted(): Promise<void> {
  for (const { metadata } of pods()) {
    if (metadata.deletionTimestamp !== undefined)
      store.delete("pods", at(metadata.name ?? ""), { gracePeriodSeconds: 0 });
  }
  await settle();
}

describe("a Job", () => {
  test("is complete when its pod has succeeded [J3, J8, J11]", async () => {
    await createJob();
    const [pod] = pods();
    const uid = job().metadata?.uid ?? "";
    expect(pod?.metadata.labels).toEqual({
      "job-name": "j",
      "batch.kubernetes.io/job-name": "j",
      "controller-uid": uid,
      "batch.kubernetes.io/controller-uid": uid,
    });
    expect(pod?.metadata.finalizers).toEqual(["batch.kubernetes.io/job-tracking"]);
    expect(job().status).toMatchObject({
      active: 1,
      ready: 0,
      terminating: 0,
      startTime: "2026-01-01T00:00:00Z",
    });
    await report(pod, exit(0));
    expect(job().status).toMatchObject({ succeeded: 1, completionTime: "2026-01-01T00:00:00Z" });
    expect(job().status?.active).toBeUndefined();
    expect(job().status?.uncountedTerminatedPods).toEqual({});
    expect(conditions()).toEqual([
      "SuccessCriteriaMet=True CompletionsReached",
      "Complete=True CompletionsReached",
    ]);
    expect(pods()[0]?.metadata.finalizers).toBeUndefined();
    expect(events()).toEqual([
      `SuccessfulCreate: Created pod: ${pod?.metadata.name}`,
      "Completed: Job completed",
    ]);
  });

  test("goes on while a pod of it runs, whatever its containers did [J4]", async () => {
    await createJob();
    await report(pods()[0], { ...exit(0), phase: "Running" });
    expect(conditions()).toEqual([]);
  });

  test("runs as many pods at once as it may, until enough have succeeded", async () => {
    await createJob({ completions: 3, parallelism: 2 });
    expect(running()).toHaveLength(2);
    await report(running()[0], exit(0));
    expect(running()).toHaveLength(2);
    await report(running()[0], exit(0));
    expect(running()).toHaveLength(1);
    await report(running()[0], exit(0));
    expect(job().status).toMatchObject({ succeeded: 3 });
    expect(conditions()).toContain("Complete=True CompletionsReached");
  });

  test("replaces what fails after a pause that doubles, and fails past its limit [J6, J7]", async () => {
    await createJob({ backoffLimit: 2 });
    await report(running()[0], exit(1));
    await pass(9_999);
    expect(running()).toHaveLength(0);
    await pass(1);
    expect(running()).toHaveLength(1);
    await report(running()[0], exit(1));
    await pass(19_999);
    expect(running()).toHaveLength(0);
    await pass(1);
    await report(running()[0], exit(1));
    expect(job().status).toMatchObject({ failed: 3 });
    expect(conditions()).toEqual([
      "FailureTarget=True BackoffLimitExceeded",
      "Failed=True BackoffLimitExceeded",
    ]);
    expect(events()).toContain("BackoffLimitExceeded: Job has reached the specified backoff limit");
  });

  test("fails by the restarts of its sidecars, too [J7, Q8]", async () => {
    await createJob({ backoffLimit: 2 }, "OnFailure");
    const one = { name: "s", image: "i", imageID: "", ready: true };
    const status = (restartCount: number): PodStatus => ({
      phase: "Running",
      initContainerStatuses: [{ ...one, restartCount }],
      containerStatuses: [{ ...one, name: "c", restartCount: 0 }],
    });
    await report(pods()[0], status(1));
    expect(conditions()).toEqual([]);
    await report(pods()[0], status(2));
    // Final only once the pod is gone.
    expect(conditions()).toEqual(["FailureTarget=True BackoffLimitExceeded"]);
    await removeDeleted();
    expect(conditions()).toEqual([
      "FailureTarget=True BackoffLimitExceeded",
      "Failed=True BackoffLimitExceeded",
    ]);
    expect(job().status).toMatchObject({ failed: 1, terminating: 0 });
  });

  test("ends after its deadline [J9]", async () => {
    await createJob({ activeDeadlineSeconds: 60 });
    await pass(59_999);
    expect(conditions()).toEqual([]);
    await pass(1);
    await removeDeleted();
    expect(conditions()).toEqual(["FailureTarget=True DeadlineExceeded", "Failed=True DeadlineExceeded"]);
  });

  test("gives every index its own pod and says which are done [J10]", async () => {
    await createJob({ completions: 5, parallelism: 5, completionMode: "Indexed" });
    const byIndex = pods().toSorted((a, b) =>
      (a.metadata.generateName ?? "").localeCompare(b.metadata.generateName ?? ""),
    );
    expect(byIndex.map(({ metadata, spec }) => [metadata.generateName, spec?.hostname])).toEqual(
      [0, 1, 2, 3, 4].map((index) => [`j-${index}-`, `j-${index}`]),
    );
    expect(byIndex[3]?.metadata.annotations).toEqual({ "batch.kubernetes.io/job-completion-index": "3" });
    expect(byIndex[3]?.spec?.containers[0]?.env?.map(({ name }) => name)).toEqual(["JOB_COMPLETION_INDEX"]);
    for (const index of [4, 0, 2, 1]) await report(byIndex[index], exit(0));
    expect(job().status).toMatchObject({ completedIndexes: "0-2,4", succeeded: 4 });
    await report(byIndex[3], exit(0));
    expect(job().status).toMatchObject({ completedIndexes: "0-4", succeeded: 5 });
    expect(conditions()).toContain("Complete=True CompletionsReached");
  });

  test("gives up an index by its own limit, and fails when all others are done", async () => {
    await createJob({
      completions: 2,
      parallelism: 2,
      completionMode: "Indexed",
      backoffLimitPerIndex: 1,
      backoffLimit: 100,
    });
    const of = (index: string) =>
      running().find(
        ({ metadata }) => metadata.annotations?.["batch.kubernetes.io/job-completion-index"] === index,
      );
    await report(of("0"), exit(1));
    await pass(10_000);
    expect(of("0")?.metadata.annotations?.["batch.kubernetes.io/job-index-failure-count"]).toBe("1");
    await report(of("0"), exit(1));
    expect(job().status).toMatchObject({ failedIndexes: "0", failed: 2 });
    await report(of("1"), exit(0));
    expect(job().status).toMatchObject({ completedIndexes: "1" });
    expect(conditions()).toEqual(["FailureTarget=True FailedIndexes", "Failed=True FailedIndexes"]);
  });

  test.each([
    ["FailJob", "FailureTarget=True PodFailurePolicy", 1],
    ["Ignore", undefined, undefined],
    ["Count", undefined, 1],
  ] as const)("does with a failed pod what its policy says: %s [J12]", async (action, condition, failed) => {
    const rules = [{ action, onExitCodes: { operator: "In", values: [42] } }];
    await createJob({ podFailurePolicy: { rules } });
    await report(pods()[0], exit(42));
    expect(conditions()[0]).toBe(condition);
    expect(job().status?.failed).toBe(failed);
  });

  test("succeeds by its success policy and ends the rest", async () => {
    const successPolicy = { rules: [{ succeededIndexes: "0" }] };
    await createJob({ completions: 3, parallelism: 3, completionMode: "Indexed", successPolicy });
    await report(
      pods().find(({ metadata }) => metadata.generateName === "j-0-"),
      exit(0),
    );
    await removeDeleted();
    expect(conditions()).toEqual(["SuccessCriteriaMet=True SuccessPolicy", "Complete=True SuccessPolicy"]);
    expect(job().status).toMatchObject({ succeeded: 1 });
    expect(job().status?.failed).toBeUndefined();
  });

  test("ends its pods while it is suspended, and counts none of them [J13]", async () => {
    await createJob({ parallelism: 2, completions: 2 });
    await setSuspend(true);
    await removeDeleted();
    expect(pods()).toEqual([]);
    expect(conditions()).toEqual(["Suspended=True JobSuspended"]);
    expect(job().status?.startTime).toBeUndefined();
    expect(job().status?.failed).toBeUndefined();
    await pass(5_000);
    await setSuspend(false);
    expect(conditions()).toEqual(["Suspended=False JobResumed"]);
    expect(job().status).toMatchObject({ active: 2, startTime: "2026-01-01T00:00:05Z" });
  });

  test("is deleted with its pods some time after its end [J13]", async () => {
    await createJob({ ttlSecondsAfterFinished: 30 });
    await report(pods()[0], exit(0));
    await pass(29_999);
    expect(store.get(JOBS, at("j"))).toBeDefined();
    await pass(1);
    await removeDeleted();
    expect([store.get(JOBS, at("j")), pods()]).toEqual([undefined, []]);
  });

  test.each(["Failed", "TerminatingOrFailed"])(
    "replaces deleted pods as it was told: %s [J14]",
    async (policy) => {
      await createJob({ podReplacementPolicy: policy });
      store.delete("pods", at(pods()[0]?.metadata.name ?? ""));
      await settle();
      await pass(10_000);
      expect(job().status?.terminating).toBe(1);
      expect(running()).toHaveLength(policy === "Failed" ? 0 : 1);
      expect(job().status?.failed).toBe(policy === "Failed" ? undefined : 1);
    },
  );

  test.each(["Background", "Foreground", "Orphan"] as const)(
    "lets go of its pods when deleted: %s",
    async (propagationPolicy) => {
      await createJob();
      store.delete(JOBS, at("j"), { propagationPolicy });
      await settle();
      await removeDeleted();
      expect(store.get(JOBS, at("j"))).toBeUndefined();
      expect(pods().map(({ metadata }) => metadata.finalizers)).toEqual(
        propagationPolicy === "Orphan" ? [undefined] : [],
      );
    },
  );

  test("counts every end once, whenever its controller is restarted", async () => {
    await createJob({ completions: 4, parallelism: 4, backoffLimit: 9 });
    const [first, second] = pods();
    stops.shift()?.();
    await report(first, exit(0));
    await report(second, exit(1));
    const uid = first?.metadata.uid ?? "";
    // As if the process had died between its write and the release.
    store.update(
      JOBS,
      at("j"),
      (one) => ({
        ...one,
        status: { ...(one as Job).status, uncountedTerminatedPods: { succeeded: [uid] } },
      }),
      { subresource: "status" },
    );
    stops.unshift(startController());
    await settle();
    expect(job().status).toMatchObject({ succeeded: 1, failed: 1, active: 2, uncountedTerminatedPods: {} });
  });

  test("writes nothing when nothing has changed", async () => {
    await createJob();
    const before = store.resourceVersion();
    stops.shift()?.();
    stops.unshift(startController());
    await settle();
    expect(store.resourceVersion()).toBe(before);
  });
});

async function setSuspend(suspend: boolean): Promise<void> {
  store.update(JOBS, at("j"), (one) => ({ ...one, spec: { ...(one as Job).spec, suspend } }));
  await settle();
}

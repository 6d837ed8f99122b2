import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Container, PodSpec, PodStatus, Probe } from "../../../generated/kubernetes.ts";
import { isSidecar } from "../../k8s/pod.ts";
import type { Deed } from "./test-support/fake-sandbox.ts";
import { World } from "./test-support/world.ts";

const RUNS = process.env["PILLION_SOAK"] === "1" ? 600 : 60;

type Happening =
  | { readonly kind: "exit"; readonly pick: number; readonly exitCode: number }
  | { readonly kind: "answer"; readonly pick: number; readonly exitCode: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "image"; readonly pick: number; readonly image: string }
  | { readonly kind: "jump"; readonly ms: number }
  | { readonly kind: "sandbox dies" };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("exit" as const),
      pick: fc.nat(9),
      exitCode: fc.constantFrom(0, 0, 1, 42),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("answer" as const),
      pick: fc.nat(9),
      exitCode: fc.constantFrom(0, 0, 1),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 1000, 3000, 20_000, 700_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("image" as const),
      pick: fc.nat(9),
      image: fc.constantFrom("img", "img2"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("jump" as const), ms: fc.constantFrom(-3_600_000, 3_600_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sandbox dies" as const) }) },
);

const ASK: Probe = {
  exec: { command: ["hang"] },
  periodSeconds: 1,
  failureThreshold: 1,
  timeoutSeconds: 3600,
};

interface Plan {
  readonly kind: "init" | "sidecar" | "main";
  readonly policy: string | undefined;
  readonly startup: boolean;
  readonly liveness: boolean;
  readonly preStopSeconds: number;
  readonly isDeaf: boolean;
}

const plan = (kind: fc.Arbitrary<Plan["kind"]>): fc.Arbitrary<Plan> =>
  fc.record({
    kind,
    policy: fc.constantFrom(undefined, undefined, "Never", "OnFailure"),
    startup: fc.boolean(),
    liveness: fc.boolean(),
    preStopSeconds: fc.constantFrom(0, 0, 1, 30),
    isDeaf: fc.boolean(),
  });

function containerOf({ kind, policy, startup, liveness, preStopSeconds }: Plan, name: string): Container {
  const own = kind === "sidecar" ? "Always" : policy;
  const base: Container = { name, image: "img", ...(own === undefined ? {} : { restartPolicy: own }) };
  if (kind === "init") return base;
  return {
    ...base,
    ...(startup ? { startupProbe: ASK } : {}),
    ...(liveness ? { livenessProbe: ASK } : {}),
    ...(preStopSeconds > 0 ? { lifecycle: { preStop: { sleep: { seconds: preStopSeconds } } } } : {}),
  };
}

interface Story {
  readonly spec: PodSpec;
  readonly deaf: readonly string[];
  readonly happenings: readonly Happening[];
  readonly graceSeconds: number;
}

const story: fc.Arbitrary<Story> = fc
  .record({
    init: fc.array(plan(fc.constantFrom("init", "sidecar")), { maxLength: 4 }),
    main: fc.array(plan(fc.constant("main")), { minLength: 1, maxLength: 3 }),
    restartPolicy: fc.constantFrom("Always", "OnFailure", "Never"),
    ownGrace: fc.constantFrom(0, 1, 5, 30),
    happenings: fc.array(happening, { maxLength: 30 }),
    graceSeconds: fc.integer({ min: 0, max: 20 }),
  })
  .map(({ init, main, restartPolicy, ownGrace, happenings, graceSeconds }) => ({
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: ownGrace,
      initContainers: init.map((one, index) => containerOf(one, `i${index}`)),
      containers: main.map((one, index) => containerOf(one, `m${index}`)),
    },
    deaf: [
      ...init.flatMap(({ isDeaf }, index) => (isDeaf ? [`i${index}`] : [])),
      ...main.flatMap(({ isDeaf }, index) => (isDeaf ? [`m${index}`] : [])),
    ],
    happenings,
    graceSeconds,
  }));

async function begin({ spec, deaf }: Story): Promise<World> {
  const w = await new World().start();
  for (const name of deaf) w.sandbox.behaviours.set(name, () => undefined);
  await w.run("p", spec);
  return w;
}

function namesOf({ initContainers = [], containers }: PodSpec): string[] {
  return [...initContainers, ...containers].map(({ name }) => name);
}

async function happen(w: World, spec: PodSpec, what: Happening): Promise<void> {
  const names = namesOf(spec);
  const picked = "pick" in what ? (names[what.pick % names.length] ?? "") : "";
  switch (what.kind) {
    case "exit":
      w.sandbox.alive("p", picked)?.exit(what.exitCode);
      return w.settle();
    case "answer":
      w.sandbox
        .alive("p", picked)
        ?.execs.find(({ hasEnded }) => !hasEnded)
        ?.exit(what.exitCode);
      return w.settle();
    case "wait":
      return w.advance(what.ms);
    case "image":
      return setImage(w, picked, what.image);
    case "jump":
      w.clock.jump(what.ms);
      return;
    case "sandbox dies":
      w.sandbox.pods.at(-1)?.die();
      return w.settle();
  }
}

async function setImage(w: World, name: string, image: string): Promise<void> {
  await w.change("p", (object) => {
    const spec = object["spec"] as PodSpec;
    const change = (list: Container[] = []) =>
      list.map((one) => (one.name === name ? { ...one, image } : one));
    return {
      ...object,
      spec: { ...spec, initContainers: change(spec.initContainers), containers: change(spec.containers) },
    };
  });
}

/** Every container that started had all before it done or up, in the same sandbox (I1, I2, I9). */
function checkStarts({ initContainers = [], containers }: PodSpec, deeds: readonly Deed[]): void {
  let started = new Set<string>();
  let succeeded = new Set<string>();
  for (const { container, what } of deeds) {
    if (what === "create") [started, succeeded] = [new Set(), new Set()];
    if (what === "end 0") succeeded.add(container);
    if (what !== "start") continue;
    const place = initContainers.findIndex(({ name }) => name === container);
    const before = place < 0 ? initContainers : initContainers.slice(0, place);
    for (const one of before) {
      const isPast = isSidecar(one) ? started.has(one.name) : succeeded.has(one.name);
      if (!isPast) throw new Error(`${container} before ${one.name}`);
    }
    started.add(container);
  }
  expect(containers.length).toBeGreaterThan(0);
}

/** Nobody gets SIGKILL within two seconds after the stop signal, unless the sandbox went (T5). */
function checkFloor(deeds: readonly Deed[]): void {
  const asked = new Map<string, number>();
  let isSandboxDead = false;
  for (const { at, container, what } of deeds) {
    if (what === "create") isSandboxDead = false;
    if (what === "die") isSandboxDead = true;
    if (what === "start") asked.delete(container);
    if (what === "signal 15") {
      if (asked.has(container)) throw new Error(`${container} is asked twice`);
      asked.set(container, at);
    }
    if (what !== "signal 9" || isSandboxDead) continue;
    const since = asked.get(container);
    if (since === undefined || at - since < 2000) throw new Error(`${container} is killed too early`);
  }
}

/** Restart counts are instances less one (R11); conditions and phase say the same (C3, C4, C5). */
function checkStatus(w: World, spec: PodSpec, { phase, conditions = [], ...status }: PodStatus): void {
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  for (const { name, restartCount } of statuses) {
    const instances = w.sandbox.containers.filter((one) => one.name === name).length;
    if (instances > 0) expect([name, restartCount]).toEqual([name, instances - 1]);
  }
  const has = (type: string) => conditions.find((one) => one.type === type)?.status === "True";
  const counted = statuses.filter(({ name }) => {
    const init = spec.initContainers?.find((one) => one.name === name);
    return init === undefined || isSidecar(init);
  });
  expect(has("Ready")).toBe(phase === "Running" && counted.every(({ ready }) => ready));
  expect(has("ContainersReady")).toBe(has("Ready"));
  if (status.containerStatuses?.some(({ restartCount, state }) => restartCount > 0 || state?.running))
    expect(has("Initialized")).toBe(true);
  const isOver = phase === "Succeeded" || phase === "Failed";
  if (isOver) expect(w.sandbox.running()).toEqual([]);
  if (phase === "Succeeded")
    expect(status.containerStatuses?.every(({ state }) => state?.terminated?.exitCode === 0)).toBe(true);
}

/** From a deletion on, and until its time is over: a sidecar is asked only when all that stop before it have (T4). */
function checkOrder(
  { initContainers = [], containers }: PodSpec,
  deeds: readonly Deed[],
  { from, until }: { readonly from: number; readonly until: number },
): void {
  const running = new Set<string>();
  const sidecars = initContainers.filter(isSidecar).map(({ name }) => name);
  for (const [index, { at, container, what }] of deeds.entries()) {
    if (what === "start") running.add(container);
    if (what.startsWith("end")) running.delete(container);
    const place = sidecars.indexOf(container);
    if (index < from || what !== "signal 15" || place < 0 || at >= until) continue;
    const before = [...containers.map(({ name }) => name), ...sidecars.slice(place + 1)];
    for (const name of before)
      if (running.has(name)) throw new Error(`${container} is stopped before ${name}`);
  }
}

describe("the life of any pod", () => {
  test("keeps its order, its floors, its counts and its word [I1, I2, I9, R11, T5, C4, P10]", async () => {
    await fc.assert(
      fc.asyncProperty(story, async (told) => {
        await using w = await begin(told);
        let ended: string | undefined;
        for (const what of told.happenings) {
          await happen(w, told.spec, what);
          const { status = {} } = w.pod();
          if (ended !== undefined) expect(status.phase).toBe(ended as never);
          if (status.phase === "Succeeded" || status.phase === "Failed") ended = status.phase;
          checkStatus(w, told.spec, status);
        }
        checkStarts(told.spec, w.sandbox.chronicle);
        checkFloor(w.sandbox.chronicle);
      }),
      { numRuns: RUNS },
    );
  });

  test("ends in order and in time when it is deleted, and leaves nothing [T2, T4, T5, R2]", async () => {
    await fc.assert(
      fc.asyncProperty(story, fc.nat(5000), async (told, pauseMs) => {
        await using w = await begin(told);
        for (const what of told.happenings) await happen(w, told.spec, what);
        const from = w.sandbox.chronicle.length;
        // Otherwise the pod may be ending already, with another grace period.
        const isDeletionFirst = !w.events().some((event) => event.includes("Stopping container"));
        const begunAt = w.clock.monotonic();
        const graceMs = Math.max(1, told.graceSeconds) * 1000;
        await w.delete(told.graceSeconds);
        await w.advance(Math.min(pauseMs, 900));
        for (let passed = 0; passed < graceMs + 3000; passed += 500) await w.advance(500);
        const after = w.sandbox.chronicle.slice(from);
        expect([w.exists(), w.sandbox.running()]).toEqual([false, []]);
        expect(w.sandbox.pods.every(({ isDestroyed }) => isDestroyed)).toBe(true);
        expect(w.clock.pending).toBeLessThanOrEqual(2);
        expect(after.filter(({ what }) => what === "start")).toEqual([]);
        checkFloor(w.sandbox.chronicle);
        const until = begunAt + graceMs;
        if (isDeletionFirst) checkOrder(told.spec, w.sandbox.chronicle, { from, until });
      }),
      { numRuns: RUNS },
    );
  });
});

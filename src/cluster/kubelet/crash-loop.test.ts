import { describe, expect, test } from "bun:test";
import { asPod } from "../../k8s/pod.ts";
import { World } from "./test-support/world.ts";

async function world(options = {}): Promise<World> {
  return new World().start(options);
}

/** Ends the container again and again; the seconds that each start came after the end. */
async function waits(w: World, name: string, { exitCode = 1, count = 4 } = {}): Promise<number[]> {
  const found: number[] = [];
  for (let round = 0; round < count; round++) {
    await w.exit(name, exitCode);
    let seconds = 0;
    while (w.sandbox.alive("p", name) === undefined && seconds < 400) {
      await w.advance(1000);
      seconds++;
    }
    found.push(seconds);
  }
  return found;
}

describe("a container that ends again and again waits longer each time", () => {
  test("also when it ends well, and when it is an init container or a sidecar [R5, R7]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [
        { name: "side", image: "img", restartPolicy: "Always" },
        { name: "init", image: "img" },
      ],
    });
    expect(await waits(w, "init")).toEqual([0, 10, 20, 40]);
    expect(await waits(w, "side", { exitCode: 0 })).toEqual([0, 10, 20, 40]);
    await w.exit("init", 0);
    expect(await waits(w, "app", { exitCode: 0 })).toEqual([0, 10, 20, 40]);
  });

  test("up to five minutes, or to what the cluster was started with [R5, R9]", async () => {
    await using w = await world();
    await w.run("p", {});
    expect(await waits(w, "app", { count: 8 })).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
    await using quick = await world({ maxContainerRestartPeriodMs: 3000 });
    await quick.run("p", {});
    expect(await waits(quick, "app")).toEqual([0, 3, 3, 3]);
  });

  test("from the start again with another image or other resources, not with the same [R4]", async () => {
    await using w = await world();
    await w.run("p", {});
    expect(await waits(w, "app", { count: 3 })).toEqual([0, 10, 20]);
    await w.exit("app", 1);
    expect(w.state("app")).toBe("CrashLoopBackOff");
    await w.setImage("img2");
    expect(w.state("app")).toBe("Running");
    expect(await waits(w, "app", { count: 2 })).toEqual([10, 20]);
    await w.change("p", (object) => {
      const { spec } = asPod(object);
      const containers = spec.containers.map((one) => ({ ...one, resources: { limits: { cpu: "1" } } }));
      return { ...object, spec: { ...spec, containers } };
    });
    expect(await waits(w, "app", { count: 2 })).toEqual([0, 10]);
  });

  test("and is shown so: an init container leaves its pod Pending [R8, P11]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [{ name: "init", image: "img" }] });
    await waits(w, "init", { count: 1 });
    await w.exit("init", 3);
    const { state, lastState } = w.status("init");
    expect([state?.waiting?.message, lastState?.terminated?.exitCode, w.pod().status?.phase]).toEqual([
      `back-off 10s restarting failed container=init pod=p_default(${w.pod().metadata.uid})`,
      3,
      "Pending",
    ]);
  });

  test("also when a probe has it killed: that counts from the end before, then from its own [R7, R12]", async () => {
    await using w = await world();
    const livenessProbe = { exec: { command: ["false"] }, periodSeconds: 3, failureThreshold: 1 };
    await w.run("p", { containers: [{ name: "app", image: "img", livenessProbe }] });
    const starts = () =>
      w.sandbox.containers.map(({ startedAt }) => (startedAt - Date.UTC(2026, 0, 1)) / 1000);
    for (let second = 0; second < 60; second++) await w.advance(1000);
    expect(starts()).toEqual([0, 3, 6, 19, 41]);
  });
});

describe("a node clock that jumps", () => {
  test.each([-86_400_000, 86_400_000])("by %d ms changes no back-off", async (jump) => {
    await using w = await world();
    await w.run("p", {});
    await waits(w, "app", { count: 1 });
    await w.exit("app", 1);
    await w.advance(4_000);
    w.clock.jump(jump);
    await w.change("p", (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { a: "b" } } }));
    await w.advance(5_999);
    expect(w.state("app")).toBe("CrashLoopBackOff");
    await w.advance(1);
    expect(w.state("app")).toBe("Running");
  });

  test.each([-86_400_000, 86_400_000])("by %d ms changes no grace period and no deadline", async (jump) => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.delete(10);
    await w.run("q", { activeDeadlineSeconds: 20, terminationGracePeriodSeconds: 0 });
    w.clock.jump(jump);
    await w.advance(9_999);
    expect(w.exists()).toBe(true);
    await w.advance(1);
    expect([w.exists(), w.pod("q").status?.reason]).toEqual([false, undefined]);
    await w.advance(9_999);
    expect(w.container("app", "q").signals).toEqual([]);
    await w.advance(1);
    expect(w.container("app", "q").signals).toEqual([15]);
    await w.advance(2_000);
    expect(w.pod("q").status?.reason).toBe("DeadlineExceeded");
  });

  test("back does not keep what could not start from being tried again", async () => {
    await using w = await world();
    await w.run("p", { containers: [{ name: "app", image: "absent", imagePullPolicy: "Never" }] });
    w.clock.jump(-86_400_000);
    w.images.present.add("absent");
    await w.advance(10_000);
    expect(w.state("app")).toBe("Running");
  });
});

test("200 pods that crash for twenty minutes leave the engine idle between, and few events", async () => {
  await using w = await world();
  const names = Array.from({ length: 200 }, (_, index) => `p${index}`);
  for (const name of names) await w.run(name, {});
  const crash = () => {
    for (const one of w.sandbox.containers) one.exit(1);
  };
  for (let round = 0; round < 3; round++) {
    crash();
    await w.settle();
    await w.advance(20_000);
  }
  crash();
  await w.settle();
  expect(names.map((name) => w.state("app", name)).every((state) => state === "CrashLoopBackOff")).toBe(true);
  const before = w.store.resourceVersion();
  await w.advance(1_000);
  expect(w.store.resourceVersion()).toBe(before);
  for (let minute = 0; minute < 20; minute++) {
    await w.advance(60_000);
    crash();
    await w.settle();
  }
  const perPod = names.map((name) => w.events(name).length);
  expect(Math.max(...perPod)).toBeLessThanOrEqual(6);
  const begun = performance.now();
  await w.run("other", {});
  expect(w.state("app", "other")).toBe("Running");
  expect(performance.now() - begun).toBeLessThan(1_000);
}, 30_000);

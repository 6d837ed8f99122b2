import { describe, expect, test } from "bun:test";
import type { Container, LifecycleHandler } from "../../../generated/kubernetes.ts";
import type { FakeContainer } from "./test-support/fake-sandbox.ts";
import { World } from "./test-support/world.ts";

const HANG: LifecycleHandler = { exec: { command: ["hang", "hook"] } };
const FAIL: LifecycleHandler = { exec: { command: ["false"] } };

async function world(): Promise<World> {
  return new World().start();
}

function container(name: string, more: Partial<Container> = {}): Container {
  return { name, image: "img", ...more };
}

/** Ends the oldest program in the container that still runs. */
async function endHook(w: World, name: string, exitCode = 0): Promise<void> {
  const hook = w.container(name).execs.find(({ hasEnded }) => !hasEnded);
  if (hook === undefined) throw new Error(`no hook runs in ${name}`);
  hook.exit(exitCode);
  await w.settle();
}

/** `pod` of the container with all its life long: also when it has ended. */
function instances(w: World, name: string): FakeContainer[] {
  return w.sandbox.containers.filter((one) => one.name === name);
}

function hooksOf(w: World, name: string): number {
  return instances(w, name).reduce((sum, { execs }) => sum + execs.length, 0);
}

describe("postStart", () => {
  test("holds up the next main container and the status of the pod [H1, I9, S17]", async () => {
    await using w = await world();
    await w.run("p", {
      containers: [container("a", { lifecycle: { postStart: HANG } }), container("b")],
    });
    expect(w.sandbox.running()).toEqual(["p/a"]);
    await w.advance(3_600_000);
    expect([w.sandbox.running(), w.state("a"), w.pod().status?.phase]).toEqual([
      ["p/a"],
      "ContainerCreating",
      "Pending",
    ]);
    await endHook(w, "a");
    expect(w.sandbox.running()).toEqual(["p/a", "p/b"]);
    expect([w.state("a"), w.state("b"), w.pod().status?.phase]).toEqual(["Running", "Running", "Running"]);
  });

  test("of a sidecar holds up the next init container, readiness does not [I2]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [
        container("side", { restartPolicy: "Always", lifecycle: { postStart: HANG } }),
        container("init"),
      ],
    });
    expect([w.sandbox.running(), w.state("side")]).toEqual([["p/side"], "PodInitializing"]);
    await endHook(w, "side");
    expect(w.sandbox.running()).toEqual(["p/side", "p/init"]);
    await w.exit("init", 0);
    expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
  });

  test("that fails ends the container by preStop and signal; it waits as PostStartHookError and restarts [H2, T10, S2]", async () => {
    await using w = await world();
    await w.run("p", {
      containers: [
        container("app", { lifecycle: { postStart: HANG, preStop: { exec: { command: ["true"] } } } }),
      ],
    });
    await endHook(w, "app", 3);
    const [first] = instances(w, "app");
    expect(first?.execs.map(({ argv }) => argv[0])).toEqual(["hang", "true"]);
    expect(first?.signals).toEqual([15]);
    const { state, lastState, restartCount } = w.status("app");
    expect(state?.waiting).toEqual({
      reason: "PostStartHookError",
      message: expect.stringContaining(
        `Exec lifecycle hook ([hang hook]) for Container "app" in Pod "p_default(`,
      ),
    });
    expect([lastState?.terminated?.exitCode, restartCount]).toEqual([143, 0]);
    expect(w.events().filter((event) => !event.includes("Pulled"))).toEqual([
      "Normal Created: Container created (x2)",
      "Normal Started: Container started (x2)",
      "Warning FailedPostStartHook: PostStartHook failed",
      "Normal Killing: FailedPostStartHook",
    ]);
    await endHook(w, "app");
    expect([w.state("app"), w.status("app").restartCount]).toEqual(["Running", 1]);
  });

  test("that fails always makes the container back off [R7]", async () => {
    await using w = await world();
    await w.run("p", { containers: [container("app", { lifecycle: { postStart: FAIL } })] });
    expect(w.state("app")).toBe("CrashLoopBackOff");
    await w.advance(10_000);
    expect([instances(w, "app").length, w.state("app")]).toEqual([3, "CrashLoopBackOff"]);
  });

  test("that fails in a pod that never restarts ends it [H2]", async () => {
    await using w = await world();
    await w.run("p", {
      restartPolicy: "Never",
      containers: [container("app", { lifecycle: { postStart: FAIL } })],
    });
    expect([w.state("app"), w.pod().status?.phase]).toEqual(["Error 143", "Failed"]);
  });

  test("that fails in a deaf container is followed by SIGKILL, and only then by the next container [H2, S3]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("a", () => undefined);
    await w.run("p", {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 5,
      containers: [container("a", { lifecycle: { postStart: FAIL } }), container("b")],
    });
    await w.advance(4_999);
    expect([instances(w, "a")[0]?.signals, w.sandbox.running()]).toEqual([[15], ["p/a"]]);
    await w.advance(1);
    expect([instances(w, "a")[0]?.signals, w.sandbox.running()]).toEqual([[15, 9], ["p/b"]]);
    expect(w.state("a")).toBe("Error 137");
  });

  test("holds up no SIGKILL for a container that is being replaced [T2]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("a", () => undefined);
    const slow = container("b", { lifecycle: { postStart: HANG } });
    await w.run("p", { terminationGracePeriodSeconds: 5, containers: [container("a"), slow] });
    await endHook(w, "b");
    await w.setImage("img2");
    await w.exit("b", 1);
    expect(w.sandbox.running()).toEqual(["p/a", "p/b"]);
    await w.advance(5000);
    expect([instances(w, "a")[0]?.signals, w.sandbox.running()]).toEqual([[15, 9], ["p/b"]]);
    await endHook(w, "b");
    expect(w.sandbox.running()).toEqual(["p/b", "p/a"]);
  });

  test("does not survive the deletion of its pod, which goes on with preStop and signals [H1]", async () => {
    await using w = await world();
    await w.run("p", {
      containers: [container("app", { lifecycle: { postStart: HANG, preStop: HANG } }), container("next")],
    });
    await w.delete();
    const app = w.container("app");
    expect(app.execs.map(({ hasEnded }) => hasEnded)).toEqual([true, false]);
    expect(app.signals).toEqual([]);
    await endHook(w, "app");
    expect([w.exists(), instances(w, "next")]).toEqual([false, []]);
  });

  test("whose container ends meanwhile has failed; nobody is killed for it", async () => {
    await using w = await world();
    await w.run("p", {
      restartPolicy: "Never",
      containers: [container("app", { lifecycle: { postStart: HANG, preStop: HANG } })],
    });
    await w.exit("app", 4);
    expect([w.state("app"), w.pod().status?.phase, hooksOf(w, "app")]).toEqual(["Error 4", "Failed", 1]);
    expect(w.events()).toContain("Warning FailedPostStartHook: PostStartHook failed");
  });
});

describe("preStop", () => {
  const side = (name: string, more: Partial<Container> = {}) =>
    container(name, { restartPolicy: "Always", lifecycle: { preStop: HANG }, ...more });

  test("hooks of all containers start at once; a signal waits for the hook and for the turn [T6, T4]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [side("s1"), side("s2")],
      containers: [container("app", { lifecycle: { preStop: HANG } }), container("plain")],
    });
    await w.delete();
    expect(["s1", "s2", "app"].map((name) => hooksOf(w, name))).toEqual([1, 1, 1]);
    expect(w.sandbox.running()).toEqual(["p/s1", "p/s2", "p/app"]);
    await endHook(w, "s1");
    expect(w.sandbox.running()).toEqual(["p/s1", "p/s2", "p/app"]);
    await endHook(w, "app");
    expect(w.sandbox.running()).toEqual(["p/s1", "p/s2"]);
    await endHook(w, "s2");
    expect(w.exists()).toBe(false);
  });

  test("takes its time from the grace period, which is one for the whole pod [T5, T7, Q5]", async () => {
    await using w = await world();
    for (const name of ["app", "s1"]) w.sandbox.behaviours.set(name, () => undefined);
    await w.run("p", {
      terminationGracePeriodSeconds: 10,
      initContainers: [container("s1", { restartPolicy: "Always" })],
      containers: [container("app", { lifecycle: { preStop: { sleep: { seconds: 4 } } } })],
    });
    await w.delete();
    const [s1] = instances(w, "s1");
    const [app] = instances(w, "app");
    await w.advance(3_999);
    expect([app?.signals, s1?.signals]).toEqual([[], []]);
    await w.advance(1);
    expect([app?.signals, s1?.signals]).toEqual([[15], []]);
    await w.advance(5_999);
    expect([app?.signals, s1?.signals]).toEqual([[15], []]);
    await w.advance(1);
    expect([app?.signals, s1?.signals]).toEqual([[15, 9], [15]]);
    await w.advance(2_000);
    expect([s1?.signals, w.exists()]).toEqual([[15, 9], false]);
  });

  test("that never ends is abandoned when the grace period is over; then the signal and two seconds [T7]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", { containers: [container("app", { lifecycle: { preStop: HANG } })] });
    await w.delete();
    const [app] = instances(w, "app");
    await w.advance(29_999);
    expect(app?.signals).toEqual([]);
    await w.advance(1);
    expect(app?.signals).toEqual([15]);
    await w.advance(1_999);
    expect([app?.signals, w.exists()]).toEqual([[15], true]);
    await w.advance(1);
    expect([app?.signals, w.exists()]).toEqual([[15, 9], false]);
  });

  test("that fails is told in an event and changes nothing else [T8]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => 0);
    await w.run(
      "p",
      { containers: [container("app", { lifecycle: { preStop: FAIL } })] },
      { finalizers: ["a/b"] },
    );
    await w.delete();
    expect(w.events().slice(-2)).toEqual([
      "Normal Killing: Stopping container app",
      "Warning FailedPreStopHook: PreStopHook failed",
    ]);
    expect([w.state("app"), w.pod().status?.phase]).toEqual(["Completed 0", "Succeeded"]);
  });

  test("does not run when a container ends by itself, nor without a grace period [T9]", async () => {
    await using w = await world();
    const containers = [container("app", { lifecycle: { preStop: HANG } })];
    await w.run("p", { containers });
    await w.exit("app", 1);
    expect(hooksOf(w, "app")).toBe(0);
    await w.delete();
    const before = hooksOf(w, "app");
    w.sandbox.behaviours.set("app", () => undefined);
    w.sandbox.behaviours.set("side", () => undefined);
    const side = container("side", { restartPolicy: "Always", lifecycle: { preStop: HANG } });
    await w.run("q", {
      initContainers: [side],
      containers,
      terminationGracePeriodSeconds: 0,
      restartPolicy: "Never",
    });
    await w.change("q", (pod) => ({
      ...pod,
      spec: {
        ...(pod["spec"] as object),
        containers: [container("app", { image: "img2", lifecycle: { preStop: HANG } })],
      },
    }));
    await w.advance(2000);
    expect([hooksOf(w, "app"), w.status("app", "q").restartCount]).toEqual([before, 1]);
    await w.exit("app", 0, "q");
    await w.advance(2000);
    expect([hooksOf(w, "side"), w.pod("q").status?.phase]).toEqual([0, "Succeeded"]);
  });

  test("runs when the image changes; the new container waits for it [T10, O9]", async () => {
    await using w = await world();
    await w.run("p", { containers: [container("app", { lifecycle: { preStop: HANG } })] });
    await w.setImage("img2");
    expect([hooksOf(w, "app"), w.container("app").signals, w.status("app").image]).toEqual([1, [], "img"]);
    await endHook(w, "app");
    expect([w.state("app"), w.status("app").image]).toEqual(["Running", "img2"]);
  });

  test("of a container that ends meanwhile holds up its next instance, within the grace period [T10]", async () => {
    await using w = await world();
    const lifecycle = { preStop: { sleep: { seconds: 5 } } };
    await w.run("p", { terminationGracePeriodSeconds: 20, containers: [container("app", { lifecycle })] });
    await w.setImage("img2");
    await w.exit("app", 0);
    await w.advance(4_999);
    expect(w.sandbox.running()).toEqual([]);
    await w.advance(1);
    expect([w.sandbox.running(), w.status("app").image]).toEqual([["p/app"], "img2"]);
    await w.run("q", { terminationGracePeriodSeconds: 3, containers: [container("app", { lifecycle })] });
    await w.change("q", (pod) => ({
      ...pod,
      spec: { ...(pod["spec"] as object), containers: [container("app", { image: "img2", lifecycle })] },
    }));
    await w.exit("app", 0, "q");
    await w.advance(3_000);
    expect(w.status("app", "q").image).toBe("img2");
  });

  test("that has begun for another image goes on when the pod is deleted, and is not run twice", async () => {
    await using w = await world();
    await w.run("p", { containers: [container("app", { lifecycle: { preStop: HANG } })] });
    await w.setImage("img2");
    await w.delete(20);
    await w.advance(19_999);
    expect([hooksOf(w, "app"), w.container("app").signals]).toEqual([1, []]);
    await w.advance(1);
    expect([hooksOf(w, "app"), w.exists()]).toEqual([1, false]);
  });

  test("is abandoned earlier when a second deletion shortens the grace period [O12]", async () => {
    await using w = await world();
    await w.run("p", { containers: [container("app", { lifecycle: { preStop: HANG } })] });
    await w.delete(30);
    await w.advance(5_000);
    await w.delete(2);
    await w.advance(1_999);
    expect(w.exists()).toBe(true);
    await w.advance(1);
    expect(w.exists()).toBe(false);
  });

  test("of a container that has ended meanwhile still holds up the sidecars [T6]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [container("s1", { restartPolicy: "Always" })],
      containers: [container("app", { lifecycle: { preStop: { sleep: { seconds: 5 } } } })],
    });
    await w.delete();
    await w.exit("app", 0);
    await w.advance(4_999);
    expect([w.container("s1").signals, w.exists()]).toEqual([[], true]);
    await w.advance(1);
    expect(w.exists()).toBe(false);
  });

  test("runs for sidecars when the main containers have ended by themselves [T13, T10]", async () => {
    await using w = await world();
    await w.run("p", { restartPolicy: "Never", initContainers: [side("s1")] });
    await w.exit("app", 0);
    expect([hooksOf(w, "s1"), w.container("s1").signals, w.pod().status?.phase]).toEqual([1, [], "Running"]);
    await endHook(w, "s1");
    expect(w.pod().status?.phase).toBe("Succeeded");
  });
});

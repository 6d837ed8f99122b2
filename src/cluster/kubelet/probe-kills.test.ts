import { describe, expect, test } from "bun:test";
import type { Container, Probe } from "../../../generated/kubernetes.ts";
import type { FakeContainer } from "./test-support/fake-sandbox.ts";
import { World } from "./test-support/world.ts";

async function world(): Promise<World> {
  return new World().start();
}

function container(name: string, more: Partial<Container> = {}): Container {
  return { name, image: "img", ...more };
}

function sidecar(name: string, more: Partial<Container> = {}): Container {
  return container(name, { restartPolicy: "Always", ...more });
}

/** Every instance, oldest first. */
function instances(w: World, name: string, pod = "p"): FakeContainer[] {
  return w.sandbox.containers.filter((one) => one.name === name && one.podName === pod);
}

function deaf(w: World, ...names: string[]): void {
  for (const name of names) w.sandbox.behaviours.set(name, () => undefined);
}

/** Runs when the test says what it finds. */
const ASK: Probe = {
  exec: { command: ["hang"] },
  periodSeconds: 1,
  failureThreshold: 1,
  timeoutSeconds: 3600,
};

/** Answers the question that a probe asks in the container now, or within a second. */
async function answer(w: World, name: string, isGood: boolean): Promise<void> {
  const question = () => w.container(name).execs.find(({ hasEnded }) => !hasEnded);
  if (question() === undefined) await w.advance(1_000);
  const asked = question();
  if (asked === undefined) throw new Error(`nobody asks ${name}`);
  asked.exit(isGood ? 0 : 1);
  await w.settle();
}

describe("a sidecar with a startup probe", () => {
  const side = (more: Partial<Container> = {}) => sidecar("side", { startupProbe: ASK, ...more });

  test("holds up the next container until the probe has succeeded [I2, I3, P3]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [side()] });
    await w.advance(60_000);
    expect([w.sandbox.running(), w.status("side").started, w.pod().status?.phase]).toEqual([
      ["p/side"],
      false,
      "Pending",
    ]);
    await answer(w, "side", true);
    expect([w.sandbox.running(), w.status("side").started]).toEqual([["p/side", "p/app"], true]);
  });

  test("is killed and started again when it fails, also with Never; then the pod goes on [I3, Q2, T10]", async () => {
    await using w = await world();
    await w.run("p", {
      restartPolicy: "Never",
      initContainers: [side({ lifecycle: { preStop: { exec: { command: ["true"] } } } })],
    });
    await answer(w, "side", false);
    const [first, second] = instances(w, "side");
    expect(first?.execs.map(({ argv }) => argv[0])).toEqual(["hang", "true"]);
    expect([first?.signals, second?.hasEnded, w.sandbox.running()]).toEqual([[15], false, ["p/side"]]);
    expect(w.events()).toContain("Normal Killing: Init container side failed startup probe");
    await w.advance(1_000);
    await answer(w, "side", true);
    expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
  });

  test("does not hold up containers for good after a restart of the engine [Q1]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [side()] });
    await answer(w, "side", true);
    await w.exit("app", 1);
    await w.exit("app", 1);
    expect(w.state("app")).toBe("CrashLoopBackOff");
    await w.kubelet?.stop();
    for (const running of w.sandbox.containers) running.kill(9);
    await w.start();
    await answer(w, "side", true);
    await w.advance(300_000);
    expect(w.state("app")).toBe("Running");
  });

  test("that restarts beside running main containers leaves the pod Running [P3, P9]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [side()] });
    await answer(w, "side", true);
    await w.exit("side", 1);
    expect([w.status("side").started, w.pod().status?.phase]).toEqual([false, "Running"]);
  });
});

describe("probes of running containers", () => {
  test("that find a sidecar dead restart it alone and hold up nothing [I5]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [sidecar("side", { livenessProbe: ASK }), container("init")] });
    await answer(w, "side", false);
    expect([instances(w, "side").length, instances(w, "init").length]).toEqual([2, 1]);
    expect(w.events()).toContain("Normal Killing: Init container side failed liveness probe");
    await w.exit("init", 0);
    expect(w.sandbox.running()).toContain("p/app");
  });

  test("kill with the grace period of the probe, by preStop and signal, unless they have none [T2, T10]", async () => {
    await using w = await world();
    deaf(w, "app");
    const preStop = { exec: { command: ["true"] } };
    await w.run("p", {
      terminationGracePeriodSeconds: 10,
      containers: [
        container("app", {
          livenessProbe: { ...ASK, terminationGracePeriodSeconds: 40 },
          lifecycle: { preStop },
        }),
      ],
    });
    await answer(w, "app", false);
    const [app] = instances(w, "app");
    expect([app?.execs.length, app?.signals]).toEqual([2, [15]]);
    await w.advance(39_999);
    expect(app?.signals).toEqual([15]);
    await w.advance(1);
    expect(app?.signals).toEqual([15, 9]);
    await w.advance(10_000);
    await answer(w, "app", false);
    await w.delete(1);
    await w.advance(2_000);
    expect(w.exists()).toBe(false);
  });

  test("end a container that is never restarted for good; the pod's phase comes from its exit code [R12]", async () => {
    await using w = await world();
    await w.run("p", {
      restartPolicy: "Never",
      containers: [container("app", { livenessProbe: ASK }), container("other")],
    });
    await answer(w, "app", false);
    expect([w.state("app"), w.sandbox.running()]).toEqual(["Error 143", ["p/other"]]);
    expect(w.events()).toContain("Normal Killing: Container app failed liveness probe");
    await w.exit("other", 0);
    expect(w.pod().status?.phase).toBe("Failed");
  });

  test("restart a container that ends well when it is killed, unless its policy is Never [R12]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => 0);
    await w.run("p", {
      restartPolicy: "OnFailure",
      containers: [
        container("app", { livenessProbe: ASK }),
        container("never", { livenessProbe: ASK, restartPolicy: "Never" }),
      ],
    });
    await answer(w, "app", false);
    expect(w.status("app").restartCount).toBe(1);
    await answer(w, "never", false);
    expect(w.state("never")).toBe("Error 143");
  });

  test("ask main containers no more when their pod is over, whatever ended it [T16]", async () => {
    await using w = await world();
    deaf(w, "app");
    await w.run("p", {
      activeDeadlineSeconds: 5,
      containers: [container("app", { livenessProbe: ASK, readinessProbe: ASK })],
    });
    const app = w.container("app");
    const asked = () => app.execs.filter(({ hasEnded }) => !hasEnded).length;
    await w.advance(4_000);
    expect(asked()).toBe(2);
    await w.advance(1_000);
    expect([app.signals, asked()]).toEqual([[15], 1]);
    await w.advance(5_000);
    expect(asked()).toBe(1);
  });

  test("of a sidecar decide whether the pod is ready, also with Never and after a restart of it [Q3, C4]", async () => {
    await using w = await world();
    const ready = () => w.pod().status?.conditions?.find(({ type }) => type === "Ready")?.status;
    await w.run("p", {
      restartPolicy: "Never",
      initContainers: [sidecar("side", { readinessProbe: ASK })],
    });
    expect([w.sandbox.running(), ready()]).toEqual([["p/side", "p/app"], "False"]);
    await answer(w, "side", true);
    expect(ready()).toBe("True");
    await w.exit("side", 1);
    expect([w.state("side"), ready()]).toEqual(["Running", "False"]);
    await w.advance(1_000);
    await answer(w, "side", true);
    expect(ready()).toBe("True");
  });
});

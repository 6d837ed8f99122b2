import { describe, expect, test } from "bun:test";
import { World } from "./test-support/world.ts";

const two = {
  containers: [
    { name: "app", image: "img" },
    { name: "side", image: "img" },
  ],
};

async function world(): Promise<World> {
  return new World().start();
}

describe("a pod that starts", () => {
  test("runs its containers in list order and shows the whole status of the kubelet [I9, S13, P14, C1, C2]", async () => {
    await using w = await world();
    await w.run("p", two);
    expect(w.sandbox.running()).toEqual(["p/app", "p/side"]);
    const running = {
      state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
      lastState: {},
      ready: true,
      restartCount: 0,
      image: "img",
      imageID: `img@sha256:${"0".repeat(64)}`,
      started: true,
    };
    const condition = (type: string) => ({
      type,
      status: "True",
      observedGeneration: 1,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    });
    expect(w.pod().status).toEqual({
      observedGeneration: 1,
      phase: "Running",
      conditions: [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
      ].map(condition),
      hostIP: "10.99.0.1",
      hostIPs: [{ ip: "10.99.0.1" }],
      podIP: "10.99.1.1",
      podIPs: [{ ip: "10.99.1.1" }],
      startTime: "2026-01-01T00:00:00Z",
      containerStatuses: ["app", "side"].map((name) => ({
        name,
        ...running,
        containerID: `pillion://${w.container(name).id}`,
      })),
      qosClass: "BestEffort",
    });
    expect(w.events()).toEqual([
      'Normal Pulled: Container image "img" already present on machine and can be accessed by the pod',
      "Normal Created: Container created",
      "Normal Started: Container started",
      'Normal Pulled: Container image "img" already present on machine and can be accessed by the pod',
      "Normal Created: Container created",
      "Normal Started: Container started",
    ]);
  });

  test("is left alone when it belongs to another node", async () => {
    await using w = await world();
    await w.run("p", { nodeName: "elsewhere" });
    expect(w.sandbox.pods).toEqual([]);
    expect(w.pod().status).toEqual(undefined);
  });

  test("writes its status no more often than it changes", async () => {
    await using w = await world();
    await w.run("p", two);
    const { resourceVersion } = w.pod().metadata;
    await w.advance(3_600_000);
    expect(w.pod().metadata.resourceVersion).toBe(resourceVersion);
  });
});

describe("a container that ends", () => {
  test("restarts at once, then after 10, 20 and 40 seconds [R5, R11]", async () => {
    await using w = await world();
    await w.run("p", {});
    await w.exit("app", 1);
    expect(w.state("app")).toBe("Running");
    expect(w.status("app").restartCount).toBe(1);
    for (const seconds of [10, 20, 40]) {
      await w.exit("app", 1);
      expect(w.state("app")).toBe("CrashLoopBackOff");
      await w.advance(seconds * 1000 - 1);
      expect(w.sandbox.running()).toEqual([]);
      await w.advance(1);
      expect(w.sandbox.running()).toEqual(["p/app"]);
    }
    expect(w.status("app").restartCount).toBe(4);
  });

  test("shows the back-off with the kubelet's words, the phase stays Running [R8, P11]", async () => {
    await using w = await world();
    await w.run("p", {});
    await w.exit("app", 1);
    await w.exit("app", 3);
    const uid = w.pod().metadata.uid;
    const { state, lastState, ready, started } = w.status("app");
    expect({ state, ready, started, phase: w.pod().status?.phase }).toEqual({
      state: {
        waiting: {
          reason: "CrashLoopBackOff",
          message: `back-off 10s restarting failed container=app pod=p_default(${uid})`,
        },
      },
      ready: false,
      started: false,
      phase: "Running",
    });
    expect(lastState?.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
    expect(w.events().at(-1)).toBe(
      `Warning BackOff: Back-off restarting failed container app in pod p_default(${uid})`,
    );
  });

  test("starts at once again after ten good minutes [R6]", async () => {
    await using w = await world();
    await w.run("p", {});
    await w.exit("app", 1);
    await w.exit("app", 1);
    await w.advance(10_000);
    await w.advance(600_001);
    await w.exit("app", 1);
    expect(w.state("app")).toBe("Running");
  });

  test("is over with Never; the pod ends by its exit codes [R1, P7]", async () => {
    await using w = await world();
    await w.run("p", { ...two, restartPolicy: "Never" });
    await w.exit("app", 0);
    expect(w.pod().status?.phase).toBe("Running");
    expect(w.state("app")).toBe("Completed 0");
    await w.exit("side", 2);
    expect(w.pod().status?.phase).toBe("Failed");
    expect(w.state("side")).toBe("Error 2");
    expect(w.sandbox.pods[0]?.isDestroyed).toBe(true);
    expect(w.exists()).toBe(true);
  });

  test("with OnFailure restarts only when it failed [R1, C2, C3, C4]", async () => {
    await using w = await world();
    await w.run("p", { restartPolicy: "OnFailure" });
    await w.exit("app", 1);
    expect(w.state("app")).toBe("Running");
    await w.exit("app", 0);
    expect(w.pod().status?.phase).toBe("Succeeded");
    const conditions = w.pod().status?.conditions?.map(({ type, status, reason }) => [type, status, reason]);
    expect(conditions).toEqual([
      ["PodReadyToStartContainers", "False", undefined],
      ["Initialized", "True", "PodCompleted"],
      ["Ready", "False", "PodCompleted"],
      ["ContainersReady", "False", "PodCompleted"],
      ["PodScheduled", "True", undefined],
    ]);
  });
});

describe("init containers and sidecars", () => {
  const spec = {
    initContainers: [
      { name: "one", image: "img" },
      { name: "proxy", image: "img", restartPolicy: "Always" },
      { name: "two", image: "img" },
    ],
    containers: [{ name: "app", image: "img" }],
  };

  test("start in order: a plain one must end, a sidecar must run [I1, I2, S1]", async () => {
    await using w = await world();
    await w.run("p", spec);
    expect(w.sandbox.running()).toEqual(["p/one"]);
    expect(w.state("app")).toBe("PodInitializing");
    expect(w.pod().status?.phase).toBe("Pending");
    await w.exit("one", 0);
    expect(w.sandbox.running()).toEqual(["p/proxy", "p/two"]);
    await w.exit("two", 0);
    expect(w.sandbox.running()).toEqual(["p/proxy", "p/app"]);
    expect(w.pod().status?.phase).toBe("Running");
    expect(w.pod().status?.initContainerStatuses?.map(({ name, ready }) => [name, ready])).toEqual([
      ["one", true],
      ["proxy", true],
      ["two", true],
    ]);
  });

  test("a plain one that fails backs off, the pod stays Pending; with Never the pod fails [I7, P11]", async () => {
    await using w = await world();
    await w.run("p", spec);
    await w.exit("one", 1);
    expect(w.sandbox.running()).toEqual(["p/one"]);
    await w.exit("one", 1);
    expect(w.state("one")).toBe("CrashLoopBackOff");
    expect(w.pod().status?.phase).toBe("Pending");

    await w.run("q", { ...spec, restartPolicy: "Never" });
    await w.exit("one", 7, "q");
    expect(w.pod("q").status?.phase).toBe("Failed");
    expect(w.sandbox.running()).toEqual([]);
  });

  test("sidecars stop after the main containers of a Job, last first, and do not decide the outcome [T13, T14, P5]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("proxy", () => undefined);
    await w.run("p", { ...spec, restartPolicy: "Never" });
    await w.exit("one", 0);
    await w.exit("two", 0);
    await w.exit("app", 0);
    expect(w.container("proxy").signals).toEqual([15]);
    expect(w.pod().status?.phase).toBe("Running");
    await w.exit("proxy", 1);
    expect(w.pod().status?.phase).toBe("Succeeded");
  });

  test("a sidecar that exits with 0 is restarted even with Never [I4]", async () => {
    await using w = await world();
    await w.run("p", { ...spec, restartPolicy: "Never" });
    await w.exit("one", 0);
    await w.exit("proxy", 0);
    expect(w.sandbox.running()).toEqual(["p/two", "p/proxy"]);
    expect(w.status("proxy").restartCount).toBe(1);
  });
});

describe("a pod that is deleted", () => {
  test("is gone as soon as its containers have ended [T19]", async () => {
    await using w = await world();
    await w.run("p", two);
    await w.delete();
    expect(w.exists()).toBe(false);
    expect(w.sandbox.containers.map(({ signals }) => signals)).toEqual([[15], [15]]);
    expect(w.events().slice(-2)).toEqual([
      "Normal Killing: Stopping container app",
      "Normal Killing: Stopping container side",
    ]);
  });

  test("gets SIGKILL when the grace period is over [T2]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.delete(10);
    await w.advance(9_999);
    expect(w.exists()).toBe(true);
    await w.advance(1);
    expect(w.exists()).toBe(false);
    expect(w.sandbox.containers[0]?.signals).toEqual([15, 9]);
  });

  test("is not kept by a second deletion, only shortened, and the signal is sent once [O12]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.delete(30);
    await w.advance(5_000);
    await w.delete(3);
    await w.advance(2_999);
    expect(w.exists()).toBe(true);
    await w.advance(1);
    expect(w.exists()).toBe(false);
    expect(w.sandbox.containers[0]?.signals).toEqual([15, 9]);
  });

  test("by force vanishes at once, its containers get two seconds [T18]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.delete(0);
    expect(w.exists()).toBe(false);
    await w.advance(1_999);
    expect(w.sandbox.running()).toEqual(["p/app"]);
    await w.advance(1);
    expect(w.sandbox.running()).toEqual([]);
    expect(w.sandbox.pods[0]?.isDestroyed).toBe(true);
  });

  test("while a container is being replaced ends that one, too, without a second signal [T19, O9]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.setImage("img2");
    await w.advance(20_000);
    await w.delete(10);
    expect(w.events().slice(-2)).toEqual([
      "Normal Killing: Container app definition changed, will be restarted",
      "Normal Killing: Stopping container app",
    ]);
    await w.advance(10_000);
    expect(w.exists()).toBe(false);
    expect(w.sandbox.containers.map(({ signals }) => signals)).toEqual([[15, 9]]);
  });

  test("while its image is being pulled gives up the pull", async () => {
    await using w = await world();
    w.images.gate = new Promise(() => {});
    await w.run("p", { containers: [{ name: "app", image: "big" }] });
    expect(w.state("app")).toBe("ContainerCreating");
    await w.delete();
    expect(w.exists()).toBe(false);
  });

  test("stops sidecars in reverse order after the main containers [T4]", async () => {
    await using w = await world();
    for (const name of ["app", "s1", "s2"]) w.sandbox.behaviours.set(name, () => undefined);
    await w.run("p", {
      initContainers: ["s1", "s2"].map((name) => ({ name, image: "img", restartPolicy: "Always" })),
      containers: [{ name: "app", image: "img" }],
    });
    await w.delete();
    const signalled = () =>
      w.sandbox.containers.filter(({ signals }) => signals.length > 0).map(({ name }) => name);
    expect(signalled()).toEqual(["app"]);
    await w.exit("app", 0);
    expect(signalled()).toEqual(["s2", "app"]);
    await w.exit("s2", 0);
    expect(signalled()).toEqual(["s1", "s2", "app"]);
    await w.exit("s1", 0);
    expect(w.exists()).toBe(false);
  });

  test("may come back under the same name while the old one still ends", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.delete(0);
    await w.run("p", {});
    expect(w.sandbox.running()).toEqual(["p/app", "p/app"]);
    await w.advance(2_000);
    expect(w.sandbox.running()).toEqual(["p/app"]);
    expect(w.pod().status?.phase).toBe("Running");
  });
});

describe("a change of the image", () => {
  test("replaces the container whatever the restart policy, without back-off [O9, R11]", async () => {
    await using w = await world();
    await w.run("p", { ...two, restartPolicy: "Never" });
    await w.setImage("img2");
    expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
    expect(w.status("app")).toMatchObject({ restartCount: 1, image: "img2" });
    expect(w.events()).toContain("Normal Killing: Container app definition changed, will be restarted");
  });
});

test("finalizers keep a pod's object, not what it has on the node", async () => {
  await using w = await world();
  await w.run("p", {}, { finalizers: ["example.com/hold"] });
  await w.delete();
  expect([w.exists(), w.sandbox.running(), w.state("app")]).toEqual([true, [], "Error 143"]);
  await w.change("p", (pod) => ({ ...pod, metadata: { ...pod.metadata, finalizers: [] } }));
  expect(w.exists()).toBe(false);
});

test("a readiness gate that somebody sets makes the pod ready, and is kept [C5, C6]", async () => {
  await using w = await world();
  await w.run("p", { readinessGates: [{ conditionType: "example.com/in" }] });
  const ready = () => w.pod().status?.conditions?.find(({ type }) => type === "Ready")?.status;
  expect(ready()).toBe("False");
  const gate = { type: "example.com/in", status: "True" };
  w.store.update(
    "pods",
    { namespace: "default", name: "p" },
    (pod) => {
      const status = (pod["status"] ?? {}) as { conditions?: object[] };
      return { ...pod, status: { ...status, conditions: [...(status.conditions ?? []), gate] } };
    },
    { subresource: "status" },
  );
  await w.settle();
  expect(ready()).toBe("True");
  expect(w.pod().status?.conditions?.[0]).toEqual(gate);
});

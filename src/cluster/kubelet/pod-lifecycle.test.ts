import { describe, expect, test } from "bun:test";
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import { asPod } from "../../k8s/pod.ts";
import { ImageError } from "../images/image.ts";
import { ContainerStartError } from "../sandbox/sandbox.ts";
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

/** Which containers got a signal, in the order in which they were started. */
function signals(w: World): Record<string, number[]> {
  return Object.fromEntries(w.sandbox.containers.map(({ name, signals: got }) => [name, got]));
}

function deaf(w: World, ...names: string[]): void {
  for (const name of names) w.sandbox.behaviours.set(name, () => undefined);
}

async function setSpec(w: World, change: (spec: PodSpec) => PodSpec): Promise<void> {
  await w.change("p", (object) => ({ ...object, spec: change(asPod(object).spec) }));
}

describe("init containers", () => {
  test("of which one fails for good end the pod: sidecars stop in reverse order, and it has failed [I8, P1]", async () => {
    await using w = await world();
    deaf(w, "s1", "s2");
    await w.run("p", {
      restartPolicy: "Never",
      initContainers: [sidecar("s1"), sidecar("s2"), container("init")],
    });
    await w.exit("init", 3);
    expect(signals(w)).toEqual({ s1: [], s2: [15], init: [] });
    await w.exit("s2", 0);
    expect(signals(w)).toEqual({ s1: [15], s2: [15], init: [] });
    expect(w.pod().status?.phase).toBe("Pending");
    await w.exit("s1", 0);
    expect([w.pod().status?.phase, w.state("init")]).toEqual(["Failed", "Error 3"]);
  });

  test("follow their own policy before the pod's [I7, R1]", async () => {
    await using w = await world();
    await w.run("p", {
      restartPolicy: "Never",
      initContainers: [container("init", { restartPolicy: "OnFailure" })],
    });
    await w.exit("init", 1);
    expect(w.status("init").restartCount).toBe(1);
    await w.run("q", {
      restartPolicy: "Always",
      initContainers: [container("init", { restartPolicy: "Never" })],
    });
    await w.exit("init", 1, "q");
    expect(w.pod("q").status?.phase).toBe("Failed");
  });

  test("that cannot start hold up the rest; a sidecar that cannot does not, once the pod is past it [I6]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [sidecar("s1"), sidecar("s2")] });
    w.sandbox.startErrors.set("s1", new ContainerStartError("CreateContainerError", "no"));
    w.container("s1").exit(1);
    w.container("s2").exit(1);
    await w.settle();
    expect([w.state("s1"), w.state("s2"), instances(w, "s2").length]).toEqual([
      "CreateContainerError",
      "Running",
      2,
    ]);
    await w.run("q", { initContainers: [container("s1"), sidecar("s2")] });
    expect(instances(w, "s2", "q")).toEqual([]);
  });

  test("each get their image just before they start [I16]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [container("init", { image: "one" })],
      containers: [container("app", { image: "two" })],
    });
    expect(w.images.requests.map(({ name }) => name)).toEqual(["one"]);
    await w.exit("init", 0);
    expect(w.images.requests.map(({ name }) => name)).toEqual(["one", "two"]);
  });

  test("that failed half-way are started again [I13, R3]", async () => {
    await using w = await world();
    w.sandbox.startErrors.set("init", new ContainerStartError("CreateContainerError", "no"));
    await w.run("p", { restartPolicy: "Never", initContainers: [container("init")] });
    expect(w.state("init")).toBe("CreateContainerError");
    w.sandbox.startErrors.clear();
    await w.advance(10_000);
    expect([w.state("init"), w.pod().status?.phase]).toEqual(["Running", "Pending"]);
  });
});

describe("a main container", () => {
  test("that cannot start does not keep the later ones from it [I10]", async () => {
    await using w = await world();
    w.sandbox.startErrors.set("a", new ContainerStartError("CreateContainerError", "no"));
    await w.run("p", { containers: [container("a"), container("b")] });
    expect([w.state("a"), w.state("b"), w.pod().status?.phase]).toEqual([
      "CreateContainerError",
      "Running",
      "Pending",
    ]);
  });

  test("that restarts is a new container in the same sandbox [R15, S8]", async () => {
    await using w = await world();
    await w.run("p", {});
    const ip = w.pod().status?.podIP;
    await w.exit("app", 1);
    const [first, second] = instances(w, "app");
    expect(second?.id).not.toBe(first?.id);
    expect(second?.spec.logPath).not.toBe(first?.spec.logPath);
    expect([w.sandbox.pods.length, w.pod().status?.podIP]).toEqual([1, ip]);
    expect(w.status("app").lastState?.terminated?.containerID).toBe(`pillion://${first?.id}`);
  });

  test("whose image cannot be had leaves a pod that ran Running, a new one Pending [P12, P4]", async () => {
    await using w = await world();
    w.images.failures.set("gone", new ImageError("ErrImagePull", "not found"));
    await w.run("p", {});
    await w.setImage("gone");
    await w.run("q", { containers: [container("app", { image: "gone" })] });
    const now = () => ["p", "q"].map((pod) => `${w.pod(pod).status?.phase} ${w.state("app", pod)}`);
    expect(now()).toEqual(["Running ErrImagePull", "Pending ErrImagePull"]);
    await w.advance(1000);
    expect(now()).toEqual(["Running ImagePullBackOff", "Pending ImagePullBackOff"]);
  });

  test("that is killed from outside is restarted as one that failed [S6]", async () => {
    await using w = await world();
    await w.run("p", { restartPolicy: "OnFailure" });
    w.container("app").kill(9);
    await w.settle();
    expect([w.state("app"), w.status("app").lastState?.terminated?.exitCode]).toEqual(["Running", 137]);
  });
});

describe("a changed image", () => {
  const change = (list: "containers" | "initContainers", image: string) => (spec: PodSpec) => ({
    ...spec,
    [list]: (spec[list] ?? []).map((one) => ({ ...one, image })),
  });

  test("replaces a sidecar, and never runs a plain init container again [O9]", async () => {
    await using w = await world();
    await w.run("p", { restartPolicy: "Never", initContainers: [sidecar("side"), container("init")] });
    await w.exit("init", 0);
    await setSpec(w, change("initContainers", "img2"));
    expect(instances(w, "side").map(({ hasEnded }) => hasEnded)).toEqual([true, false]);
    expect([w.status("side").image, instances(w, "init").length]).toEqual(["img2", 1]);
    expect(w.events()).toContain("Normal Killing: Init container side definition changed");
  });

  test("starts nothing while the pod terminates [O9, R2, T1]", async () => {
    await using w = await world();
    deaf(w, "app");
    await w.run("p", {});
    await w.delete(10);
    await w.setImage("img2");
    await w.exit("app", 1);
    expect([w.exists(), instances(w, "app").length]).toEqual([false, 1]);
  });
});

describe("stopping", () => {
  test("sends the signal that the container or its image asks for [T11]", async () => {
    await using w = await world();
    deaf(w, "app", "own");
    w.images.config = { stopSignal: "SIGINT" };
    await w.run("p", {
      os: { name: "linux" },
      containers: [container("app"), container("own", { lifecycle: { stopSignal: "SIGUSR1" } })],
    });
    await w.delete();
    expect(signals(w)).toEqual({ app: [2], own: [10] });
  });

  test("of a pod that is over by itself takes the pod's grace period; only main containers decide [T13, T14, T2]", async () => {
    await using w = await world();
    deaf(w, "side");
    await w.run("p", {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 7,
      initContainers: [sidecar("side")],
    });
    await w.exit("app", 0);
    await w.advance(6_999);
    expect([signals(w)["side"], w.pod().status?.phase]).toEqual([[15], "Running"]);
    await w.advance(1);
    expect([signals(w)["side"], w.pod().status?.phase, w.state("side")]).toEqual([
      [15, 9],
      "Succeeded",
      "Error 137",
    ]);
  });

  test("ends what SIGTERM does not with 137, and the pod as Failed; who obeys has completed [T15]", async () => {
    await using w = await world();
    deaf(w, "deaf");
    w.sandbox.behaviours.set("good", () => 0);
    await w.run("p", { containers: [container("deaf"), container("good")] }, { finalizers: ["a/b"] });
    await w.delete(3);
    await w.advance(3_000);
    expect([w.state("deaf"), w.state("good"), w.pod().status?.phase]).toEqual([
      "Error 137",
      "Completed 0",
      "Failed",
    ]);
  });

  test("of a pod that somebody else declares Failed takes its grace period, too, with hooks [T1, T2]", async () => {
    await using w = await world();
    deaf(w, "app");
    const lifecycle = { preStop: { exec: { command: ["true"] } } };
    await w.run("p", { terminationGracePeriodSeconds: 7, containers: [container("app", { lifecycle })] });
    const status = { phase: "Failed" };
    w.store.update(
      "pods",
      { namespace: "default", name: "p" },
      (pod) => ({ ...pod, status: { ...asPod(pod).status, ...status } }),
      { subresource: "status" },
    );
    await w.settle();
    expect([signals(w), instances(w, "app")[0]?.execs.length]).toEqual([{ app: [15] }, 1]);
    await w.advance(6_999);
    expect(signals(w)).toEqual({ app: [15] });
    await w.advance(1);
    expect([signals(w), w.pod().status?.phase]).toEqual([{ app: [15, 9] }, "Failed"]);
  });

  test("does not restart sidecars [T17, Q6, R2]", async () => {
    await using w = await world();
    deaf(w, "app");
    await w.run("p", { initContainers: [sidecar("s1"), sidecar("s2")] });
    await w.delete();
    await w.exit("s2", 1);
    await w.advance(5_000);
    expect([w.sandbox.running(), signals(w)]).toEqual([["p/s1", "p/app"], { s1: [], s2: [], app: [15] }]);
  });

  test("of a pod whose sidecar never started waits for nobody [T3, Q4]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [sidecar("s1"), sidecar("s2", { image: "absent", imagePullPolicy: "Never" })],
    });
    expect(w.sandbox.running()).toEqual(["p/s1"]);
    await w.delete();
    expect(w.exists()).toBe(false);
  });

  test("of a pod makes one that would always restart end as Succeeded or Failed, for good [T20, P6, P10]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => 0);
    await w.run("p", { restartPolicy: "Always" }, { finalizers: ["a/b"] });
    await w.delete();
    expect(w.pod().status?.phase).toBe("Succeeded");
    await w.change("p", (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { a: "b" } } }));
    expect(w.pod().status?.phase).toBe("Succeeded");
  });

  test("of two containers without a native sidecar signals both at once [Q10]", async () => {
    await using w = await world();
    deaf(w, "app", "classic");
    await w.run("p", { containers: [container("app"), container("classic")] });
    await w.delete();
    expect(signals(w)).toEqual({ app: [15], classic: [15] });
  });

  test("keeps volumes until the last container has stopped, and the sandbox, too [T21]", async () => {
    await using w = await world();
    deaf(w, "app");
    await w.run("p", {
      volumes: [{ name: "m", emptyDir: { medium: "Memory" } }],
      containers: [container("app", { volumeMounts: [{ name: "m", mountPath: "/m" }] })],
    });
    await w.delete(5);
    const [pod] = w.sandbox.pods;
    expect([pod?.mounts.size, pod?.isDestroyed]).toEqual([1, false]);
    await w.exit("app", 0);
    expect([pod?.mounts.size, pod?.isDestroyed]).toEqual([0, true]);
  });
});

import { describe, expect, test } from "bun:test";
import type { Container } from "../../../generated/kubernetes.ts";
import { statusServer } from "./test-support/fake-server.ts";
import { World } from "./test-support/world.ts";

const SIDECAR: Container = { name: "side", image: "img", restartPolicy: "Always" };
const READY = { httpGet: { port: 80 } };

/** The kubelet goes, and what ran goes on; `meanwhile` happens before another one comes. */
async function restartKeeping(world: World, meanwhile: () => void = () => {}): Promise<void> {
  await world.kubelet?.stop();
  world.sandbox.keep();
  meanwhile();
  await world.settle();
  await world.start();
}

describe("a pod that outlives its engine", () => {
  test("goes on: nothing is started, and its status does not change", async () => {
    await using world = await new World().start();
    await world.run("p", { initContainers: [{ name: "init", image: "img" }, SIDECAR] });
    await world.exit("init", 0);
    const before = world.pod().status;
    const chronicle = world.sandbox.chronicle.length;
    await restartKeeping(world);
    expect(world.pod().status).toEqual(before);
    expect(world.sandbox.chronicle).toHaveLength(chronicle);
    expect(world.sandbox.running()).toEqual(["p/side", "p/app"]);
  });

  test("keeps that it had started and was ready, until probes say something else [PR20]", async () => {
    await using world = await new World().start();
    world.sandbox.network.servers.set(
      "80",
      statusServer(() => 200),
    );
    const probed = { name: "app", image: "img", startupProbe: READY, readinessProbe: READY };
    await world.run("p", { containers: [probed] });
    for (let second = 0; second < 30; second++) await world.advance(1000);
    expect(world.status("app")).toMatchObject({ started: true, ready: true });
    await restartKeeping(world, () => (world.sandbox.network.isSilent = true));
    expect(world.status("app")).toMatchObject({ started: true, ready: true, restartCount: 0 });
  });

  test("learns how containers ended while there was none, and restarts them [R1]", async () => {
    await using world = await new World().start();
    await world.run("p", {
      containers: [
        { name: "app", image: "img" },
        { name: "two", image: "img" },
      ],
    });
    await restartKeeping(world, () => world.container("app").exit(3));
    expect(world.status("app")).toMatchObject({
      restartCount: 1,
      state: { running: expect.anything() },
      lastState: { terminated: { exitCode: 3, reason: "Error" } },
    });
    expect(world.status("two")).toMatchObject({ restartCount: 0 });
    await restartKeeping(world, () => world.container("app").exit(4));
    await world.advance(10_000);
    expect(world.status("app")).toMatchObject({
      restartCount: 2,
      lastState: { terminated: { exitCode: 4 } },
    });
  });

  test("shows an end that nobody knows as lost [S7]", async () => {
    await using world = await new World().start();
    await world.run("p", { restartPolicy: "Never" });
    await restartKeeping(world, () => world.container("app").lose());
    expect(world.status("app").state?.terminated).toMatchObject({
      exitCode: 137,
      reason: "ContainerStatusUnknown",
      message: "The container could not be located when the pod was terminated",
    });
    expect(world.pod().status?.phase).toBe("Failed");
  });

  test("takes over a container whose start no status tells of", async () => {
    await using world = await new World().start();
    await world.run("p", {});
    const unwritten = world.pod();
    await world.exit("app", 1);
    expect(world.status("app").restartCount).toBe(1);
    // The engine was killed before it wrote what it had done last.
    world.store.update(
      "pods",
      { namespace: "default", name: "p" },
      (pod) => ({ ...pod, status: unwritten.status }),
      {
        subresource: "status",
      },
    );
    await restartKeeping(world);
    expect(world.status("app")).toMatchObject({
      restartCount: 1,
      containerID: `pillion://${world.container("app").id}`,
    });
    expect(world.sandbox.running()).toEqual(["p/app"]);
  });

  test("stops in order when it is deleted", async () => {
    await using world = await new World().start();
    await world.run("p", { initContainers: [SIDECAR] });
    await restartKeeping(world);
    const since = world.sandbox.chronicle.length;
    await world.delete();
    expect(world.sandbox.chronicle.slice(since).map(({ container, what }) => `${container} ${what}`)).toEqual(
      ["app signal 15", "app end 143", "side signal 15", "side end 143"],
    );
    expect(world.exists()).toBe(false);
  });

  test("goes with the engine that finds no object of it", async () => {
    await using world = await new World().start();
    await world.run("p", {});
    await restartKeeping(world, () =>
      world.store.delete("pods", { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 }),
    );
    expect(world.sandbox.running()).toEqual([]);
    expect(world.sandbox.pods.every(({ isDestroyed }) => isDestroyed)).toBe(true);
  });

  test("has its memory volumes, which are not mounted again", async () => {
    await using world = await new World().start();
    await world.run("p", {
      containers: [{ name: "app", image: "img", volumeMounts: [{ name: "m", mountPath: "/m" }] }],
      volumes: [{ name: "m", emptyDir: { medium: "Memory" } }],
    });
    const [pod] = world.sandbox.pods;
    expect(pod?.mounts.size).toBe(1);
    await restartKeeping(world);
    await world.delete();
    expect(pod?.mounts.size).toBe(0);
  });

  test("is made anew when its sandbox died meanwhile", async () => {
    await using world = await new World().start();
    await world.run("p", {});
    await restartKeeping(world, () => world.sandbox.pods[0]?.die());
    expect(world.sandbox.pods).toHaveLength(2);
    expect(world.status("app")).toMatchObject({ restartCount: 1, state: { running: expect.anything() } });
  });
});

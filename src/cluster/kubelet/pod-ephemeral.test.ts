import { describe, expect, test } from "bun:test";
import type { EphemeralContainer, PodSpec } from "../../../generated/kubernetes.ts";
import { asPod } from "../../k8s/pod.ts";
import { World } from "./test-support/world.ts";

/** What \`kubectl debug\` does to a pod. */
async function debug(w: World, more: Partial<EphemeralContainer> = {}, name = "p"): Promise<void> {
  await w.change(name, (object) => {
    const { spec } = asPod(object);
    const ephemeralContainers = [
      ...(spec.ephemeralContainers ?? []),
      { name: "debug", image: "img", ...more },
    ];
    return { ...object, spec: { ...spec, ephemeralContainers } };
  });
}

async function podWith(spec: Partial<PodSpec> = {}): Promise<World> {
  const w = await new World().start();
  await w.run("p", spec);
  return w;
}

const ephemeral = (w: World) => w.pod().status?.ephemeralContainerStatuses?.[0];

describe("an ephemeral container", () => {
  test("starts in a running pod and shows a status of its own [EC1]", async () => {
    await using w = await podWith();
    expect(ephemeral(w)).toBeUndefined();
    await debug(w);
    expect(w.sandbox.running()).toEqual(["p/app", "p/debug"]);
    expect(ephemeral(w)).toEqual({
      name: "debug",
      state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
      lastState: {},
      ready: false,
      restartCount: 0,
      image: "img",
      imageID: expect.any(String),
      containerID: `pillion://${w.container("debug").id}`,
    });
    const started = w.store
      .list("events")
      .items.find(({ involvedObject }) =>
        JSON.stringify(involvedObject).includes("spec.ephemeralContainers{debug}"),
      );
    expect(started).toBeDefined();
  });

  test("starts while the pod still initializes [I15]", async () => {
    await using w = await podWith({ initContainers: [{ name: "init", image: "img" }] });
    await debug(w);
    expect(w.sandbox.running()).toEqual(["p/init", "p/debug"]);
    expect(w.pod().status?.phase).toBe("Pending");
  });

  test("is never started again, whatever its exit code and the pod's policy [EC1, I15]", async () => {
    await using w = await podWith({ restartPolicy: "Always" });
    await debug(w);
    await w.exit("debug", 1);
    await w.advance(3_600_000);
    expect([w.sandbox.running(), ephemeral(w)?.state?.terminated?.exitCode]).toEqual([["p/app"], 1]);
    w.sandbox.pods[0]?.die();
    await w.settle();
    expect([w.sandbox.running(), ephemeral(w)?.state?.terminated?.exitCode]).toEqual([["p/app"], 1]);
  });

  test("changes neither phase nor readiness, and does not keep a pod alive [EC4]", async () => {
    await using w = await podWith({ restartPolicy: "Never" });
    const ready = () => w.pod().status?.conditions?.find(({ type }) => type === "Ready")?.status;
    await debug(w);
    await w.exit("debug", 1);
    expect([w.pod().status?.phase, ready()]).toEqual(["Running", "True"]);
    await debug(w, { name: "again" });
    await w.exit("app", 0);
    expect([w.pod().status?.phase, w.sandbox.running()]).toEqual(["Succeeded", []]);
    expect(w.sandbox.containers.at(-1)?.signals).toEqual([15]);
  });

  test("is killed with the pod, at once, and holds up no sidecar [EC4, T4]", async () => {
    await using w = await podWith({
      initContainers: [{ name: "side", image: "img", restartPolicy: "Always" }],
    });
    w.sandbox.behaviours.set("debug", () => undefined);
    await debug(w);
    await w.delete(10);
    expect(w.sandbox.running()).toEqual(["p/debug"]);
    await w.advance(10_000);
    expect(w.exists()).toBe(false);
  });

  test("joins the processes of the container it names [EC3]", async () => {
    await using w = await podWith();
    await debug(w, { targetContainerName: "app" });
    expect(w.container("debug").spec.processesOf).toBe(w.container("app").id);
  });

  test("whose target has ended or never ran says so [EC3, S2]", async () => {
    await using w = await podWith({
      initContainers: [{ name: "init", image: "img" }],
      containers: [{ name: "app", image: "img" }],
    });
    await debug(w, { targetContainerName: "app" });
    expect(ephemeral(w)?.state?.waiting).toEqual({
      reason: "CreateContainerConfigError",
      message: "unable to find target container app",
    });
    await w.exit("init", 0);
    await w.advance(10_000);
    expect(ephemeral(w)?.state?.running).toBeDefined();
    await debug(w, { name: "late", targetContainerName: "init" });
    expect(w.pod().status?.ephemeralContainerStatuses?.[1]?.state?.waiting).toEqual({
      reason: "CreateContainerError",
      message: 'container "init" is not running - in state CONTAINER_EXITED',
    });
  });

  test("whose image cannot be had waits, and starts when it can", async () => {
    await using w = await podWith();
    await debug(w, { image: "absent", imagePullPolicy: "Never" });
    expect(ephemeral(w)?.state?.waiting?.reason).toBe("ErrImageNeverPull");
    w.images.present.add("absent");
    w.kubelet?.imagesChanged();
    await w.settle();
    expect(ephemeral(w)?.state?.running).toBeDefined();
  });

  test("can be attached to, executed in and read from like any other", async () => {
    await using w = await podWith();
    await debug(w);
    const at = { namespace: "default", name: "p", container: "debug" };
    const port = w.kubelet?.port;
    expect(port?.isRunning(at)).toBe(true);
    const exec = await port?.exec(at, { argv: ["true"], stdin: false, tty: false });
    expect(await exec?.exited).toEqual({ exitCode: 0 });
  });
});

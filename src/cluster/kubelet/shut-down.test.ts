import { describe, expect, test } from "bun:test";
import { FakeSandbox } from "./test-support/fake-sandbox.ts";
import { World } from "./test-support/world.ts";

async function world(): Promise<World> {
  return new World().start();
}

/** Another engine on the same store. */
async function next(w: World): Promise<void> {
  await w.kubelet?.stop();
  w.sandbox = new FakeSandbox(w.clock);
  await w.start();
}

/** Whether the promise has settled when nothing moves any more. */
async function isOver(w: World, promise: Promise<void> | undefined): Promise<boolean> {
  let over = false;
  void promise?.then(() => (over = true));
  await w.settle();
  return over;
}

describe("the end of the node", () => {
  test("stops containers in order, with hooks and grace, and keeps pods for the next engine", async () => {
    await using w = await world();
    for (const name of ["side", "app"]) w.sandbox.behaviours.set(name, () => undefined);
    await w.run("p", {
      terminationGracePeriodSeconds: 20,
      initContainers: [{ name: "side", image: "img", restartPolicy: "Always" }],
      containers: [{ name: "app", image: "img", lifecycle: { preStop: { sleep: { seconds: 3 } } } }],
    });
    const ending = w.kubelet?.shutDown(60);
    await w.settle();
    await w.advance(3_000);
    expect([w.container("app").signals, w.container("side").signals]).toEqual([[15], []]);
    await w.exit("app", 0);
    expect(w.container("side").signals).toEqual([15]);
    expect(await isOver(w, ending)).toBe(false);
    await w.exit("side", 0);
    expect(await isOver(w, ending)).toBe(true);
    expect([w.pod().status?.phase, w.state("app"), w.status("app").restartCount]).toEqual([
      "Running",
      "Completed 0",
      0,
    ]);
    await next(w);
    expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
    expect(w.status("app").restartCount).toBe(1);
  });

  test("gives nobody more than the stop allows; a second one shortens it", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", { terminationGracePeriodSeconds: 600 });
    const ending = w.kubelet?.shutDown(60);
    await w.settle();
    await w.advance(5_000);
    const sooner = w.kubelet?.shutDown(0);
    expect(await isOver(w, ending)).toBe(false);
    await w.advance(1_000);
    expect([await isOver(w, ending), await isOver(w, sooner)]).toEqual([true, true]);
    expect(w.state("app")).toBe("Error 137");
  });

  test("restarts nothing and takes no new pods; a pod that was being deleted goes", async () => {
    await using w = await world();
    for (const name of ["slow", "app"]) w.sandbox.behaviours.set(name, () => undefined);
    await w.run("p", {});
    await w.run("q", { containers: [{ name: "slow", image: "img" }] });
    await w.delete(30, "q");
    const ending = w.kubelet?.shutDown(60);
    await w.settle();
    await w.run("late", {});
    await w.exit("app", 1);
    await w.exit("slow", 0, "q");
    await w.advance(60_000);
    expect([await isOver(w, ending), w.sandbox.running(), w.exists("q")]).toEqual([true, [], false]);
    await next(w);
    expect(w.sandbox.running().toSorted()).toEqual(["late/app", "p/app"]);
  });

  test("leaves a pod that never restarts to be judged by how it ended", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => 0);
    await w.run("p", { restartPolicy: "Never" });
    await w.kubelet?.shutDown(10);
    await next(w);
    expect([w.pod().status?.phase, w.state("app")]).toEqual(["Succeeded", "Completed 0"]);
  });

  test("is over at once without pods, and with those that have ended", async () => {
    await using w = await world();
    expect(await isOver(w, w.kubelet?.shutDown(10))).toBe(true);
    await using other = await world();
    await other.run("p", { restartPolicy: "Never" });
    await other.exit("app", 0);
    expect(await isOver(other, other.kubelet?.shutDown(10))).toBe(true);
  });
});

import { describe, expect, test } from "bun:test";
import { World } from "./test-support/world.ts";

const image = "img";
const container = (name: string) => ({ name, image });
const sidecar = (name: string) => ({ name, image, restartPolicy: "Always" }) as const;

async function sandboxDies(w: World): Promise<void> {
  w.sandbox.pods.at(-1)?.die();
  await w.settle();
}

describe("a sandbox that dies", () => {
  test("is replaced: everything starts anew in a new one, restart counts go up [I12]", async () => {
    await using w = await new World().start();
    await w.run("p", { initContainers: [container("init")] });
    await w.exit("init", 0);
    await sandboxDies(w);
    expect(w.sandbox.running()).toEqual(["p/init"]);
    await w.exit("init", 0);
    expect(w.sandbox.running()).toEqual(["p/app"]);
    expect([w.status("init").restartCount, w.status("app").restartCount]).toEqual([1, 1]);
    expect(w.pod().status?.podIP).toBe("10.99.1.2");
    expect(w.events()).toContain(
      "Normal SandboxChanged: Pod sandbox changed, it will be killed and re-created.",
    );
  });

  test("ends the pod under Never [I12]", async () => {
    await using w = await new World().start();
    await w.run("p", { restartPolicy: "Never" });
    await sandboxDies(w);
    expect(w.pod().status?.phase).toBe("Failed");
    expect(w.sandbox.running()).toEqual([]);
  });

  test("under OnFailure leaves alone what had succeeded [I12]", async () => {
    await using w = await new World().start();
    await w.run("p", {
      restartPolicy: "OnFailure",
      initContainers: [container("init")],
      containers: [container("done"), container("app")],
    });
    await w.exit("init", 0);
    await w.exit("done", 0);
    await sandboxDies(w);
    await w.exit("init", 0);
    expect(w.sandbox.running()).toEqual(["p/app"]);
    expect(w.state("done")).toBe("Completed 0");
  });

  test("under containers that were being replaced runs all init containers before them, too [I12, I9]", async () => {
    await using w = await new World().start();
    w.sandbox.behaviours.set("app", () => undefined);
    w.sandbox.behaviours.set("side", () => undefined);
    await w.run("p", { initContainers: [container("one"), sidecar("side"), container("two")] });
    await w.exit("one", 0);
    await w.exit("two", 0);
    await w.setImage("img2");
    expect(w.container("app").signals).toEqual([15]);
    await sandboxDies(w);
    expect(w.sandbox.running()).toEqual(["p/one"]);
    await w.exit("one", 0);
    expect(w.sandbox.running()).toEqual(["p/side", "p/two"]);
    await w.exit("two", 0);
    expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
    expect(["one", "side", "two", "app"].map((name) => w.status(name).restartCount)).toEqual([1, 1, 1, 1]);
  });
});

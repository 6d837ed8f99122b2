import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { ImageError } from "../images/image.ts";
import { ContainerStartError } from "../sandbox/sandbox.ts";
import { World } from "./test-support/world.ts";

const RUNS = process.env["PILLION_SOAK"] === "1" ? 400 : 40;

/** Things that happen to a pod from outside. */
type Happening =
  | { readonly kind: "exit"; readonly container: number; readonly exitCode: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "image"; readonly image: string }
  | { readonly kind: "sandbox dies" }
  | { readonly kind: "start fails"; readonly fails: boolean }
  | { readonly kind: "pull fails"; readonly fails: boolean };

const NAMES = ["init", "proxy", "app", "side"];

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    kind: fc.constant("exit" as const),
    container: fc.nat({ max: 3 }),
    exitCode: fc.constantFrom(0, 1),
  }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 1000, 10_000, 700_000) }),
  fc.record({ kind: fc.constant("image" as const), image: fc.constantFrom("img", "img2", "remote") }),
  fc.record({ kind: fc.constant("sandbox dies" as const) }),
  fc.record({ kind: fc.constant("start fails" as const), fails: fc.boolean() }),
  fc.record({ kind: fc.constant("pull fails" as const), fails: fc.boolean() }),
);

const spec = (restartPolicy: string): Partial<PodSpec> => ({
  restartPolicy,
  initContainers: [
    { name: "init", image: "img" },
    { name: "proxy", image: "img", restartPolicy: "Always" },
  ],
  containers: [
    { name: "app", image: "img" },
    { name: "side", image: "img" },
  ],
});

async function happen(w: World, what: Happening): Promise<void> {
  switch (what.kind) {
    case "exit":
      w.sandbox.alive("p", NAMES[what.container] ?? "")?.exit(what.exitCode);
      return w.settle();
    case "wait":
      return w.advance(what.ms);
    case "image":
      return w.setImage(what.image);
    case "sandbox dies":
      w.sandbox.pods.at(-1)?.die();
      return w.settle();
    case "start fails":
      if (what.fails) w.sandbox.startErrors.set("app", new ContainerStartError("StartError", "no"));
      else w.sandbox.startErrors.clear();
      return;
    case "pull fails":
      if (what.fails) w.images.failures.set("remote", new ImageError("ErrImagePull", "no"));
      else w.images.failures.clear();
      return;
  }
}

describe("whatever happens to a pod", () => {
  const policies = fc.constantFrom("Always", "OnFailure", "Never");
  const stories = fc.array(happening, { maxLength: 25 });

  // The fake sandbox refuses a second instance of a running container, and the world rethrows what a worker could not handle.
  test("no container runs twice, restart counts never shrink, ended phases stay", async () => {
    await fc.assert(
      fc.asyncProperty(policies, stories, async (policy, story) => {
        await using w = await new World().start();
        await w.run("p", spec(policy));
        let counts = new Map<string, number>();
        let ended: string | undefined;
        for (const what of story) {
          await happen(w, what);
          const { status = {} } = w.pod();
          if (ended !== undefined) expect(status.phase).toBe(ended as never);
          if (status.phase === "Succeeded" || status.phase === "Failed") ended = status.phase;
          const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
          for (const { name, restartCount } of all)
            expect(restartCount).toBeGreaterThanOrEqual(counts.get(name) ?? 0);
          counts = new Map(all.map(({ name, restartCount }) => [name, restartCount]));
          if (ended !== undefined) expect(w.sandbox.running()).toEqual([]);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("a deletion ends it, within the grace period and two seconds, and leaves nothing", async () => {
    const stubborn = fc.subarray(NAMES);
    const grace = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(policies, stories, stubborn, grace, async (policy, story, deaf, seconds) => {
        await using w = await new World().start();
        for (const name of deaf) w.sandbox.behaviours.set(name, () => undefined);
        await w.run("p", spec(policy));
        for (const what of story) await happen(w, what);
        await w.delete(seconds);
        // In steps: what one timer causes needs a moment to happen before the next is due.
        for (let passed = 0; passed < seconds * 1000 + 2000; passed += 500) await w.advance(500);
        expect([w.exists(), w.sandbox.running()]).toEqual([false, []]);
        expect(w.sandbox.pods.every(({ isDestroyed }) => isDestroyed)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test("time alone brings every pod with Always back to Running", async () => {
    await fc.assert(
      fc.asyncProperty(stories, async (story) => {
        await using w = await new World().start();
        await w.run("p", spec("Always"));
        for (const what of story) await happen(w, what);
        w.sandbox.startErrors.clear();
        w.images.failures.clear();
        for (let minute = 0; minute < 12; minute++) {
          w.sandbox.alive("p", "init")?.exit(0);
          await w.advance(60_000);
        }
        expect(w.pod().status?.phase).toBe("Running");
      }),
      { numRuns: RUNS },
    );
  });
});

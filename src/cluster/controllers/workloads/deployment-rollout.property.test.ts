import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { isPodReady } from "../../../k8s/pod.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { startDeploymentController } from "./deployment-controller.ts";
import { rolloutLimits } from "./deployment-limits.ts";
import { startReplicaSetController } from "./replica-set-controller.ts";
import { ReplicaWorld, templateOf, type TestPod } from "./replica-set.test-support.ts";

type Action = "ready" | "unready" | "fail" | "die" | "reap" | "template";

const action = fc.record({
  what: fc.constantFrom<Action>("ready", "ready", "ready", "unready", "fail", "die", "reap", "template"),
  which: fc.nat(),
});

const amount = fc.oneof(
  fc.nat(4),
  fc.nat(100).map((percent) => `${percent}%`),
);

/** Notes what the controllers do that they must not. */
class Witness {
  readonly wrong: string[] = [];
  /** What a test does to a pod is not the controllers' doing. */
  isTesting = false;
  readonly #world: ReplicaWorld;

  constructor(world: ReplicaWorld) {
    this.#world = world;
    const ready = new Set<string>();
    world.store.watch("pods", {}, ({ object }) => {
      const { uid = "", deletionTimestamp } = object.metadata;
      const wasReady = ready.delete(uid);
      if (deletionTimestamp === undefined && isPodReady(object)) ready.add(uid);
      else if (deletionTimestamp !== undefined && wasReady && !this.isTesting) this.#judgeDeletion(object);
      this.#judgeNumber();
    });
  }

  #judgeDeletion({ metadata }: KubeObject): void {
    const { desired, maxUnavailable } = rolloutLimits(this.#world.deployment());
    const left = this.#world.active.filter(isPodReady).length;
    if (left < desired - maxUnavailable)
      this.wrong.push(`${metadata.name ?? ""} was deleted, which leaves ${left} of ${desired}`);
  }

  #judgeNumber(): void {
    const { desired, maxSurge } = rolloutLimits(this.#world.deployment());
    const { length } = this.#world.active;
    if (length > desired + maxSurge) this.wrong.push(`${length} pods, ${desired} and ${maxSurge} allowed`);
  }
}

function act(world: ReplicaWorld, { what, which }: { readonly what: Action; readonly which: number }): void {
  const pods = world.active;
  const pod: TestPod | undefined = pods[which % Math.max(1, pods.length)];
  if (what === "reap") world.reap();
  if (pod === undefined || what === "reap" || what === "template") return;
  const { namespace = "", name = "" } = pod.metadata;
  if (what === "die") world.store.delete("pods", { namespace, name });
  else if (what === "fail") world.setStatus(pod, { phase: "Failed" });
  else if (isPodReady(pod) !== (what === "ready")) world.run(pod, what === "ready");
}

test("a rolling update never takes too many pods away, never makes too many, and always ends [D4, D5, D10, D12]", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 7 }),
      fc.record({ maxSurge: amount, maxUnavailable: amount }),
      fc.array(action, { maxLength: 25 }),
      async (replicas, { maxSurge, maxUnavailable }, actions) => {
        const isRefused = [maxSurge, maxUnavailable].every(
          (value) => Number.parseInt(String(value), 10) === 0,
        );
        fc.pre(!isRefused);
        using world = new ReplicaWorld(startReplicaSetController, startDeploymentController);
        const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } };
        await world.deploy({ replicas, strategy });
        await world.runAll();
        const witness = new Witness(world);
        let image = "v2";
        await world.change(() => ({ template: templateOf(image) }));
        for (const one of actions) {
          if (one.what === "template") {
            image = `v${one.which % 4}`;
            await world.change(() => ({ template: templateOf(image) }));
          }
          witness.isTesting = true;
          act(world, one);
          witness.isTesting = false;
          await world.settle();
        }
        for (const pod of world.active) if (!isPodReady(pod)) world.run(pod, true);
        await world.settle();
        await world.runAll();
        expect(witness.wrong).toEqual([]);
        expect(world.active.map(({ spec }) => spec?.containers[0]?.image)).toEqual(
          Array.from({ length: replicas }, () => image),
        );
        expect(
          world.deployment().status?.conditions?.find(({ type }) => type === "Progressing")?.reason,
        ).toBe("NewReplicaSetAvailable");
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

import { expect, test } from "bun:test";
import type { Pod } from "../../../../generated/kubernetes.ts";
import { chooseVictims } from "./replica-set-victims.ts";

const NOW = Date.UTC(2026, 0, 2);
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

interface Traits {
  readonly node?: string;
  readonly phase?: string;
  readonly readySeconds?: number;
  readonly cost?: string;
  readonly restarts?: number;
  readonly sidecarRestarts?: number;
  readonly age?: number;
}

function pod(name: string, traits: Traits = {}): Pod {
  const {
    node = "n",
    phase = "Running",
    readySeconds,
    cost,
    restarts = 0,
    sidecarRestarts = 0,
    age = 5000,
  } = traits;
  const state = (container: string, restartCount: number) => ({
    name: container,
    restartCount,
    image: "i",
    imageID: "",
    ready: true,
  });
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: ago(age),
      ...(cost === undefined ? {} : { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } }),
    },
    spec: {
      nodeName: node,
      containers: [{ name: "c" }],
      initContainers: [{ name: "s", restartPolicy: "Always" }, { name: "i" }],
    },
    status: {
      phase,
      conditions:
        readySeconds === undefined
          ? []
          : [{ type: "Ready", status: "True", lastTransitionTime: ago(readySeconds) }],
      containerStatuses: [state("c", restarts)],
      initContainerStatuses: [state("s", sidecarRestarts), state("i", 9)],
    },
  };
}

test.each<[string, Traits, Traits]>([
  ["without a node", { node: "", phase: "Pending" }, { phase: "Pending" }],
  ["pending", { phase: "Pending" }, { phase: "Unknown" }],
  ["of unknown state", { phase: "Unknown" }, {}],
  ["not ready, dear as it is", { cost: "100" }, { readySeconds: 60 }],
  ["cheaper", { readySeconds: 6000, cost: "-5" }, { readySeconds: 1 }],
  ["whose cost is no number", { readySeconds: 60, cost: "much" }, { readySeconds: 60, cost: "1" }],
  ["ready for less time", { readySeconds: 10 }, { readySeconds: 1000 }],
  ["restarted more often", { readySeconds: 60, restarts: 3 }, { readySeconds: 60, restarts: 1 }],
  ["whose sidecar restarted", { readySeconds: 60, sidecarRestarts: 1 }, { readySeconds: 60 }],
  ["newer", { readySeconds: 60, age: 100 }, { readySeconds: 60, age: 4000 }],
])("the pod that is %s goes first [D11]", (_what, first, second) => {
  const pods = [pod("a", second), pod("b", first)];
  expect(chooseVictims(pods, { count: 1, now: NOW }).map(({ metadata }) => metadata?.name)).toEqual(["b"]);
});

test("of pods whose ages are of one order of magnitude the uid decides, not the second [D11]", () => {
  const pods = [pod("b", { readySeconds: 60 }), pod("a", { readySeconds: 61 })];
  expect(chooseVictims(pods, { count: 1, now: NOW }).map(({ metadata }) => metadata?.name)).toEqual(["a"]);
});

import { expect, test } from "bun:test";
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { asPod } from "../../k8s/pod.ts";
import { PodState } from "./pod-state.ts";
import { podStatus } from "./pod-status.ts";

const SPEC: PodSpec = {
  initContainers: [
    { name: "init", image: "img" },
    { name: "side", image: "img", restartPolicy: "Always" },
  ],
  containers: [{ name: "app", image: "img" }],
};

function newState(): PodState {
  const metadata = { namespace: "default", name: "p", uid: "u" };
  return new PodState(asPod({ apiVersion: "v1", kind: "Pod", metadata, spec: SPEC }));
}

test("an init container that nothing is left of has completed, once a main one runs in this sandbox [S12]", () => {
  const state = newState();
  state.sandboxAttempts = 1;
  const init = () => podStatus(state, "10.0.0.1", 0).initContainerStatuses;
  expect(init()?.[0]?.state?.terminated).toBeUndefined();
  state.begin({ name: "app", id: "a", restartCount: 0, image: "img", imageID: "", startedAt: 0 });
  expect(init()?.[0]).toMatchObject({
    ready: true,
    state: {
      terminated: {
        exitCode: 0,
        reason: "Completed",
        message:
          "Unable to get init container status from container runtime and pod has been initialized, treat it as exit normally",
      },
    },
  });
  expect(init()?.[1]?.state?.terminated).toBeUndefined();
  state.sandboxAttempts = 2;
  expect(init()?.[0]?.state?.terminated).toBeUndefined();
});

import { expect, test } from "bun:test";
import type { ContainerStatus } from "../../../../generated/kubernetes.ts";
import { finishedAt, type JobPod } from "./job-pod.ts";

function ended(name: string, second: number): ContainerStatus {
  const terminated = { exitCode: 0, finishedAt: new Date(second * 1000).toISOString() };
  return { name, image: "x", imageID: "", ready: false, restartCount: 0, state: { terminated } };
}

test("a pod has finished when the last of its containers has, sidecars included, other init containers not [J5]", () => {
  const sidecar = { name: "side", image: "x", restartPolicy: "Always" };
  const pod = {
    metadata: { name: "p", namespace: "default", uid: "u" },
    spec: {
      containers: [{ name: "main", image: "x" }],
      initContainers: [{ name: "init", image: "x" }, sidecar],
    },
    status: {
      containerStatuses: [ended("main", 10)],
      initContainerStatuses: [ended("init", 99), ended("side", 12)],
    },
  };
  expect(finishedAt(pod as unknown as JobPod)).toBe(12_000);
});

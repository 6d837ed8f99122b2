import { describe, expect, test } from "bun:test";
import type { ContainerStatus, PodStatus } from "../../../generated/kubernetes.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { adoptStatus } from "./adopt-status.ts";
import { podStatus } from "./pod-status.ts";
import { PodState } from "./pod-state.ts";

const NOW = Date.UTC(2026, 0, 1, 1);
const AT = formatTimestamp(Date.UTC(2026, 0, 1));
const HOUR = { startedAt: AT, finishedAt: formatTimestamp(NOW) };

const lost = { exitCode: 137, reason: "ContainerStatusUnknown" };

function status(more: Partial<ContainerStatus>): ContainerStatus {
  return { name: "app", image: "img", imageID: "img@sha256:1", ready: false, restartCount: 3, ...more };
}

/** The status after an engine has taken the pod over, before it has done anything. */
function takenOver(before: Partial<PodStatus>): PodStatus {
  const pod = {
    metadata: { namespace: "default", name: "p", uid: "u" },
    spec: { restartPolicy: "Never", containers: [{ name: "app", image: "img" }] },
    status: before,
  };
  const state = new PodState(pod);
  adoptStatus(state, NOW);
  return podStatus(state, "10.0.0.1", NOW);
}

describe("a status that an earlier engine wrote", () => {
  test("of a container that has ended stays as it is, with the instance before it [S8]", () => {
    const app = status({
      state: { terminated: { exitCode: 0, reason: "Completed", ...HOUR, containerID: "pillion://b" } },
      lastState: {
        terminated: { exitCode: 4, reason: "Error", message: "no", ...HOUR, containerID: "pillion://a" },
      },
      started: false,
      containerID: "pillion://b",
      user: { linux: { uid: 5, gid: 6, supplementalGroups: [7] } },
    });
    expect(takenOver({ phase: "Succeeded", containerStatuses: [app] }).containerStatuses).toEqual([app]);
  });

  test("of a container that ran tells that nobody knows how it ended [S7]", () => {
    const app = status({ state: { running: { startedAt: AT } }, containerID: "pillion://a", started: true });
    const [adopted] = takenOver({ phase: "Running", containerStatuses: [app] }).containerStatuses ?? [];
    expect(adopted).toMatchObject({ ready: false, restartCount: 3, containerID: "pillion://a" });
    expect(adopted?.state?.terminated).toMatchObject({ ...lost, ...HOUR });
  });

  test("of a container that never ran is forgotten", () => {
    const waiting = status({ state: { waiting: { reason: "ErrImagePull" } }, restartCount: 0 });
    const [adopted] = takenOver({ phase: "Pending", containerStatuses: [waiting] }).containerStatuses ?? [];
    expect(adopted?.state).toEqual({ waiting: { reason: "ContainerCreating" } });
  });
});

/** What an engine knows of a pod from the status that an earlier engine wrote. */
import type { ContainerStateTerminated, ContainerStatus } from "../../../generated/kubernetes.ts";
import type { ContainerEnd } from "../../k8s/container-status.ts";
import type { PodState } from "./pod-state.ts";

/** The containers are gone, and nobody knows how those that ran have ended. `now` in Unix milliseconds. */
export function adoptStatus(state: PodState, now: number): void {
  const { status = {} } = state.pod;
  const statuses = [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
    ...(status.ephemeralContainerStatuses ?? []),
  ];
  for (const containerStatus of statuses) adopt(state, containerStatus, now);
  if (state.containers.size > 0) state.sandboxAttempts = 1;
}

/** What a container's state or last state tells of the instance. */
type ShownInstance = Pick<ContainerStateTerminated, "containerID" | "startedAt">;

function adopt(state: PodState, status: ContainerStatus, now: number): void {
  const last = status.lastState?.terminated;
  const { running, terminated, waiting } = status.state ?? {};
  const user = status.user?.linux;
  const instance = (restartCount: number, end: ContainerEnd, shown: ShownInstance) => ({
    name: status.name,
    id: (shown.containerID ?? status.containerID ?? "").replace(/^.*:\/\//, ""),
    restartCount,
    image: status.image,
    imageID: status.imageID,
    ...(user === undefined ? {} : { user: { ...user, supplementalGroups: user.supplementalGroups ?? [] } }),
    ...(shown.startedAt === undefined ? {} : { startedAt: Date.parse(shown.startedAt) }),
    end,
  });
  const record = state.record(status.name);
  const { restartCount } = status;
  if (last !== undefined)
    record.previous = instance(Math.max(0, restartCount - 1), adoptedEnd(last, now), last);
  if (terminated !== undefined)
    record.current = instance(restartCount, adoptedEnd(terminated, now), terminated);
  else if (running !== undefined) record.current = instance(restartCount, unknownEnd(now), running);
  else if (waiting !== undefined && last !== undefined) {
    record.current = instance(restartCount, adoptedEnd(last, now), last);
    delete record.previous;
  } else state.containers.delete(status.name);
}

function adoptedEnd(
  { exitCode, reason = "Error", message, finishedAt }: ContainerStateTerminated,
  now: number,
): ContainerEnd {
  return {
    exitCode,
    reason,
    ...(message === undefined ? {} : { message }),
    finishedAt: finishedAt === undefined ? now : Date.parse(finishedAt),
  };
}

export const UNKNOWN_END = "ContainerStatusUnknown";

/** How the kubelet shows an end that nobody saw (convertToAPIContainerStatuses). */
export function unknownEnd(now: number): ContainerEnd {
  return {
    exitCode: 137,
    reason: UNKNOWN_END,
    message: "The container could not be located when the pod was terminated",
    finishedAt: now,
  };
}

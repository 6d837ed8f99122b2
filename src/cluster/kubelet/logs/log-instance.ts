/** Which instance of a container a log request means (kubelet validateContainerLogStatus). */
import type { ContainerStatus } from "../../../../generated/kubernetes.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import { StatusError } from "../../../k8s/status-error.ts";

export interface LogInstance {
  readonly restartCount: number;
  /** It runs, so its log may grow. */
  readonly isRunning: boolean;
}

/** Throws `StatusError` (BadRequest) with the texts of the kubelet and the API server. */
export function logInstance(
  pod: StoredPod,
  { container, previous }: { readonly container: string; readonly previous: boolean },
): LogInstance {
  const { spec, status = {}, metadata } = pod;
  const { initContainers = [], containers, ephemeralContainers = [] } = spec;
  const isKnown = [...initContainers, ...containers, ...ephemeralContainers].some(
    ({ name }) => name === container,
  );
  if (!isKnown) throw refuse(`container ${container} is not valid for pod ${metadata.name}`);
  const found = [
    ...(status.containerStatuses ?? []),
    ...(status.initContainerStatuses ?? []),
    ...(status.ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);
  const what = `container "${container}" in pod "${metadata.name}"`;
  if (found === undefined) throw refuse(`${what} is not available`);
  return previous ? previousInstance(found, what) : presentInstance(found, what);
}

function previousInstance({ state, lastState, restartCount }: ContainerStatus, what: string): LogInstance {
  if ((lastState?.terminated?.containerID ?? "") === "")
    throw refuse(`previous terminated ${what} not found`);
  // While a container waits for its next start, its last state is the newest instance there is.
  const isNewest = state?.running === undefined && state?.terminated === undefined;
  return { restartCount: isNewest ? restartCount : restartCount - 1, isRunning: false };
}

function presentInstance({ state, lastState, restartCount }: ContainerStatus, what: string): LogInstance {
  if (state?.running !== undefined) return { restartCount, isRunning: true };
  const ended = state?.terminated ?? lastState?.terminated;
  if (ended !== undefined) {
    if ((ended.containerID ?? "") === "") throw refuse(`${what} is terminated`);
    return { restartCount, isRunning: false };
  }
  const reason = state?.waiting?.reason;
  switch (reason) {
    case undefined:
      throw refuse(`${what} is waiting to start - no logs yet`);
    case "ErrImagePull":
      throw refuse(`${what} is waiting to start: image can't be pulled`);
    case "ImagePullBackOff":
      throw refuse(`${what} is waiting to start: trying and failing to pull image`);
    default:
      throw refuse(`${what} is waiting to start: ${reason}`);
  }
}

function refuse(message: string): StatusError {
  return new StatusError("BadRequest", message);
}

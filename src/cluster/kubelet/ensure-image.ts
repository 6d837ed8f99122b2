/** Gets a container's image, with the waiting reasons, events and back-off of the kubelet's image manager. */
import type { Container } from "../../../generated/kubernetes.ts";
import type { StartFailure } from "../../k8s/container-status.ts";
import { messageOf } from "../../kernel/problem.ts";
import { ImageError, type PullPolicy, type ResolvedImage } from "../images/image.ts";
import { goDuration, nextBackoff } from "./crash-backoff.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { containerEvent, podEvent } from "./pod-events.ts";
import type { PodState } from "./pod-state.ts";
import { pullCredentials } from "./pull-credentials.ts";
import { referencedObjects } from "./referenced-objects.ts";

const PULL_BACKOFF = { initialMs: 10_000, maxMs: 300_000 };
/** `ErrImagePull` is shown this long before it becomes `ImagePullBackOff`. */
const SHOW_ERROR_MS = 1000;
/** A pull that goes on for longer than this is announced although the image is present. */
const ANNOUNCE_AFTER_MS = 200;

export type ImageOutcome =
  | { readonly image: ResolvedImage }
  | { readonly failure: StartFailure; readonly retryInMs?: number };

export interface ImageStep {
  readonly context: KubeletContext;
  readonly state: PodState;
  readonly container: Container;
  readonly signal: AbortSignal;
  /** Something has changed that a failed start may have waited for. */
  readonly retriesNow: boolean;
}

/** `EnsureImageExists`. Rejects only when the signal aborts. */
export async function ensureImage(step: ImageStep): Promise<ImageOutcome> {
  const { context, state, container } = step;
  const name = container.image ?? "";
  const policy = policyOf(container);
  const isPresent = context.images.isPresent(name);
  const mayPull = policy === "Always" || (policy === "IfNotPresent" && !isPresent);
  const backoff = state.pullBackoff.get(name);
  // An image that was mapped or imported meanwhile needs no pull, whatever the policy.
  const mayHaveCome = isPresent && (policy !== "Always" || step.retriesNow);
  if (mayPull && !mayHaveCome && backoff !== undefined) {
    const leftMs = backoff.failedAt + backoff.delayMs - context.clock.monotonic();
    if (leftMs > 0) return backOff(step, name, Math.min(leftMs, backoff.delayMs));
  }
  const announcement = announcePull(step, { name, mayPull, isPresent });
  try {
    const image = await resolve(step, name, policy);
    announcement.finish(image.pulled);
    state.pullBackoff.delete(name);
    tell(step, "Normal", "Pulled", pulledMessage(name, image));
    return { image };
  } catch (error) {
    step.signal.throwIfAborted();
    announcement.finish(isPullFailure(error));
    return failed(step, name, error);
  } finally {
    announcement.cancel();
  }
}

function policyOf({ imagePullPolicy }: Container): PullPolicy {
  return imagePullPolicy === "Always" || imagePullPolicy === "Never" ? imagePullPolicy : "IfNotPresent";
}

function resolve({ context, state, signal }: ImageStep, name: string, policy: PullPolicy) {
  const { namespace } = state.pod.metadata;
  const objects = referencedObjects(context.store, namespace, (key) => state.references.add(key));
  const { lookup, unusable } = pullCredentials(state.pod, objects);
  if (unusable.length > 0) {
    podEvent(context.recorder, state.pod, {
      type: "Warning",
      reason: "FailedToRetrieveImagePullSecret",
      message: `Unable to retrieve some image pull secrets (${unusable.join(", ")}); attempting to pull the image may not succeed.`,
    });
  }
  return context.images.resolve({ name, policy, credentials: lookup, signal });
}

/**
 * `Pulling` comes before the pull. Where the image is present, only the outcome tells whether there was a pull at all
 * (a mapped image needs none), so then it comes after a moment, or after the pull.
 */
function announcePull(
  step: ImageStep,
  facts: { readonly name: string; readonly mayPull: boolean; readonly isPresent: boolean },
): { finish: (pulled: boolean) => void; cancel: () => void } {
  let isDone = !facts.mayPull;
  const announce = () => {
    if (!isDone) tell(step, "Normal", "Pulling", `Pulling image "${facts.name}"`);
    isDone = true;
  };
  if (facts.mayPull && !facts.isPresent) announce();
  const cancel = isDone ? () => {} : step.context.clock.schedule(ANNOUNCE_AFTER_MS, announce);
  return {
    cancel,
    finish(pulled) {
      if (pulled) announce();
    },
  };
}

function pulledMessage(name: string, image: ResolvedImage & { pulled: boolean; pullMs: number }): string {
  if (image.rootfs.kind === "host")
    return `Container image "${name}" is run from this machine, as the image map says`;
  if (!image.pulled)
    return `Container image "${name}" already present on machine and can be accessed by the pod`;
  const took = goDuration(image.pullMs);
  return `Successfully pulled image "${name}" in ${took} (${took} including waiting). Image size: ${image.size} bytes.`;
}

function isPullFailure(error: unknown): boolean {
  return error instanceof ImageError && error.reason === "ErrImagePull";
}

function failed(step: ImageStep, name: string, error: unknown): ImageOutcome {
  const message = messageOf(error);
  const reason = error instanceof ImageError ? error.reason : "ErrImagePull";
  if (reason === "ErrImagePull") {
    tell(step, "Warning", "Failed", `Failed to pull image "${name}": ${message}`);
    rememberFailure(step, name, message);
    return failure(step, { reason, message }, SHOW_ERROR_MS);
  }
  const { event, text } = REFUSALS[reason];
  const shown = { reason, message: text(name, message) };
  tell(step, "Warning", event, shown.message);
  // A name that is wrong stays wrong until the pod is changed.
  return failure(step, shown, reason === "InvalidImageName" ? undefined : PULL_BACKOFF.initialMs);
}

const REFUSALS = {
  InvalidImageName: {
    event: "InspectFailed",
    text: (name: string, message: string) => `Failed to apply default image tag "${name}": ${message}`,
  },
  ImageInspectError: {
    event: "InspectFailed",
    text: (name: string, message: string) => `Failed to inspect image "${name}": ${message}`,
  },
  ErrImageNeverPull: {
    event: "ErrImageNeverPull",
    text: (name: string) => `Container image "${name}" is not present with pull policy of Never`,
  },
} as const;

function rememberFailure({ context, state }: ImageStep, name: string, message: string): void {
  const now = context.clock.monotonic();
  const entry = nextBackoff(state.pullBackoff.get(name), { endedAt: now, now }, PULL_BACKOFF);
  state.pullBackoff.set(name, { ...entry, failedAt: now, message, isReported: false });
}

function backOff(step: ImageStep, name: string, leftMs: number): ImageOutcome {
  const backoff = step.state.pullBackoff.get(name);
  const message = `Back-off pulling image "${name}": ErrImagePull: ${backoff?.message ?? ""}`;
  const shown = { reason: "ImagePullBackOff", message };
  if (backoff?.isReported !== false) return { failure: shown, retryInMs: leftMs };
  backoff.isReported = true;
  tell(step, "Normal", "BackOff", `Back-off pulling image "${name}"`);
  return failure(step, shown, leftMs);
}

/** A failed start is told twice, as the kubelet does: by the image manager and by the container's start. */
function failure(step: ImageStep, shown: StartFailure, retryInMs?: number): ImageOutcome {
  tell(step, "Warning", "Failed", `Error: ${shown.reason}`);
  return { failure: shown, ...(retryInMs === undefined ? {} : { retryInMs }) };
}

function tell(
  { context, state, container }: ImageStep,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
): void {
  containerEvent(context.recorder, { pod: state.pod, name: container.name }, { type, reason, message });
}

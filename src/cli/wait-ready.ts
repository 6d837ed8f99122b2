/** Follows pods until each is ready, done, or clearly not going to be. */
import type { ContainerStatus, Pod } from "../../generated/kubernetes.ts";
import type { ApiClient } from "./api-client.ts";
import type { PodRef } from "./apply.ts";

/** Waiting reasons that do not go away by waiting a moment longer. */
const STUCK = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
  "CrashLoopBackOff",
]);

export type PodProgress =
  | { readonly state: "waiting" | "ready" }
  | { readonly state: "stuck"; readonly why: string };

/** Where a pod is on its way. Pure. */
export function progressOf(pod: Pod): PodProgress {
  const { status } = pod;
  if (status?.phase === "Succeeded") return { state: "ready" };
  if (status?.phase === "Failed") {
    return { state: "stuck", why: status.message ?? status.reason ?? "the pod has failed" };
  }
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { waiting } = container.state ?? {};
    if (waiting?.reason !== undefined && STUCK.has(waiting.reason)) {
      return { state: "stuck", why: `container "${container.name}": ${describeWaiting(container)}` };
    }
  }
  const ready = status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True");
  return { state: ready ? "ready" : "waiting" };
}

/** The waiting reason; behind a crash loop, why the last instance ended. */
function describeWaiting({ state, lastState }: ContainerStatus): string {
  const { reason = "", message } = state?.waiting ?? {};
  const ended = lastState?.terminated;
  if (reason !== "CrashLoopBackOff" || ended === undefined) return message ? `${reason}: ${message}` : reason;
  const cause = ended.message?.trim() || `exit code ${ended.exitCode}`;
  return `${reason}: it ended with ${ended.reason ?? "Error"}: ${cause}`;
}

export interface WaitResult {
  readonly ready: boolean;
  /** One sentence per pod that is not ready. */
  readonly problems: readonly string[];
}

/** Resolves when no pod is waiting any more, or when `signal` aborts (what still waits is then a problem). */
export async function waitReady(
  api: ApiClient,
  pods: readonly PodRef[],
  signal: AbortSignal,
): Promise<WaitResult> {
  const states = new Map<string, PodProgress>(pods.map((pod) => [keyOf(pod), { state: "waiting" }]));
  await Promise.all(
    [...new Set(pods.map(({ namespace }) => namespace))].map((namespace) =>
      followNamespace(api, { namespace, states, signal }),
    ),
  );
  const problems = [...states].flatMap(([key, progress]) => {
    if (progress.state === "ready") return [];
    return [
      `pod "${key}" ${progress.state === "stuck" ? `cannot start: ${progress.why}` : "is not ready yet"}`,
    ];
  });
  return { ready: problems.length === 0, problems };
}

async function followNamespace(
  api: ApiClient,
  {
    namespace,
    states,
    signal,
  }: {
    readonly namespace: string;
    readonly states: Map<string, PodProgress>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const mine = () => [...states].filter(([key]) => key.startsWith(`${namespace}/`));
  const note = (pod: Pod) => {
    // What a pod does after it was ready, such as end, may be in the same answer.
    if (done.signal.aborted) return;
    const key = keyOf({ namespace, name: pod.metadata?.name ?? "" });
    if (states.has(key)) states.set(key, progressOf(pod));
    if (mine().every(([, { state }]) => state !== "waiting")) done.abort();
  };
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const list = await api.request<{ items: Pod[]; metadata: { resourceVersion: string } }>(path);
  list.items.forEach(note);
  if (done.signal.aborted) return;
  for await (const { type, object } of api.watch(path, list.metadata.resourceVersion, either)) {
    if (type === "ADDED" || type === "MODIFIED") note(object);
    if (type === "ERROR") break;
  }
}

function keyOf({ namespace, name }: PodRef): string {
  return `${namespace}/${name}`;
}

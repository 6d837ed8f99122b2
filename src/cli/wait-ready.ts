/** Follows what was applied until each of it is ready, done, or clearly not going to be. */
import type { LabelSelector } from "../../generated/kubernetes.ts";
import type { KubeObject } from "../k8s/object.ts";
import { labelSelectorOf } from "../k8s/selectors.ts";
import type { ApiClient } from "./api-client.ts";
import { listThenWatch } from "./list-then-watch.ts";
import { type Progress, progressOf } from "./progress.ts";

/** One object that is waited for. */
export interface AwaitedObject {
  /** As messages name it: `pod`, `deployment`. */
  readonly singular: string;
  /** Path of its namespace's collection, for example `/api/v1/namespaces/default/pods`. */
  readonly collection: string;
  readonly namespace: string;
  readonly name: string;
}

export interface WaitResult {
  readonly ready: boolean;
  /** One sentence per object that is not ready. */
  readonly problems: readonly string[];
}

/** Resolves when nothing is waiting any more, or when `signal` aborts (what still waits is then a problem). */
export async function waitReady(
  api: ApiClient,
  objects: readonly AwaitedObject[],
  signal: AbortSignal,
): Promise<WaitResult> {
  const waits = objects.map((object) => new Wait(object));
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const collections = new Set(waits.flatMap(({ object }) => [object.collection, podsOf(object)]));
  const follow = async (collection: string) => {
    for await (const { type, object } of listThenWatch(api, collection, either)) {
      if (type === "DELETED") continue;
      // What happens after everything was ready, such as an end, may be in the same answer.
      if (done.signal.aborted) return;
      for (const wait of waits) wait.note(collection, object);
      if (waits.every((wait) => !wait.isWaiting)) done.abort();
    }
  };
  await Promise.all([...collections].map(follow));
  const problems = waits.flatMap((wait) => wait.problem ?? []);
  return { ready: problems.length === 0, problems };
}

class Wait {
  readonly object: AwaitedObject;
  #progress: Progress = { state: "waiting" };
  #selector: ReturnType<typeof labelSelectorOf> | undefined;
  /** Pods that were seen before their workload. */
  #stuckPods = new Map<string, { readonly labels: Labels; readonly why: string }>();

  constructor(object: AwaitedObject) {
    this.object = object;
  }

  get isWaiting(): boolean {
    return this.#progress.state === "waiting";
  }

  get problem(): string | undefined {
    const { singular, namespace, name } = this.object;
    if (this.#progress.state === "ready") return undefined;
    const why = this.#progress.state === "stuck" ? `cannot start: ${this.#progress.why}` : "is not ready yet";
    return `${singular} "${namespace}/${name}" ${why}`;
  }

  note(collection: string, object: KubeObject): void {
    const { namespace, name } = this.object;
    if (collection === this.object.collection) {
      if (object.metadata.name !== name) return;
      this.#progress = progressOf(object);
      this.#selector = selectorOf(object);
    } else if (object.metadata.namespace === namespace) this.#notePod(object);
    if (this.isWaiting) this.#blamePods();
  }

  #notePod(pod: KubeObject): void {
    const progress = progressOf(pod);
    const uid = pod.metadata.uid ?? "";
    if (progress.state === "stuck" && pod.metadata.deletionTimestamp === undefined) {
      const why = `pod "${pod.metadata.name}": ${progress.why}`;
      this.#stuckPods.set(uid, { labels: pod.metadata.labels, why });
    } else this.#stuckPods.delete(uid);
  }

  #blamePods(): void {
    for (const { labels, why } of this.#stuckPods.values())
      if (this.#selector?.matches(labels) === true) this.#progress = { state: "stuck", why };
  }
}

type Labels = KubeObject["metadata"]["labels"];

/** Of the pods that may hold a workload up. A Job's failed pods are its own business: it may try again; Services wait for none. */
function selectorOf({ kind, spec }: KubeObject): ReturnType<typeof labelSelectorOf> | undefined {
  if (kind === "Pod" || kind === "Job" || kind === "Service") return undefined;
  return labelSelectorOf((spec as { readonly selector?: LabelSelector } | undefined)?.selector);
}

function podsOf({ namespace }: AwaitedObject): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}

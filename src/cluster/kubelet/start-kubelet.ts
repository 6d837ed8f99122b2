/** The node agent: runs the pods that the store says belong to this node. */
import { mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { KubeObject } from "../../k8s/object.ts";
import { asPod } from "../../k8s/pod.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Images } from "../images/image.ts";
import { parseResolvConf, withoutLoopback, type ResolverSettings } from "../net/resolv-conf.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store, WatchEvent } from "../store/store.ts";
import { backoffLimits } from "./crash-backoff.ts";
import { containerStreams } from "./container-streams.ts";
import { createEventRecorder } from "../store/event-recorder.ts";
import { stateFolders, type KubeletContext, type StateFolders } from "./kubelet-context.ts";
import { openLog } from "./logs/open-log.ts";
import { nodeCapacity, startNode } from "./node.ts";
import { PodWorker } from "./pod-worker.ts";
import type { IssueToken, KubeletPort } from "./port.ts";
import { startStorageEviction } from "./volumes/storage-eviction.ts";
import { referencedResources, referenceKey, type ReferencedResource } from "./referenced-objects.ts";

export interface KubeletOptions {
  /** Folders of this machine that `hostPath` volumes may reach; everything else means the node's throw-away root. */
  readonly hostPaths?: readonly string[];
  readonly allowPrivileged?: boolean;
  /** Longest wait between restarts of a crashing container, milliseconds. @default {300_000} */
  readonly maxContainerRestartPeriodMs?: number;
  /** @default {"cluster.local"} */
  readonly clusterDomain?: string;
  /** Addresses of the cluster's DNS; without any, pods use this machine's resolvers. */
  readonly clusterDNS?: readonly string[];
  /** Version of this program, for the node's `containerRuntimeVersion`. @default {"0.1.0"} */
  readonly version?: string;
  /** Signs tokens of service accounts for projected volumes; without it such volumes cannot be mounted. */
  readonly issueToken?: IssueToken;
  /** Told about errors that no pod's status can show. */
  readonly onError?: (error: unknown) => void;
}

export interface KubeletParts {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly images: Images;
  readonly clock: Clock;
  /** The cluster's state folder; `pods`, `logs` and `node` below it belong to the kubelet. */
  readonly stateDir: string;
  readonly nodeName: string;
  readonly options?: KubeletOptions;
}

export interface Kubelet {
  readonly port: KubeletPort;
  /** Containers that wait for an image try again: one was imported, or mapped. */
  imagesChanged(): void;
  /** True while a container runs from the unpacked image at this path, or is about to. */
  usesRootfs(path: string): boolean;
  /**
   * Stops all containers with their grace period, at most `graceSeconds`, and starts no more; a later call can only shorten
   * it. Objects, volumes and logs stay for the next engine, which starts the pods again. Resolves when nothing runs.
   */
  shutDown(graceSeconds: number): Promise<void>;
  /** Ends all work on pods. Their processes end with the sandbox. Idempotent. */
  stop(): Promise<void>;
}

/** Registers the node, takes over the pods that are in the store, and follows them. */
export async function startKubelet(parts: KubeletParts): Promise<Kubelet> {
  const { store, clock, stateDir, nodeName, sandbox, options = {} } = parts;
  const folders = stateFolders(resolve(stateDir));
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const capacity = nodeCapacity(folders.nodeRoot);
  const context: KubeletContext = {
    ...parts,
    folders,
    recorder: createEventRecorder({ store, clock, component: "kubelet", host: nodeName }),
    node: {
      name: nodeName,
      allocatable: capacity,
      nodeRoot: folders.nodeRoot,
      shared: (options.hostPaths ?? []).map((path) => resolve(path)),
    },
    dns: {
      clusterDNS: options.clusterDNS ?? [],
      clusterDomain: options.clusterDomain ?? "cluster.local",
      host: hostResolver(),
    },
    backoff: backoffLimits(options.maxContainerRestartPeriodMs),
    allowPrivileged: options.allowPrivileged ?? false,
    issueToken: options.issueToken,
  };
  await endOrphans(sandbox, store, nodeName);
  removeLeftovers(folders, store);
  const node = startNode({ store, clock, nodeName, sandbox, capacity, version: options.version ?? "0.1.0" });
  const pods = followPods(context, options.onError ?? (() => {}));
  return {
    port: {
      openLog: openLog({ store, clock, folders, ended: pods.containerEnded }),
      ...containerStreams({ workers: pods.workers, nodeUse: () => sandbox.usage() }),
    },
    imagesChanged: pods.imagesChanged,
    usesRootfs: pods.usesRootfs,
    shutDown: pods.shutDown,
    async stop() {
      node.stop();
      await pods.stop();
    },
  };
}

interface FollowedPods {
  readonly workers: () => Iterable<PodWorker>;
  readonly containerEnded: (podUid: string, container: string) => Promise<unknown> | undefined;
  readonly imagesChanged: () => void;
  readonly usesRootfs: (path: string) => boolean;
  readonly shutDown: (graceSeconds: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

function followPods(context: KubeletContext, onError: (error: unknown) => void): FollowedPods {
  const workers = new Map<string, PodWorker>();
  const adopted = new Map(context.sandbox.adopted.map((pod) => [pod.sandbox.uid, pod]));
  let isShuttingDown = false;
  const onPod = ({ type, object }: WatchEvent) => {
    const uid = object.metadata.uid ?? "";
    const worker = workers.get(uid);
    if (type === "DELETED") worker?.vanish();
    else if (worker !== undefined) worker.update(object);
    else if (type !== "BOOKMARK" && !isShuttingDown && isOurs(object, context.node.name)) {
      const pod = asPod(object);
      const onRemoved = () => workers.delete(uid);
      workers.set(uid, new PodWorker({ context, pod, adopted: adopted.get(uid), onError, onRemoved }));
      adopted.delete(uid);
    }
  };
  const unwatch = [
    context.store.watch("pods", {}, onPod),
    ...referencedResources.map((resource) => watchReferences(context.store, resource, workers)),
    startStorageEviction(context.clock, () => workers.values()),
  ];
  return {
    workers: () => workers.values(),
    containerEnded: (uid, container) => workers.get(uid)?.containerEnded(container),
    imagesChanged() {
      for (const worker of workers.values()) worker.imagesChanged();
    },
    usesRootfs: (path) => [...workers.values()].some((worker) => worker.usesRootfs(path)),
    async shutDown(graceSeconds) {
      isShuttingDown = true;
      await Promise.all([...workers.values()].map((worker) => worker.shutDown(graceSeconds)));
    },
    async stop() {
      for (const end of unwatch) end();
      await Promise.all([...workers.values()].map((worker) => worker.stop()));
    },
  };
}

/** Only changes from now on: pods read the objects themselves. */
function watchReferences(
  store: Store,
  resource: ReferencedResource,
  workers: ReadonlyMap<string, PodWorker>,
): () => void {
  return store.watch(resource, { resourceVersion: store.resourceVersion() }, ({ type, object }) => {
    if (type === "BOOKMARK") return;
    const { namespace = "", name = "" } = object.metadata;
    const key = referenceKey(resource, namespace, name);
    for (const worker of workers.values()) worker.objectChanged(key);
  });
}

function isOurs(object: KubeObject, nodeName: string): boolean {
  return asPod(object).spec.nodeName === nodeName;
}

function hostResolver(): ResolverSettings {
  try {
    return withoutLoopback(parseResolvConf(readFileSync("/etc/resolv.conf", "utf8")));
  } catch {
    // A machine without the file resolves nothing, and neither do its pods.
    return { nameservers: [], searches: [], options: [] };
  }
}

/** Pods whose object was deleted by force before the engine that ran them ended (kubelet HandlePodCleanups). */
async function endOrphans(sandbox: Sandbox, store: Store, nodeName: string): Promise<void> {
  const ours = store.list("pods").items.filter((pod) => isOurs(pod, nodeName));
  const uids = new Set(ours.map(({ metadata }) => metadata.uid));
  const orphans = sandbox.adopted.filter((pod) => !uids.has(pod.sandbox.uid));
  await Promise.all(orphans.map((pod) => pod.sandbox.destroy()));
}

/** Folders of pods that were deleted while no engine ran, or when one was killed. */
function removeLeftovers(folders: StateFolders, store: Store): void {
  const uids = new Set(store.list("pods").items.map(({ metadata }) => metadata.uid ?? ""));
  const remove = (folder: string, uidOf: (name: string) => string) => {
    for (const name of readdirSync(folder))
      if (!uids.has(uidOf(name))) rmSync(`${folder}/${name}`, { recursive: true, force: true });
  };
  remove(folders.pods, (name) => name);
  remove(folders.logs, (name) => name.slice(name.lastIndexOf("_") + 1));
}

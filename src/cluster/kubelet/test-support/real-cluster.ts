/** A cluster of real pods without the API, inside an engine's namespaces. */
import { join } from "node:path";
import type { Container, PodSpec } from "../../../../generated/kubernetes.ts";
import { resourceOf } from "../../../k8s/catalogue.ts";
import { asPod, type StoredPod } from "../../../k8s/pod.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { PLAIN_HOST } from "../../images/image-map.ts";
import { openImages } from "../../images/open-images.ts";
import { openSandbox } from "../../sandbox/open-sandbox.ts";
import { openStore } from "../../store/open-store.ts";
import type { Store } from "../../store/store.ts";
import { startKubelet, type KubeletOptions } from "../start-kubelet.ts";

const SOURCE = "test";
const NODE = "node-1";
/** Then a scenario says how its pods are and fails. */
const DEADLINE_MS = 15_000;

/** Everything real but the API. The image `host` is this machine. */
export async function openCluster(folder: string, options: KubeletOptions = {}) {
  const clock = systemClock;
  const store = openStore({ path: join(folder, "state.db"), clock, resources: resourceOf });
  for (const name of ["default", "kube-node-lease"])
    store.create("namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const entry = { name: "host", mapping: PLAIN_HOST, source: SOURCE, place: SOURCE };
  const images = openImages({
    root: join(folder, "images"),
    clock,
    platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : "arm64" },
    maps: [{ source: SOURCE, entries: [entry] }],
  });
  const sandbox = await openSandbox({ stateDir: folder });
  const errors: string[] = [];
  const kubelet = await startKubelet({
    store,
    sandbox,
    images,
    clock,
    stateDir: folder,
    nodeName: NODE,
    options: { onError: (error) => errors.push(String(error)), ...options },
  });
  const close = async () => {
    await kubelet.stop();
    await sandbox.close();
    store.close();
  };
  return { store, kubelet, sandbox, images, errors, close };
}

/** Closed by `close`. */
export type Cluster = Awaited<ReturnType<typeof openCluster>>;

/** A container that runs a script with the programs of this machine. */
export function shell(name: string, script: string, more: Partial<Container> = {}): Container {
  return { name, image: "host", command: ["sh", "-c", script], ...more };
}

/** Makes a Pod in `default`, as the API would. */
export function create({ store }: Cluster, name: string, spec: Omit<PodSpec, "nodeName">): void {
  store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name, labels: { app: name } },
    spec: { nodeName: NODE, restartPolicy: "Always", terminationGracePeriodSeconds: 5, ...spec },
  });
}

/** Resolves with milliseconds from now until it holds for the pod; `undefined` = the pod is gone. */
export function until(
  { store }: Cluster,
  name: string,
  holds: (pod: StoredPod | undefined) => boolean,
): Promise<number> {
  const begun = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const deadline = setTimeout(
    () => reject(new Error(`${name} did not get there: ${situation(store)}`)),
    DEADLINE_MS,
  );
  const look = () => {
    const object = store.get("pods", { namespace: "default", name });
    if (holds(object === undefined ? undefined : asPod(object))) resolve(performance.now() - begun);
  };
  const unwatch = store.watch("pods", {}, look);
  look();
  return promise.finally(() => {
    clearTimeout(deadline);
    unwatch();
  });
}

/** For the message of a test that waited in vain. */
export function situation(store: Store): string {
  const statuses = store.list("pods").items.map((pod) => asPod(pod).status);
  const events = store
    .list("events")
    .items.map(({ reason, message }) => `${String(reason)}: ${String(message)}`);
  return JSON.stringify({ statuses, events }, undefined, 1);
}

/** Every main container is ready. */
export const allRunning = (pod: StoredPod | undefined) =>
  pod?.status?.phase === "Running" && pod.status.containerStatuses?.every(({ ready }) => ready) === true;
/** Of the whole pod. */
export const hasEnded = (pod: StoredPod | undefined) =>
  ["Succeeded", "Failed"].includes(pod?.status?.phase ?? "");
/** It is out of the store. */
export const isGone = (pod: StoredPod | undefined) => pod === undefined;

/** Text of a container's log. */
export async function logs(
  cluster: Cluster,
  name: string,
  container: string,
  follow = false,
): Promise<string> {
  const options = { container, follow, previous: false, timestamps: false };
  const at = { namespace: "default", name };
  let text = "";
  for await (const piece of await cluster.kubelet.port.openLog(at, options, new AbortController().signal))
    text += Buffer.from(piece).toString();
  return text;
}

/** As it is in the store now. */
export function statusOf({ store }: Cluster, name: string) {
  const object = store.get("pods", { namespace: "default", name });
  return object === undefined ? undefined : asPod(object).status;
}

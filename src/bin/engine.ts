/** The engine: store, API, controllers, kubelet and sandbox of one cluster, in one process. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { EngineOptions } from "../cli/engine-control.ts";
import type { EngineRecord, StateFolder } from "../cli/state-folder.ts";
import type { ApiExtension } from "../cluster/api/extension.ts";
import { writeKubeconfig } from "../cluster/api/kubeconfig.ts";
import { openPki, type Pki } from "../cluster/api/pki.ts";
import { tokenIssuer } from "../cluster/api/service-account-tokens.ts";
import { type ApiServer, startApi } from "../cluster/api/start-api.ts";
import { seedCluster } from "../cluster/controllers/bootstrap.ts";
import { loadImageMap } from "../cluster/images/image-map-file.ts";
import { type LocalImages, openImages } from "../cluster/images/open-images.ts";
import { pillionImage } from "../cluster/images/pillion/pillion-image.ts";
import type { PullProgress } from "../cluster/images/pull.ts";
import { type Kubelet, startKubelet } from "../cluster/kubelet/start-kubelet.ts";
import { prepareStart } from "../cluster/sandbox/kept-pods.ts";
import { openSandbox } from "../cluster/sandbox/open-sandbox.ts";
import { openStore } from "../cluster/store/open-store.ts";
import type { Store } from "../cluster/store/store.ts";
import { resourceOf } from "../k8s/catalogue.ts";
import { systemClock } from "../kernel/clock.ts";
import { writeFileAtomic } from "../lib/atomic-file.ts";
import { startTimeOf } from "../lib/process-identity.ts";
import { startControllers } from "./engine-controllers.ts";
import { CLUSTER_DNS, startNetwork } from "./engine-network.ts";
import { handleImageCall, type ImageAdmin } from "./image-admin.ts";
import { ownProgram } from "./own-program.ts";
import { VERSION } from "./version.ts";

/** The kubelet's two seconds after the grace period, and one to be sure. */
const SECONDS_AFTER_GRACE = 3;

const StopOptions = z.strictObject({
  keepState: z.boolean().describe("Objects and volumes stay for the next start."),
  leavePods: z.boolean().describe("Pods go on for the next start; only in a cluster that keeps them."),
  graceSeconds: z.number().min(0).max(3600).describe("Seconds the pods get altogether."),
});
export type StopOptions = z.output<typeof StopOptions>;

export interface Engine {
  readonly port: number;
  readonly tier: string;
  readonly limits: readonly string[];
  /** How many pods of an earlier engine go on. */
  readonly adopted: number;
  /** Ends the pods, then everything else. Idempotent: a later call can only shorten the grace. */
  stop(options: StopOptions): Promise<void>;
}

/** Starts everything, ready for kubectl when it resolves. Rejects with a `Problem` and leaves nothing running. */
export async function startEngine(
  options: EngineOptions,
  onStopRequest: (stop: StopOptions) => void,
): Promise<Engine> {
  const { folder } = options;
  const clock = systemClock;
  const closing: ((leavePods: boolean) => Promise<void> | void)[] = [];
  const closeAll = async (leavePods = false) => {
    for (const close of closing.splice(0).toReversed()) await close(leavePods);
  };
  try {
    const { keep } = options;
    // First of all: it belongs to one engine at a time, so that another one's pods are never taken for leftovers.
    const store = openStore({ path: folder.database, clock, resources: resourceOf });
    closing.push(() => store.close());
    // Else the keeper has done so, which is among what would be found.
    if (!keep) await prepareStart(folder.path);
    const pki = await openPki({ folder: folder.pki, now: clock.now() });
    const sandbox = await openSandbox({
      stateDir: folder.path,
      keep,
      packetFilter: process.env["PILLION_PACKET_FILTER"] !== "off",
      onLogLost: (_, error) => logBug(error),
    });
    closing.push((leavePods) => (leavePods ? sandbox.release() : sandbox.close()));
    // The kubelet, which knows what runs, starts after the images that it needs.
    const running: { kubelet?: Kubelet } = {};
    const usesRootfs = (path: string) => running.kubelet?.usesRootfs(path) ?? false;
    const admin = openClusterImages(folder, { imageMaps: options.imageMaps, usesRootfs });
    const nodeName = hostname().toLowerCase();
    const kubelet = await startKubelet({
      store,
      sandbox,
      images: admin.images,
      clock,
      stateDir: folder.path,
      nodeName,
      options: {
        hostPaths: options.hostPaths,
        allowPrivileged: options.allowPrivileged,
        clusterDNS: CLUSTER_DNS,
        ...(options.maxRestartPeriodMs === undefined
          ? {}
          : { maxContainerRestartPeriodMs: options.maxRestartPeriodMs }),
        version: VERSION,
        issueToken: tokenIssuer({ store, clock, pki }),
        onError: logBug,
      },
    });
    running.kubelet = kubelet;
    closing.push(() => kubelet.stop());
    const api = await startApi({
      store,
      kubelet: kubelet.port,
      clock,
      pki,
      port: options.port,
      wishedPort: lastPort(folder),
      nodeName,
      connectService: (to, signal) => sandbox.connect(to, signal),
      onBug: logBug,
      extensions: [commandLineApi({ ...admin, onChange: () => kubelet.imagesChanged() }, onStopRequest)],
    });
    closing.push(() => api.close());
    seedCluster(store, { apiPort: api.port, nodeAddress: sandbox.nodeIP });
    const { create } = api;
    const controllers = [
      ...startControllers({ store, clock, create, pki, nodeName, folder, onError: logBug }),
    ];
    const stopControllers = () => {
      for (const stop of controllers.splice(0).toReversed()) stop();
    };
    closing.push(stopControllers);
    closing.push(...(await startNetwork({ store, sandbox, clock, apiPort: api.port, onError: logBug })));
    announce(folder, { api, pki, detached: options.detached });
    const { name: tier } = sandbox.tier;
    const limits = [...sandbox.tier.limits, ...(await sandbox.packetFilter).limits];
    const adopted = sandbox.adopted.length;
    const stop = stopOnce({ store, kubelet, folder, stopControllers, closeAll });
    return { port: api.port, tier, limits, adopted, stop };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** The image store of a cluster, running or not. `imageMaps` are files; without it the kept map stays as it is. */
export function openClusterImages(
  folder: StateFolder,
  {
    imageMaps,
    usesRootfs = () => false,
  }: {
    readonly imageMaps?: readonly string[];
    /** True while a container runs from that unpacked image. */
    readonly usesRootfs?: (path: string) => boolean;
  } = {},
): ImageAdmin {
  mkdirSync(folder.images, { recursive: true, mode: 0o700 });
  const listeners = new Set<(progress: PullProgress) => void>();
  const images: LocalImages = openImages({
    root: folder.images,
    clock: systemClock,
    platform: { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
    maps: imageMaps?.map(loadImageMap),
    builtin: pillionImage({
      folder: folder.ownImage,
      program: ownProgram(folder.ownImage),
      isUsed: usesRootfs,
    }),
    inUse: ({ rootfs }) => usesRootfs(rootfs),
    proxyVariables: process.env,
    onProgress(progress) {
      for (const listener of listeners) listener(progress);
    },
  });
  return {
    images,
    onChange: () => {},
    onProgress(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** To the engine's log: what no user did and no object can show. */
function logBug(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}

/** The port of the engine before; 0 when there was none. Kubeconfigs in other shells name it. */
function lastPort({ lastPort: file }: StateFolder): number {
  try {
    const port = Number(readFileSync(file, "utf8"));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0;
  } catch {
    return 0;
  }
}

/** From here on other commands find the cluster. */
function announce(
  folder: StateFolder,
  { api, pki, detached }: { readonly api: ApiServer; readonly pki: Pki; readonly detached: boolean },
): void {
  writeKubeconfig(folder.kubeconfig, {
    cluster: folder.cluster,
    server: `https://127.0.0.1:${api.port}`,
    authority: pki.authority,
    token: pki.token,
  });
  const startTime = startTimeOf(process.pid) ?? "";
  const record: EngineRecord = { pid: process.pid, startTime, port: api.port, version: VERSION, detached };
  writeFileSync(folder.lastPort, `${api.port}\n`, { mode: 0o600 });
  writeFileAtomic(folder.engineRecord, `${JSON.stringify(record)}\n`, 0o600);
}

/** `/pillion/v1/`: what the command line asks of the engine; answers are lines of JSON. */
function commandLineApi(admin: ImageAdmin, onStopRequest: (stop: StopOptions) => void): ApiExtension {
  return {
    prefix: "/pillion/v1/",
    async *handle(call) {
      if (call.method === "POST" && call.path === "stop") {
        onStopRequest(StopOptions.parse(call.body));
        yield { stopping: true };
        return;
      }
      yield* handleImageCall(admin, call);
    },
  };
}

function stopOnce({
  store,
  kubelet,
  folder,
  stopControllers,
  closeAll,
}: {
  readonly store: Store;
  readonly kubelet: Kubelet;
  readonly folder: StateFolder;
  readonly stopControllers: () => void;
  readonly closeAll: (leavePods: boolean) => Promise<void>;
}): Engine["stop"] {
  let ending: Promise<void> | undefined;
  return async (options) => {
    const { keepState, leavePods, graceSeconds } = options;
    // First of all: they would replace every pod that ends.
    stopControllers();
    if (!keepState) deletePods(store, graceSeconds);
    const shutDown = () => (keepState ? kubelet.shutDown(graceSeconds) : podsGone(store));
    const stopped = leavePods ? Promise.resolve() : shutDown();
    ending ??= (async () => {
      await withinSeconds(graceSeconds + SECONDS_AFTER_GRACE, stopped);
      await closeAll(leavePods);
      rmSync(folder.engineRecord, { force: true });
      // Other shells go on with it: the next engine has the same port and the same keys.
      if (!keepState) rmSync(folder.kubeconfig, { force: true });
    })();
    await ending;
  };
}

/** Every pod gets its own grace period, but no more than the stop allows. Nobody is left to take its finalizers away. */
function deletePods(store: Store, graceSeconds: number): void {
  for (const { metadata, spec } of store.list("pods").items) {
    const at = { namespace: metadata.namespace ?? "", name: metadata.name ?? "" };
    const own = (spec as { terminationGracePeriodSeconds?: number }).terminationGracePeriodSeconds ?? 30;
    const { gone } = store.delete("pods", at, { gracePeriodSeconds: Math.min(own, graceSeconds) });
    if (gone || metadata.finalizers === undefined) continue;
    store.update("pods", at, (pod) => ({ ...pod, metadata: { ...pod.metadata, finalizers: [] } }));
  }
}

/** Resolves when the last pod is gone. */
async function podsGone(store: Store): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const check = () => {
    if (store.list("pods", { limit: 1 }).items.length === 0) resolve();
  };
  const unwatch = store.watch("pods", {}, check);
  check();
  await promise;
  unwatch();
}

/** Waits no longer than that. */
async function withinSeconds(seconds: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = systemClock.schedule(seconds * 1000, resolve);
  await Promise.race([promise, work]);
  cancel();
}

/** Deletes what `down` deletes: objects, volumes, logs. Images, certificates and the lock stay. */
export function deleteState(folder: StateFolder): void {
  for (const suffix of ["", "-wal", "-shm", ".lock"]) rmSync(`${folder.database}${suffix}`, { force: true });
  for (const name of ["pods", "logs", "node", "sandbox"]) {
    rmSync(join(folder.path, name), { recursive: true, force: true });
  }
  for (const file of [folder.engineRecord, folder.kubeconfig, folder.lastPort]) rmSync(file, { force: true });
}

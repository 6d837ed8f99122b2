/** Looks now and then at what pods with limits have written to disk, and ends those that have written too much. */
import { join } from "node:path";
import type { Clock } from "../../../kernel/clock.ts";
import { diskUsage } from "../../../lib/disk-usage.ts";
import { evictPod } from "../evict-pod.ts";
import { containerLogFolder, type KubeletContext } from "../kubelet-context.ts";
import type { PodState } from "../pod-state.ts";
import { hasStorageLimit, whyEvicted, type StorageUse } from "./storage-limits.ts";

/** The kubelet's eviction manager looks every ten seconds, too. */
const PERIOD_MS = 10_000;

export interface StorageGuard {
  /** Resolves when the pod has been looked at. */
  checkStorage(): Promise<void>;
}

/** One pod after the other, so that a large volume never takes more than one thread of the pool. */
export function startStorageEviction(clock: Clock, pods: () => Iterable<StorageGuard>): () => void {
  let isStopped = false;
  let cancel = () => {};
  const look = async () => {
    for (const pod of pods()) if (!isStopped) await pod.checkStorage();
    if (!isStopped) arm();
  };
  const arm = () => {
    cancel = clock.schedule(PERIOD_MS, () => void look());
  };
  arm();
  return () => {
    isStopped = true;
    cancel();
  };
}

/** True when the pod has been evicted now. */
export async function evictOverfull(context: KubeletContext, state: PodState): Promise<boolean> {
  if (!isEvictable(state) || !hasStorageLimit(state.pod.spec)) return false;
  const message = await whyEvicted(state.pod.spec, storageUse(context, state));
  if (message === undefined || !isEvictable(state)) return false;
  evictPod(context, state, message);
  return true;
}

function isEvictable({ termination, volumes, isGone }: PodState): boolean {
  return termination === undefined && volumes !== undefined && !isGone;
}

function storageUse({ folders }: KubeletContext, state: PodState): StorageUse {
  const measured = new Map<string, Promise<number>>();
  const once = (key: string, measure: () => Promise<number>) => {
    const known = measured.get(key) ?? measure();
    measured.set(key, known);
    return known;
  };
  return {
    async volume(name, enough) {
      const volume = state.volumes?.get(name);
      if (volume === undefined) return 0;
      return once(`volume ${name}`, () => diskUsage(join(volume.root, volume.path), { enough }));
    },
    container: (name, enough) =>
      once(`container ${name}`, async () => {
        const written = state.containers.get(name)?.running?.writtenBytes() ?? 0;
        return written + (await diskUsage(containerLogFolder(folders, state.pod, name), { enough }));
      }),
  };
}

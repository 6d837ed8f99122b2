/** Finds what an engine that kept its pods has left running. */
import { readlinkSync } from "node:fs";
import { isRunning, type ProcessIdentity } from "../../lib/process-identity.ts";
import { keepsPods, type Keeper } from "./keeper.ts";
import { type ContainerDetails, type PodDetails, readKeptDetails } from "./kept-details.ts";
import { readProcessRecords, reapLeftovers } from "./leftovers.ts";

export interface Kept<Details> {
  readonly identity: ProcessIdentity;
  readonly details: Details;
}

export interface KeptPods {
  /** Holds the node's namespaces; it runs. */
  readonly node: ProcessIdentity;
  readonly keepers: readonly Keeper[];
  /** Their processes and containers may have ended. */
  readonly pods: readonly (Kept<PodDetails> & { readonly containers: readonly Kept<ContainerDetails>[] })[];
  /** Recorded processes that cannot be adopted. */
  readonly strays: readonly ProcessIdentity[];
}

/** Undefined when there is nothing to go on with. */
export function findKeptPods(stateDir: string): KeptPods | undefined {
  if (!keepsPods(stateDir)) return undefined;
  let node: ProcessIdentity | undefined;
  const keepers: Keeper[] = [];
  const pods: Kept<PodDetails>[] = [];
  const containers: Kept<ContainerDetails>[] = [];
  const strays: ProcessIdentity[] = [];
  for (const { identity, details: written } of readProcessRecords(stateDir)) {
    const details = readKeptDetails(written);
    if (details?.kind === "node" && isRunning(identity)) node = identity;
    else if (details?.kind === "keeper") keepers.push({ identity, details });
    else if (details?.kind === "pod") pods.push({ identity, details });
    else if (details?.kind === "container") containers.push({ identity, details });
    else strays.push(identity);
  }
  if (node === undefined) return undefined;
  const uids = new Set(pods.map(({ details }) => details.spec.uid));
  for (const { identity, details } of containers) if (!uids.has(details.podUid)) strays.push(identity);
  return {
    node,
    keepers,
    strays,
    pods: pods.map((pod) => ({
      ...pod,
      containers: containers.filter(({ details }) => details.podUid === pod.details.spec.uid),
    })),
  };
}

/** Also those of an engine that has left no pods. */
export function findKeepers(stateDir: string): Keeper[] {
  return readProcessRecords(stateDir).flatMap(({ identity, details: written }) => {
    const details = readKeptDetails(written);
    return details?.kind === "keeper" ? [{ identity, details }] : [];
  });
}

/** True in the namespaces that `kept` runs in: only there are its mounts. */
export function isAmong({ node }: KeptPods): boolean {
  try {
    return readlinkSync(`/proc/${node.pid}/ns/mnt`) === readlinkSync("/proc/self/ns/mnt");
  } catch {
    return false;
  }
}

/** Unpacked images that kept containers run from. */
export function keptImages(stateDir: string): ReadonlySet<string> {
  const rootfs = findKeptPods(stateDir)?.pods.flatMap(({ containers }) =>
    containers.map(({ details }) => details.spec.rootfs),
  );
  return new Set(rootfs?.flatMap((root) => (root.kind === "image" ? [root.path] : [])));
}

/**
 * Before a start: the pid of a process in whose namespaces the engine can go on with its pods. When there is none, what an engine
 * has left is ended. Throws as `reapLeftovers` does.
 */
export async function prepareStart(stateDir: string): Promise<number | undefined> {
  const kept = findKeptPods(stateDir);
  if (kept !== undefined) return kept.node.pid;
  await reapLeftovers(stateDir);
  return undefined;
}

/** Opens the sandbox: probes the machine, starts the node's namespaces, and hands out pods until it is closed. */
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../kernel/clock.ts";
import { Problem } from "../../kernel/problem.ts";
import { formatIpv4 } from "../../lib/ipv4.ts";
import type { Cgroups } from "./cgroups/open-cgroups.ts";
import { type Adoption, adoptNode, adoptPods, prepareAdoption } from "./adopt-pods.ts";
import { startCgroups } from "./cgroups/start-cgroups.ts";
import { createContainerRuntime } from "./container.ts";
import { watchExits } from "./exits.ts";
import { LaunchError, type Launcher, loadLauncher } from "./launcher.ts";
import { commandKeepers, endKeeping } from "./keeper.ts";
import { findKeepers, findKeptPods, isAmong, type KeptPods } from "./kept-pods.ts";
import { openProcessRecords, reapLeftovers, sandboxFolder } from "./leftovers.ts";
import * as linux from "./linux-constants.ts";
import {
  buildForwarding,
  buildNodeNetwork,
  DEFAULT_RANGES,
  type NetworkRanges,
  nodeAddress,
} from "./network.ts";
import { addressPool } from "./network-addresses.ts";
import { createPodSandbox, type PodTools, sumOf } from "./pod-sandbox.ts";
import { type Holder, type HolderTools, sleepPath, startHolder } from "./pod-sandbox-holder.ts";
import { findPacketFilter, NOT_FORWARDING, type PacketFilterPlace, SWITCHED_OFF } from "./packet-filter.ts";
import { openPipePeek } from "./pipe-peek.ts";
import { probe } from "./probe.ts";
import { type MachineFacts, readMachineFacts } from "./probe-facts.ts";
import { Program } from "./program.ts";
import { openReadiness } from "./readiness.ts";
import type { FoundPacketFilter, PodSandbox, Sandbox } from "./sandbox.ts";
import { createSocketFactory } from "./socket-factory.ts";
import { decideTier, noNamespaces, platformProblem, noPacketFilterLimit, withCgroups } from "./tier.ts";

export interface SandboxOptions {
  /** The cluster's folder; the sandbox keeps to `sandbox/` in it. */
  readonly stateDir: string;
  readonly ranges?: NetworkRanges;
  readonly clock?: Clock;
  /** Pods outlive the engine, which is a child of a keeper (keeper.ts). */
  readonly keep?: boolean;
  /** False: the kernel is left alone even if it could carry traffic to Services. @default {true} */
  readonly packetFilter?: boolean;
  /** Told when lines of a container's log cannot be written, once per outage. */
  readonly onLogLost?: ((containerId: string, error: unknown) => void) | undefined;
}

/**
 * Needs an engine inside the namespaces of `namespaceCommand`, and `reapLeftovers` before. Rejects with a Problem
 * (E_UNSUPPORTED_PLATFORM, E_NO_NAMESPACES, ...) where pods would not run right, and then leaves nothing.
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { stateDir, ranges = DEFAULT_RANGES, clock = systemClock, keep = false } = options;
  const facts = readMachineFacts();
  const unsupported = platformProblem(facts);
  if (unsupported !== undefined) throw unsupported;
  refuseHostMounts();
  const launcher = loadLauncher();
  const folder = sandboxFolder(stateDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const namespaces = decideTier(facts, probe(launcher, folder));
  const sleep = sleepPath();
  const exits = watchExits(launcher, clock);
  const kept = await keptHere(stateDir);
  const readiness = keep || kept !== undefined ? openReadiness(launcher) : undefined;
  const keptLogs = readiness === undefined ? undefined : { readiness, peek: openPipePeek(launcher) };
  const tools = {
    launcher,
    exits,
    records: openProcessRecords(stateDir),
    diesWithEngine: !keep,
    sleep,
    env: [`PILLION_STATE=${stateDir}`],
  };
  const cgroups = startCgroups({ launcher, stateDir, sandboxFolder: folder });
  const adoption =
    kept === undefined || readiness === undefined
      ? undefined
      : { kept, ...prepareAdoption({ launcher, exits, clock, readiness }, kept) };
  const node = startNode(tools, { ranges, facts, cgroups, adoption });
  const isRouted = forwards(launcher, node.netns);
  const isWanted = options.packetFilter ?? true;
  const packetFilter = packetFilterOf({ launcher, ...node }, { isWanted, isRouted });
  const tier = withCgroups(namespaces, cgroups);
  const pods = new Set<PodSandbox>();
  const containers = createContainerRuntime({
    launcher,
    exits,
    clock,
    folder: join(folder, "containers"),
    stateDir,
    diesWithEngine: !keep,
    keptLogs,
    onLogLost: options.onLogLost,
  });
  const sockets = createSocketFactory({ launcher, clock, node: node.netns });
  const podTools: PodTools = {
    ...tools,
    sockets,
    ranges,
    addresses: addressPool(ranges.pods),
    nodeNetns: node.netns,
    isRouted,
    containers,
    cgroups,
    clock,
    sharedMemoryFolder: join(folder, "shm"),
    keepsPods: keep,
    onDestroyed: (pod) => pods.delete(pod),
  };
  const adopted = adoption === undefined ? [] : adoptPods(podTools, adoption.kept, adoption);
  for (const { sandbox } of adopted) pods.add(sandbox);
  if (!keep) endKeeping(stateDir);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await Promise.all([...pods].map((pod) => pod.destroy()));
    await containers.close();
    sockets.close();
    await node.stop();
    cgroups.close();
    exits.close();
    readiness?.close();
    endKeeping(stateDir);
    commandKeepers({ launcher, clock }, findKeepers(stateDir)).stop();
  };
  return {
    tier,
    packetFilter,
    nodeIP: formatIpv4(nodeAddress(ranges)),
    nodeNamespace: node.netns,
    adopted,
    async createPod(spec) {
      if (closed !== undefined) throw isClosed();
      const pod = createPodSandbox(podTools, spec);
      pods.add(pod);
      return pod;
    },
    connect: (to, signal) => sockets.connect({ to, signal }),
    listenTcp: (at) => sockets.listenTcp(at),
    bindUdp: (at) => sockets.bindUdp(at),
    connectUdp: (to) => sockets.connectUdp(to),
    usage() {
      const use = cgroups.usage() ?? sumOf([...pods].flatMap((pod) => pod.usage() ?? []));
      return { ...use, measuredAt: clock.now() };
    },
    async release() {
      if (!keep || pods.size === 0) return await (closed ??= close());
      sockets.close();
      exits.close();
    },
    close: () => (closed ??= close()),
  };
}

/** What runs in this mount namespace and can be adopted. What runs elsewhere is ended. */
async function keptHere(stateDir: string): Promise<KeptPods | undefined> {
  const kept = findKeptPods(stateDir);
  if (kept === undefined || isAmong(kept)) return kept;
  await reapLeftovers(stateDir);
  return undefined;
}

interface Node {
  readonly netns: number;
  readonly netnsPath: string;
  stop(): Promise<void>;
}

/** The node: a network namespace with the bridge that all pods hang on. */
function startNode(
  tools: HolderTools,
  {
    ranges,
    facts,
    cgroups,
    adoption,
  }: {
    readonly ranges: NetworkRanges;
    readonly facts: MachineFacts;
    readonly cgroups: Cgroups;
    readonly adoption: (Adoption & { readonly kept: KeptPods }) | undefined;
  },
): Node {
  let holder: Holder;
  try {
    holder =
      adoption === undefined
        ? startHolder(tools, {
            flags: linux.CLONE_NEWNET,
            build: (program) => buildNodeNetwork(program, ranges),
            what: "the node",
            details: { kind: "node" },
          })
        : adoptNode(tools, adoption.kept, adoption);
  } catch (error) {
    cgroups.close();
    tools.exits.close();
    throw error instanceof LaunchError ? noNamespaces(facts, error.message) : error;
  }
  const netnsPath = `/proc/${holder.pid}/ns/net`;
  const netns = openSync(netnsPath, "r");
  return {
    netns,
    netnsPath,
    async stop() {
      closeSync(netns);
      await holder.stop();
    },
  };
}

/** Pods have to go through the node, or what it translates comes back another way. */
async function packetFilterOf(
  place: PacketFilterPlace,
  { isWanted, isRouted }: { readonly isWanted: boolean; readonly isRouted: boolean },
): Promise<FoundPacketFilter> {
  const found = !isWanted ? SWITCHED_OFF : isRouted ? await findPacketFilter(place) : NOT_FORWARDING;
  if ("apply" in found) return { filter: found, limits: [] };
  return { filter: undefined, limits: [noPacketFilterLimit(found)] };
}

/** Makes a router of the node, also of one that an earlier engine has made. */
function forwards(launcher: Launcher, nodeNetns: number): boolean {
  const program = new Program();
  buildForwarding(program, nodeNetns);
  try {
    launcher.run(program);
    return true;
  } catch (error) {
    if (error instanceof LaunchError) return false;
    throw error;
  }
}

/** Outside of namespaces of our own, memory volumes would be mounted on the machine itself. */
function refuseHostMounts(): void {
  if (!isRootShared() && !hasMountsOfProcess1()) return;
  throw new Error(
    "openSandbox() was called outside of namespaceCommand(): mounts would be seen by the whole machine",
  );
}

/** On most machines `/` hands mounts on to other namespaces (systemd makes it so); behind `--propagation slave` never. */
function isRootShared(): boolean {
  const root = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .findLast((fields) => fields[4] === "/");
  return root?.some((field) => field.startsWith("shared:")) ?? false;
}

function hasMountsOfProcess1(): boolean {
  const mountsOf = (pid: string) => readlinkSync(`/proc/${pid}/ns/mnt`);
  try {
    return process.pid !== 1 && mountsOf("1") === mountsOf("self");
  } catch {
    return false; // Process 1 is not ours to look at, as for every ordinary user.
  }
}

function isClosed(): Problem {
  return new Problem({
    code: "E_SANDBOX_CLOSED",
    message: "Cannot start the pod: the cluster is stopping",
    fix: "Start the cluster again with `pillion up`",
  });
}

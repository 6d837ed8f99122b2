/** What carries the traffic of a cluster: its DNS, the ways of pods to the API and out, Services. */
import { DNS_SERVICE_IP } from "../k8s/cluster-network.ts";
import { startClusterDns } from "../cluster/net/dns/start-cluster-dns.ts";
import { startEgress } from "../cluster/net/egress/egress.ts";
import { startApiRelay } from "../cluster/net/api-relay.ts";
import { KernelServices } from "../cluster/net/kernel/kernel-services.ts";
import type { PacketFilter } from "../cluster/net/packet-filter.ts";
import { createServiceProxy } from "../cluster/net/service-proxy.ts";
import { startServiceTraffic } from "../cluster/net/service-traffic.ts";
import { DEFAULT_RANGES } from "../cluster/sandbox/network.ts";
import type { Sandbox } from "../cluster/sandbox/sandbox.ts";
import { createEventRecorder } from "../cluster/store/event-recorder.ts";
import type { Store } from "../cluster/store/store.ts";
import type { Clock } from "../kernel/clock.ts";

/** Where node ports come in on this machine. */
const MACHINE = "127.0.0.1";

export interface EngineNetwork {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly apiPort: number;
  /** Told of failures that no object can show. */
  readonly onError: (error: unknown) => void;
}

/** Addresses of DNS servers, for the pods' resolv.conf. */
export const CLUSTER_DNS: readonly string[] = [DNS_SERVICE_IP];

/** Gives what ends each. Rejects when an address of the cluster cannot be had. */
export async function startNetwork(options: EngineNetwork): Promise<readonly (() => void)[]> {
  const { store, sandbox, clock, apiPort, onError } = options;
  const { nodeIP } = sandbox;
  const closing: (() => void)[] = [];
  try {
    closing.push(
      await startApiRelay({ sockets: sandbox, at: [{ ip: nodeIP, port: apiPort }], apiPort }),
      await startClusterDns({ source: store, sockets: sandbox, clock, onError }),
    );
    // Last, since it may still be looked for.
    const { filter } = await sandbox.packetFilter;
    closing.push(...startServices(options, filter));
    if (filter !== undefined) {
      const cluster = [DEFAULT_RANGES.pods, DEFAULT_RANGES.services];
      const egress = await startEgress({ sockets: sandbox, filter, nodeIP, cluster, clock }).catch(onError);
      // A cluster without a way out is still one.
      if (egress !== undefined) closing.push(egress);
    }
    return closing;
  } catch (error) {
    for (const close of closing.toReversed()) close();
    throw error;
  }
}

function startServices(
  { store, sandbox, clock, onError }: EngineNetwork,
  filter: PacketFilter | undefined,
): readonly (() => void)[] {
  const { nodeIP } = sandbox;
  const proxy = createServiceProxy({ network: sandbox, clock });
  const stopTraffic = startServiceTraffic({
    store,
    clock,
    proxy,
    kernel: filter === undefined ? undefined : new KernelServices({ filter, ...DEFAULT_RANGES, nodeIP }),
    recorder: createEventRecorder({ store, clock, component: "service-controller", host: "" }),
    places: { nodeIP, machineIPs: [MACHINE] },
    onError,
  });
  return [() => proxy.close(), stopTraffic];
}

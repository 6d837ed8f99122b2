/** The way out of pods: the engine takes their connections to other machines, and makes each once more as this machine's own. */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../../../kernel/clock.ts";
import type { Ipv4Range } from "../../../lib/ipv4.ts";
import { hangUp, joinSockets } from "../join-sockets.ts";
import type { NodeSockets } from "../node-sockets.ts";
import type { PacketFilter } from "../packet-filter.ts";
import type { Address } from "../service-network.ts";
import { mayLeaveFor } from "./destinations.ts";
import { egressRules } from "./egress-rules.ts";
import { ownAddresses } from "./own-addresses.ts";

/** Of all pods together, and of one of them; who comes beyond this is hung up on. Each takes two descriptors. */
const MAX_CONNECTIONS = 4096;
const MAX_OF_ONE_POD = 1024;
/** Some kernels go on for two minutes; a client that has heard nothing by then seldom waits longer. */
const DIAL_MS = 30_000;
/** How long it may take until a new address of this machine is known. */
const ADDRESSES_MS = 100;

export interface EgressOptions {
  readonly sockets: Pick<NodeSockets, "listenTcp">;
  readonly filter: Pick<PacketFilter, "apply" | "openNode" | "originalDestination">;
  /** Where the node listens for what is on its way out. */
  readonly nodeIP: string;
  /** Of pods and Services. */
  readonly cluster: readonly Ipv4Range[];
  readonly clock: Clock;
}

/**
 * Opens the way. Rejects when the kernel refuses. Returns what ends it and all connections; idempotent. The rules stay: without
 * the engine, connections are refused.
 */
export async function startEgress(options: EgressOptions): Promise<() => void> {
  const egress = new Egress(options);
  await egress.open();
  return () => egress.close();
}

class Egress {
  readonly #options: EgressOptions;
  readonly #server: Server;
  /** With the pod that each came from. */
  readonly #sockets = new Map<Socket, string>();
  readonly #ofPod = new Map<string, number>();
  #machine: { readonly own: readonly Ipv4Range[]; readonly until: number } | undefined;

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  async open(): Promise<void> {
    const { sockets, filter, nodeIP, cluster } = this.#options;
    const fd = sockets.listenTcp({ ip: nodeIP, port: 0 });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ fd }, resolve);
    });
    // Out of descriptors: the client waits in the kernel's queue until there are some.
    this.#server.on("error", () => undefined);
    const bound = this.#server.address();
    try {
      if (typeof bound !== "object" || bound === null) throw new Error("A socket without an address");
      await filter.apply(egressRules({ cluster, at: { ip: nodeIP, port: bound.port } }));
      filter.openNode();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets.keys()) hangUp(socket);
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    const pod = socket.remoteAddress ?? "";
    const ofPod = this.#ofPod.get(pod) ?? 0;
    const to = this.#destinationOf(socket);
    if (to === undefined || this.#sockets.size >= MAX_CONNECTIONS || ofPod >= MAX_OF_ONE_POD) {
      hangUp(socket);
      return;
    }
    this.#sockets.set(socket, pod);
    this.#ofPod.set(pod, ofPod + 1);
    socket.once("close", () => this.#forget(socket, pod));
    this.#passOn(socket, to);
  }

  #forget(socket: Socket, pod: string): void {
    if (!this.#sockets.delete(socket)) return;
    const left = (this.#ofPod.get(pod) ?? 1) - 1;
    if (left > 0) this.#ofPod.set(pod, left);
    else this.#ofPod.delete(pod);
  }

  /** Undefined for where nobody may go, and for who has asked for the engine's own port. */
  #destinationOf(socket: Socket): Address | undefined {
    const fd = descriptorOf(socket);
    const to = fd === undefined ? undefined : this.#options.filter.originalDestination(fd);
    return to !== undefined && this.#mayLeaveFor(to) ? to : undefined;
  }

  #mayLeaveFor({ ip }: Address): boolean {
    const { clock, cluster } = this.#options;
    if (this.#machine === undefined || clock.monotonic() >= this.#machine.until)
      this.#machine = { own: ownAddresses(), until: clock.monotonic() + ADDRESSES_MS };
    return mayLeaveFor(ip, { cluster, own: this.#machine.own });
  }

  #passOn(socket: Socket, { ip, port }: Address): void {
    const target = connect({ host: ip, port, allowHalfOpen: true, noDelay: true });
    const giveUp = () => {
      target.destroy();
      hangUp(socket);
    };
    const cancel = this.#options.clock.schedule(DIAL_MS, giveUp);
    socket.once("close", giveUp);
    target.once("error", giveUp);
    target.once("connect", () => {
      cancel();
      socket.off("close", giveUp);
      // It may have become this machine's own. Where nobody told of a local route, both ends are one.
      if (target.localAddress === target.remoteAddress || !this.#mayLeaveFor({ ip, port })) giveUp();
      else joinSockets(socket, target);
    });
    target.once("close", cancel);
  }
}

/** Bun has it, and Node's types do not know. */
function descriptorOf(socket: Socket): number | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/** What the kernel can do for traffic of the node, which only the sandbox can tell it: rules of nftables, and connections. */
import type { Address } from "./service-network.ts";

/** Connections that rules have marked (`ct mark`): those whose mark has `value` in the bits of `mask`. */
export interface ConnectionMark {
  readonly value: number;
  readonly mask: number;
}

/** Acts in the node's network namespace, never in this machine's. */
export interface PacketFilter {
  /** Runs lines of nft(8) as one transaction: all of them or none. Rejects with what the program said. Takes 5 to 30 ms. */
  apply(script: string): Promise<void>;
  /** The kernel forgets them: the next datagram of each begins anew. For UDP; throws the system's error. */
  forget(mark: ConnectionMark): void;
  /**
   * Gives the node a route to everywhere, without which its own programs (`hostNetwork`) get no further than to ask for one.
   * It leads to the pods, so rules have to stop what must not go there. Idempotent; throws the system's error.
   */
  openNode(): void;
  /** Where a connection was on its way to before a rule redirected it to a socket of the engine; undefined when none did. */
  originalDestination(fd: number): Address | undefined;
}

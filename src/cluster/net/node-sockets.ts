/** Sockets in the node's network namespace, as what serves the pods needs them. The sandbox has them. */

interface Address {
  readonly ip: string;
  readonly port: number;
}

/** Descriptors belong to who asked for them. Both throw with the kernel's `code` (EADDRINUSE, EADDRNOTAVAIL). */
export interface NodeSockets {
  /** Listens there; any address of the Service network can be had. */
  listenTcp(at: Address): number;
  bindUdp(at: Address): number;
}

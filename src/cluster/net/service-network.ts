/** What the traffic of Services needs of the node: sockets in its network namespace, and the way there for a thread. */

export interface Address {
  /** IPv4, in digits. */
  readonly ip: string;
  readonly port: number;
}

/** Descriptors are the caller's to adopt and close. Everything fails with an error that has the kernel's `code`. */
export interface ServiceNetwork {
  /** A descriptor of the node's network namespace; the sandbox's to close. Nobody enters it who runs JavaScript. */
  readonly nodeNamespace: number;
  /** Listens on an address of the node or of a Service. */
  listenTcp(at: Address): number;
  bindUdp(at: Address): number;
  /** Datagrams between the node and one address; nobody else's are received. */
  connectUdp(to: Address): number;
}

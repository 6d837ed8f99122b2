/** What keeps the traffic of one address of a Service, whatever its protocol. */

export interface ServiceListener {
  /** That go on; 0 for datagrams. */
  readonly connections: number;
  /** Nobody new comes in; connections go on. Idempotent. */
  close(): void;
  /** Ends the connections as well. Idempotent. */
  destroy(): void;
  /** Endpoints have changed: what is on its way to one that has gone goes elsewhere. */
  recheck(): void;
}

/** Contract of the places where syslog messages come in. */

export interface SyslogReceiver {
  /** For people: a path, or `udp :514`. */
  readonly place: string;
  /** Rejects with what hinders it; may be called again then. */
  open(): Promise<void>;
  /** Whether senders are to wait. What they cannot be told to wait with is lost, and counted. */
  hold(isHeld: boolean): void;
  /** Takes what has arrived by now. */
  drain(): Promise<void>;
  /** What has arrived and can still be taken is taken. Idempotent; also before `open`. */
  close(): void;
}

export type TakeMessage = (message: Uint8Array) => void;

/** Anybody in the pod may send. */
export const SOCKET_MODE = 0o666;

/** Turns of the event loop in which senders are still heard when the sidecar finishes. */
const LAST_TURNS = 1_000;

/** Lets the event loop bring in what has arrived, as long as `isWaiting` says so. */
export async function letArrive(isWaiting: () => boolean): Promise<void> {
  for (let turn = 0; turn < LAST_TURNS && isWaiting(); turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

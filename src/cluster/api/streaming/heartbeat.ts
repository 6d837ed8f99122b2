/** Finds out that a client has gone without a word: its machine sleeps, its process is stopped. */
import type { Clock } from "../../../kernel/clock.ts";
import type { ByteConnection } from "./byte-connection.ts";

/** kubectl gives up on a server that it has not heard for 60 s. */
export const BEAT_MS = 20_000;
/** Beats without an answer. */
const PATIENCE = 3;

/** Calls `beat` now and then, and closes a connection that has not answered for a minute. Ends with the connection. */
export function startHeartbeat(connection: ByteConnection, clock: Clock, beat: () => void): void {
  let missed = 0;
  let cancel: () => void = () => undefined;
  const next = (): void => {
    missed = connection.heard() ? 0 : missed + 1;
    if (missed >= PATIENCE) {
      connection.destroy();
      return;
    }
    beat();
    cancel = clock.schedule(BEAT_MS, next);
  };
  cancel = clock.schedule(BEAT_MS, next);
  connection.gone.addEventListener("abort", () => cancel(), { once: true });
}

/** Turns what hinders a log sidecar into its health, once a second. */
import type { Host } from "../../kernel/host.ts";
import { messageOf, Problem } from "../../kernel/problem.ts";
import type { Delivery } from "./delivery/delivery.ts";
import type { ChunkSource } from "./sources/chunk.ts";

export interface LogHealthParts {
  readonly host: Host;
  readonly source: ChunkSource;
  readonly delivery: Delivery;
}

const CHECK_MS = 1_000;

/** Reports at once and then every second, until it is stopped. */
export class LogHealth {
  readonly #parts: LogHealthParts;
  #cancel: () => void = () => undefined;

  constructor(parts: LogHealthParts) {
    this.#parts = parts;
    this.#check();
  }

  stop(): void {
    this.#cancel();
  }

  #check(): void {
    const { host, source, delivery } = this.#parts;
    const troubles = [...delivery.troubles(), ...delivery.checkpoints.troubles(), ...source.troubles()];
    host.report(
      troubles.length === 0 ? { state: "ready" } : { state: "degraded", because: summary(troubles) },
    );
    this.#cancel = host.schedule(CHECK_MS, () => this.#check());
  }
}

/** The first trouble with its code and fix, and how many there are besides. */
function summary(troubles: readonly unknown[]): unknown {
  const [first, ...others] = troubles;
  if (others.length === 0) return first;
  const message = `${messageOf(first)} (and ${others.length} more)`;
  if (!(first instanceof Problem)) return message;
  return new Problem({ code: first.code, message, fix: first.fix, cause: first });
}

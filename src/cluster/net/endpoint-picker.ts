/** Chooses who gets a new connection: one endpoint after the other, or the one that the client had before. */
import type { Clock } from "../../kernel/clock.ts";
import type { Address } from "./service-network.ts";

/** Beyond this the client that came longest ago is forgotten. */
const MAX_CLIENTS = 10_000;

export interface EndpointChoice {
  /** In a stable order. */
  readonly endpoints: readonly Address[];
  /** How long a client stays with its endpoint after its last connection; absent for none. */
  readonly affinitySeconds?: number;
}

interface Affinity {
  readonly key: string;
  readonly until: number;
}

export class EndpointPicker {
  readonly #clock: Clock;
  #choice: EndpointChoice = { endpoints: [] };
  #keys = new Set<string>();
  #next = 0;
  /** In the order of the last connection. */
  readonly #clients = new Map<string, Affinity>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  update(choice: EndpointChoice): void {
    if (choice.affinitySeconds !== this.#choice.affinitySeconds) this.#clients.clear();
    this.#choice = choice;
    this.#keys = new Set(choice.endpoints.map(keyOf));
  }

  /** False once an endpoint has gone. */
  has(endpoint: Address): boolean {
    return this.#keys.has(keyOf(endpoint));
  }

  /** The next endpoint for this client that has not been tried; undefined when there is none. */
  pick(client: string, tried: ReadonlySet<string> = new Set()): Address | undefined {
    const { endpoints, affinitySeconds } = this.#choice;
    const known = affinitySeconds === undefined ? undefined : this.#clients.get(client);
    if (known !== undefined && known.until > this.#clock.monotonic() && !tried.has(known.key)) {
      const same = endpoints.find((endpoint) => keyOf(endpoint) === known.key);
      if (same !== undefined) return same;
    }
    for (let turn = 0; turn < endpoints.length; turn++) {
      const endpoint = endpoints[this.#next++ % endpoints.length];
      if (endpoint !== undefined && !tried.has(keyOf(endpoint))) return endpoint;
    }
    return undefined;
  }

  /** The client's connection was made. */
  remember(client: string, endpoint: Address): void {
    const { affinitySeconds } = this.#choice;
    if (affinitySeconds === undefined) return;
    const until = this.#clock.monotonic() + affinitySeconds * 1000;
    this.#clients.delete(client);
    this.#clients.set(client, { key: keyOf(endpoint), until });
    if (this.#clients.size <= MAX_CLIENTS) return;
    const [oldest] = this.#clients.keys();
    if (oldest !== undefined) this.#clients.delete(oldest);
  }
}

/** `IP:PORT`. */
export function keyOf({ ip, port }: Address): string {
  return `${ip}:${port}`;
}

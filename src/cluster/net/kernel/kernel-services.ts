/** Has the kernel carry traffic to cluster IPs: its rules follow the routes, one change at a time, many routes at once. */
import { type Ipv4Range, isInRange } from "../../../lib/ipv4.ts";
import type { ServiceRoute } from "../../../k8s/service-routes.ts";
import type { PacketFilter } from "../packet-filter.ts";
import {
  ALL_DATAGRAMS,
  changeRules,
  emptyTable,
  NO_RULES,
  type ServiceRules,
  serviceRules,
  staleConnections,
} from "./service-rules.ts";

export interface KernelServicesOptions {
  readonly filter: Pick<PacketFilter, "apply" | "forget">;
  /** Where cluster IPs come from. */
  readonly services: Ipv4Range;
  /** Addresses of pods: the way to endpoints elsewhere leads through the engine. */
  readonly pods: Ipv4Range;
  /** Where node ports are; those of this machine are somebody else's. */
  readonly nodeIP: string;
}

export class KernelServices {
  readonly #options: KernelServicesOptions;
  /** What the kernel has; undefined: nobody knows. */
  #known: ServiceRules | undefined;
  #wanted: ServiceRules = NO_RULES;
  /** The change that is to come; it takes what is wanted by then. */
  #next: Promise<void> | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: KernelServicesOptions) {
    this.#options = options;
  }

  /** False for what needs somebody else. */
  carries({ protocol, endpoints }: ServiceRoute): boolean {
    return protocol !== "SCTP" && endpoints.every(({ ip }) => isInRange(ip, this.#options.pods));
  }

  /**
   * Replaces all routes. Resolves once new connections go by these or later ones; what is connected goes on. Rejects with what
   * nft(8) said; the next update then makes everything anew.
   */
  update(routes: readonly ServiceRoute[]): Promise<void> {
    this.#wanted = serviceRules(routes, this.#options.nodeIP);
    if (this.#next !== undefined) return this.#next;
    const next = this.#turn.then(() => this.#apply());
    this.#next = next;
    this.#turn = next.catch(() => undefined);
    return next;
  }

  async #apply(): Promise<void> {
    this.#next = undefined;
    const [from, to] = [this.#known, this.#wanted];
    if (from === undefined) return await this.#rebuild(to);
    const lines = changeRules(from, to);
    if (lines.length === 0) return;
    try {
      await this.#run(lines);
    } catch {
      // Somebody else has changed the table.
      return await this.#rebuild(to);
    }
    this.#known = to;
    for (const mark of staleConnections(from, to)) this.#options.filter.forget(mark);
  }

  async #rebuild(to: ServiceRules): Promise<void> {
    const { filter, services, nodeIP } = this.#options;
    this.#known = undefined;
    await this.#run([...emptyTable({ services, nodeIP }), ...changeRules(NO_RULES, to)]);
    this.#known = to;
    // Those that an earlier engine's rules have led.
    filter.forget(ALL_DATAGRAMS);
  }

  async #run(lines: readonly string[]): Promise<void> {
    await this.#options.filter.apply(`${lines.join("\n")}\n`);
  }
}

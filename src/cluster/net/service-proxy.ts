/** Relays connections to Services: keeps a listener open for every address of every route that has an endpoint. */
import { closeSync } from "node:fs";
import type { Clock } from "../../kernel/clock.ts";
import { type EndpointChoice, keyOf } from "./endpoint-picker.ts";
import type { ServiceListener } from "./service-listener.ts";
import type { Address, ServiceNetwork } from "./service-network.ts";
import { startTcpRelay, type TcpRelay } from "./tcp-relay.ts";
import { openUdpRoute } from "./udp-service.ts";

/** `node` is the node's network namespace, where pods are; `machine` this machine's own loopback. */
export interface ListenAddress extends Address {
  readonly place: "node" | "machine";
}

/** One port of one Service, and where connections to it come in. */
export interface ProxyRoute extends EndpointChoice {
  /** Of all routes no two have the same. */
  readonly name: string;
  readonly protocol: "TCP" | "UDP";
  readonly addresses: readonly ListenAddress[];
}

export interface ListenFailure {
  readonly route: string;
  readonly address: ListenAddress;
  /** `EADDRINUSE`, `EACCES`, ... */
  readonly code: string;
}

export interface ServiceProxy {
  /**
   * Replaces all routes. From the moment this is called on no endpoint that is not in them gets a new connection; what is
   * connected goes on. Resolves once everything listens that can, with what cannot, which the next update tries again.
   */
  update(routes: readonly ProxyRoute[]): Promise<readonly ListenFailure[]>;
  /** Whether the address could be listened on: undefined, or the system's code. One that is listened on already is fine. */
  check(protocol: ProxyRoute["protocol"], address: ListenAddress): Promise<string | undefined>;
  /** Ends listeners and connections. Idempotent. */
  close(): void;
}

export interface ServiceProxyOptions {
  readonly network: ServiceNetwork;
  readonly clock: Clock;
}

export function createServiceProxy(options: ServiceProxyOptions): ServiceProxy {
  return new Relays(options);
}

/** Who gets what comes in on the addresses of one route. */
interface Carrier {
  update(choice: EndpointChoice): void;
  listen(at: { readonly fd: number } | Address): ServiceListener | Promise<ServiceListener>;
  close(): void;
}

interface Wanted {
  readonly route: ProxyRoute;
  readonly address: ListenAddress;
  readonly carrier: Carrier;
}

interface Open {
  readonly route: string;
  readonly listener: ServiceListener;
}

class Relays implements ServiceProxy {
  readonly #options: ServiceProxyOptions;
  readonly #carriers = new Map<string, Carrier>();
  readonly #open = new Map<string, Open>();
  /** Listen no more, and have connections that go on. */
  readonly #draining = new Set<ServiceListener>();
  #wanted: ReadonlyMap<string, Wanted> = new Map();
  /** Listeners open and close in one order only. */
  #turn: Promise<unknown> = Promise.resolve();
  #relay: TcpRelay | undefined;
  #isClosed = false;

  constructor(options: ServiceProxyOptions) {
    this.#options = options;
  }

  update(routes: readonly ProxyRoute[]): Promise<readonly ListenFailure[]> {
    const clashes = this.#choose(routes);
    const wanted = this.#wanted;
    for (const listener of this.#draining) {
      if (listener.connections > 0) continue;
      listener.destroy();
      this.#draining.delete(listener);
    }
    for (const [key, open] of this.#open) {
      if (wanted.get(key)?.route.name !== open.route) this.#shut(key, open);
    }
    const opened = this.#turn.then(async () => [...clashes, ...(await this.#openMissing(wanted))]);
    this.#turn = opened.catch(() => undefined);
    for (const { listener } of this.#open.values()) listener.recheck();
    for (const listener of this.#draining) listener.recheck();
    return opened;
  }

  async check(protocol: ProxyRoute["protocol"], address: ListenAddress): Promise<string | undefined> {
    if (this.#isClosed) return "ECANCELED";
    if (this.#open.has(listenKey(protocol, address))) return undefined;
    const carrier = this.#openRoute(protocol);
    try {
      (await this.#listen(protocol, address, carrier)).destroy();
      return undefined;
    } catch (error) {
      return codeOf(error);
    } finally {
      carrier.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#wanted = new Map();
    for (const { listener } of this.#open.values()) listener.destroy();
    for (const listener of this.#draining) listener.destroy();
    this.#open.clear();
    this.#draining.clear();
    for (const carrier of this.#carriers.values()) carrier.close();
    this.#carriers.clear();
    this.#relay?.close();
    this.#relay = undefined;
  }

  /** Tells every carrier its endpoints. Returns addresses that two routes want; the first has it. */
  #choose(routes: readonly ProxyRoute[]): ListenFailure[] {
    const wanted = new Map<string, Wanted>();
    const clashes: ListenFailure[] = [];
    const names = new Set<string>();
    for (const route of this.#isClosed ? [] : routes) {
      names.add(route.name);
      const known = this.#carriers.get(route.name);
      known?.update(route);
      // Where nobody listens the kernel refuses, at once and in the right words.
      if (route.endpoints.length === 0 || route.addresses.length === 0) continue;
      const carrier = known ?? this.#openRoute(route.protocol);
      if (known === undefined) carrier.update(route);
      this.#carriers.set(route.name, carrier);
      for (const address of route.addresses) {
        const key = listenKey(route.protocol, address);
        if (wanted.has(key)) clashes.push({ route: route.name, address, code: "EADDRINUSE" });
        else wanted.set(key, { route, address, carrier });
      }
    }
    for (const [name, carrier] of this.#carriers) {
      if (names.has(name)) continue;
      carrier.update({ endpoints: [] });
      carrier.close();
      this.#carriers.delete(name);
    }
    this.#wanted = wanted;
    return clashes;
  }

  #shut(key: string, { listener }: Open): void {
    this.#open.delete(key);
    listener.close();
    if (listener.connections > 0) this.#draining.add(listener);
    else listener.destroy();
  }

  async #openMissing(wanted: ReadonlyMap<string, Wanted>): Promise<ListenFailure[]> {
    const failures: ListenFailure[] = [];
    for (const [key, { route, address, carrier }] of wanted) {
      // A later update has decided anew.
      if (this.#wanted !== wanted) break;
      if (this.#open.has(key)) continue;
      try {
        const listener = await this.#listen(route.protocol, address, carrier);
        const open = { route: route.name, listener };
        if (this.#wanted.get(key)?.route.name === route.name) this.#open.set(key, open);
        else this.#shut(key, open);
      } catch (error) {
        failures.push({ route: route.name, address, code: codeOf(error) });
      }
    }
    return failures;
  }

  async #listen(
    protocol: ProxyRoute["protocol"],
    address: ListenAddress,
    carrier: Carrier,
  ): Promise<ServiceListener> {
    const { network } = this.#options;
    if (address.place === "machine") return await carrier.listen(address);
    const fd = protocol === "TCP" ? network.listenTcp(address) : network.bindUdp(address);
    try {
      return await carrier.listen({ fd });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #openRoute(protocol: ProxyRoute["protocol"]): Carrier {
    if (protocol === "UDP") return openUdpRoute(this.#options);
    this.#relay ??= startTcpRelay({ netns: this.#options.network.nodeNamespace });
    return this.#relay.openRoute();
  }
}

function listenKey(protocol: ProxyRoute["protocol"], address: ListenAddress): string {
  return `${address.place} ${protocol} ${keyOf(address)}`;
}

function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  throw error;
}

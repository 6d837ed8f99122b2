/** One address where connections to a Service come in, each of which is passed on to one of its endpoints. */
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../kernel/clock.ts";
import { type EndpointPicker, keyOf } from "./endpoint-picker.ts";
import { hangUp, joinSockets } from "./join-sockets.ts";
import type { Address, ServiceNetwork } from "./service-network.ts";

/** Of one listener; who comes beyond this is refused. Each takes two descriptors and at most some 100 KB. */
const MAX_CONNECTIONS = 4096;
/** An endpoint that has not answered by then is passed over: on one machine even a busy one takes a few milliseconds. */
const DIAL_MS = 2000;
/** No client waits longer than this many dials. */
const MAX_DIALS = 4;

export interface TcpServiceOptions {
  /** A descriptor that listens already, or an address of this machine. */
  readonly at: { readonly fd: number } | Address;
  readonly picker: EndpointPicker;
  readonly network: Pick<ServiceNetwork, "connect">;
  readonly clock: Clock;
}

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

/** Rejects with the system's error (`EADDRINUSE`, `EACCES`) when the address cannot be had. */
export async function openTcpService(options: TcpServiceOptions): Promise<ServiceListener> {
  const service = new TcpService(options);
  await service.listen();
  return service;
}

interface Dial {
  readonly endpoint: Address;
  readonly controller: AbortController;
}

class TcpService implements ServiceListener {
  readonly #options: TcpServiceOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #dials = new Set<Dial>();

  constructor(options: TcpServiceOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async listen(): Promise<void> {
    const { at } = this.#options;
    const options: ListenOptions & { fd?: number } = "fd" in at ? at : { host: at.ip, port: at.port };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(options, resolve);
    await promise;
    this.#server.off("error", reject);
    // Out of descriptors: the client waits in the kernel's queue until there are some.
    this.#server.on("error", () => undefined);
  }

  close(): void {
    this.#server.close();
  }

  destroy(): void {
    this.close();
    for (const { controller } of this.#dials) controller.abort();
    for (const socket of this.#sockets) socket.destroy();
  }

  recheck(): void {
    for (const { endpoint, controller } of this.#dials) {
      if (!this.#options.picker.has(endpoint)) controller.abort();
    }
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      hangUp(socket);
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    void this.#passOn(socket);
  }

  async #passOn(socket: Socket): Promise<void> {
    const { picker } = this.#options;
    const client = socket.remoteAddress ?? "";
    const tried = new Set<string>();
    for (let dials = 0; dials < MAX_DIALS && !socket.destroyed; dials++) {
      const endpoint = picker.pick(client, tried);
      if (endpoint === undefined) break;
      tried.add(keyOf(endpoint));
      const target = await this.#dial(endpoint, socket);
      if (target === undefined) continue;
      picker.remember(client, endpoint);
      joinSockets(socket, target);
      return;
    }
    hangUp(socket);
  }

  /** Undefined when nobody answers there, or when nobody is to be asked there any more. */
  async #dial(endpoint: Address, socket: Socket): Promise<Duplex | undefined> {
    const { network, clock, picker } = this.#options;
    const controller = new AbortController();
    const dial = { endpoint, controller };
    const abort = () => controller.abort();
    const cancel = clock.schedule(DIAL_MS, abort);
    socket.once("close", abort);
    this.#dials.add(dial);
    try {
      const target = await network.connect(endpoint, controller.signal);
      if (picker.has(endpoint) && !socket.destroyed) return target;
      target.on("error", () => undefined).destroy();
      return undefined;
    } catch {
      return undefined;
    } finally {
      cancel();
      socket.off("close", abort);
      this.#dials.delete(dial);
    }
  }
}

/** One address where datagrams for a Service come in. Each client gets an endpoint, and the endpoint's answers. */
import type { Clock } from "../../kernel/clock.ts";
import { type EndpointChoice, EndpointPicker, keyOf } from "./endpoint-picker.ts";
import type { ServiceListener } from "./service-listener.ts";
import type { Address, ServiceNetwork } from "./service-network.ts";

/** As the kernel forgets those that it translates (`nf_conntrack_udp_timeout_stream`). */
const IDLE_MS = 120_000;
/** How often those are looked for. */
const SWEEP_MS = 10_000;
/** Of one listener; beyond this the one that was silent longest ends. Each takes a descriptor. */
const MAX_SESSIONS = 1024;

interface UdpServiceOptions {
  /** A descriptor that is bound already, or an address of this machine. */
  readonly at: { readonly fd: number } | Address;
  readonly picker: EndpointPicker;
  readonly network: Pick<ServiceNetwork, "connectUdp">;
  readonly clock: Clock;
}

interface Session {
  readonly endpoint: Address;
  /** Undefined while it opens, which is when datagrams are dropped, as a full network would. */
  socket?: DatagramSocket;
  lastAt: number;
  isClosed: boolean;
  /** Said before the socket was there. */
  readonly waiting: Uint8Array[];
}

type DatagramSocket = Awaited<ReturnType<typeof openSocket>>;

/** Datagrams that wait for the socket of their session. */
const MAX_WAITING = 16;

/** One port of one Service. Its listeners share whose turn it is, and who stays with whom. */
export interface UdpRoute {
  /** From now on nobody else gets datagrams of a new client. */
  update(choice: EndpointChoice): void;
  /** Rejects with the system's error (`EADDRINUSE`, `EACCES`) when the address cannot be had. */
  listen(at: UdpServiceOptions["at"]): Promise<ServiceListener>;
  close(): void;
}

export function openUdpRoute({ network, clock }: Pick<UdpServiceOptions, "network" | "clock">): UdpRoute {
  const picker = new EndpointPicker(clock);
  return {
    update: (choice) => picker.update(choice),
    listen: (at) => openUdpService({ at, picker, network, clock }),
    close: () => undefined,
  };
}

async function openUdpService(options: UdpServiceOptions): Promise<ServiceListener> {
  const service = new UdpService(options);
  await service.open();
  return service;
}

class UdpService implements ServiceListener {
  readonly connections = 0;
  readonly #options: UdpServiceOptions;
  /** By the client's address, the one that was silent longest first. */
  readonly #sessions = new Map<string, Session>();
  #socket: DatagramSocket | undefined;
  #cancelSweep: () => void = () => undefined;

  constructor(options: UdpServiceOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    this.#socket = await openSocket(this.#options.at, (message, from) => this.#pass(message, from));
    this.#sweepLater();
  }

  /** There are no connections that could go on: answers would have no way back. */
  close(): void {
    this.#cancelSweep();
    this.#socket?.close();
    this.#socket = undefined;
    for (const [client, session] of this.#sessions) this.#end(client, session);
  }

  destroy(): void {
    this.close();
  }

  recheck(): void {
    for (const [client, session] of this.#sessions) {
      if (!this.#options.picker.has(session.endpoint)) this.#end(client, session);
    }
  }

  #pass(message: Uint8Array, from: Address): void {
    const client = keyOf(from);
    const session = this.#sessions.get(client) ?? this.#begin(client, from);
    if (session === undefined) return;
    this.#heard(client, session);
    if (session.socket !== undefined) session.socket.send(message, session.endpoint);
    // The memory is the socket's own, and used again.
    else if (session.waiting.length < MAX_WAITING) session.waiting.push(message.slice());
  }

  /** From either side. */
  #heard(client: string, session: Session): void {
    session.lastAt = this.#options.clock.monotonic();
    this.#sessions.delete(client);
    this.#sessions.set(client, session);
  }

  #begin(client: string, from: Address): Session | undefined {
    const { picker, clock } = this.#options;
    const endpoint = picker.pick(from.ip);
    if (endpoint === undefined) return undefined;
    picker.remember(from.ip, endpoint);
    const session: Session = { endpoint, lastAt: clock.monotonic(), isClosed: false, waiting: [] };
    this.#sessions.set(client, session);
    for (const [oldest, silent] of this.#sessions) {
      if (this.#sessions.size <= MAX_SESSIONS) break;
      this.#end(oldest, silent);
    }
    void this.#connect(client, session, from);
    return session;
  }

  async #connect(client: string, session: Session, from: Address): Promise<void> {
    const { network } = this.#options;
    try {
      const fd = network.connectUdp(session.endpoint);
      // Nobody listens there: the next datagram begins anew, maybe elsewhere.
      const onError = () => this.#end(client, session);
      const onAnswer = (message: Uint8Array) => {
        if (session.isClosed) return;
        this.#heard(client, session);
        this.#socket?.send(message, from);
      };
      const socket = await openSocket({ fd }, onAnswer, onError);
      if (session.isClosed) {
        socket.close();
        return;
      }
      session.socket = socket;
      for (const message of session.waiting.splice(0)) socket.send(message, session.endpoint);
    } catch {
      this.#end(client, session);
    }
  }

  #end(client: string, session: Session): void {
    session.isClosed = true;
    session.socket?.close();
    if (this.#sessions.get(client) === session) this.#sessions.delete(client);
  }

  #sweepLater(): void {
    const { clock } = this.#options;
    this.#cancelSweep = clock.schedule(SWEEP_MS, () => {
      const deadline = clock.monotonic() - IDLE_MS;
      for (const [client, session] of this.#sessions)
        if (session.lastAt <= deadline) this.#end(client, session);
      this.#sweepLater();
    });
  }
}

/** `send` drops what the kernel has no room for, as networks do. */
async function openSocket(
  at: { readonly fd: number } | Address,
  onMessage: (message: Uint8Array, from: Address) => void,
  onError: () => void = () => undefined,
): Promise<{ send(message: Uint8Array, to: Address): void; close(): void }> {
  const place = "fd" in at ? at : { hostname: at.ip, port: at.port };
  const socket = await Bun.udpSocket({
    ...place,
    socket: {
      data: (_, message, port, ip) => onMessage(message, { ip, port }),
      error: onError,
    },
  });
  let isOpen = true;
  return {
    send(message, { ip, port }) {
      if (!isOpen) return;
      try {
        socket.send(message, port, ip);
      } catch {
        onError();
      }
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      socket.close();
    },
  };
}

/** Passes TCP connections on to Services in a thread of its own: here is said who gets them, and C (tcp-relay.c) moves bytes. */
import { closeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { getSystemErrorName } from "node:util";
import { parseIpv4 } from "../../lib/ipv4.ts";
import type { EndpointChoice } from "./endpoint-picker.ts";
import { type Handle, type RelayNative, relayNative } from "./relay-native.ts";
import type { ServiceListener } from "./service-listener.ts";
import type { Address } from "./service-network.ts";

/** `struct endpoint` of relay-state.c. */
const ENDPOINT_BYTES = 8;

/** Each takes two descriptors, and while one side is slow at most 64 KiB for each. */
const MOST_CONNECTIONS = 4096;

/** One port of one Service. Its listeners share whose turn it is, and who stays with whom. */
export interface TcpRoute {
  /** From now on nobody else gets a new connection. One whose endpoint was still being dialed goes elsewhere. */
  update(choice: EndpointChoice): void;
  /**
   * At an address of this machine, or with a descriptor that listens already and is taken over. Throws an error with the system's
   * code; the descriptor is then still the caller's.
   */
  listen(at: { readonly fd: number } | Address): TcpListener;
  /** After its listeners are closed. Connections go on. Idempotent. */
  close(): void;
}

export interface TcpListener extends ServiceListener {
  /** Where it listens. */
  readonly port: number;
}

export interface TcpRelay {
  openRoute(): TcpRoute;
  /** Ends the thread, and every listener and connection. Idempotent. */
  close(): void;
}

export interface TcpRelayOptions {
  /** A descriptor of the network namespace that endpoints are reached from, which stays the caller's. @default {this one} */
  readonly netns?: number;
  /** Of one listener; who comes beyond this is refused. @default {4096} */
  readonly mostConnections?: number;
}

/** Throws an error with the system's code, or what the compiler says. */
export function startTcpRelay({
  netns = -1,
  mostConnections = MOST_CONNECTIONS,
}: TcpRelayOptions = {}): TcpRelay {
  const native = relayNative();
  const relay = checked(
    native.startRelay({ netns, mostConnections, staysAwake: availableParallelism() > 1 }),
    "relay",
  );
  const open = new Set<Route>();
  let isClosed = false;
  return {
    openRoute() {
      if (isClosed) throw new Error("The relay is closed");
      const route = new Route(native, relay, (closed) => open.delete(closed));
      open.add(route);
      return route;
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      for (const route of open) route.destroy();
      native.stopRelay(relay);
    },
  };
}

class Route implements TcpRoute {
  readonly #native: RelayNative;
  readonly #relay: Handle;
  /** Nothing of it is left. */
  readonly #onClosed: (route: Route) => void;
  readonly #listeners = new Set<Listener>();
  /** Undefined once nobody here knows it any more. */
  #handle: Handle | undefined;

  constructor(native: RelayNative, relay: Handle, onClosed: (route: Route) => void) {
    this.#native = native;
    this.#relay = relay;
    this.#onClosed = onClosed;
    const handle = native.openRoute();
    if (handle === 0) throw systemError(-ENOMEM, "route");
    this.#handle = handle;
  }

  update({ endpoints, affinitySeconds = 0 }: EndpointChoice): void {
    const bytes = new Uint8Array(Math.max(endpoints.length, 1) * ENDPOINT_BYTES);
    for (const [index, endpoint] of endpoints.entries())
      bytes.set(endpointBytes(endpoint), index * ENDPOINT_BYTES);
    const targets = { endpoints: bytes, count: endpoints.length, affinityMs: affinitySeconds * 1000 };
    checked(this.#native.setRoute(this.#relay, this.#open(), targets), "route");
  }

  listen(at: { readonly fd: number } | Address): TcpListener {
    const route = this.#open();
    if ("fd" in at) return this.#takeOver(route, at.fd);
    const fd = checked(this.#native.listenHere(endpointBytes(at)), "listen");
    try {
      return this.#takeOver(route, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #takeOver(route: Handle, fd: number): TcpListener {
    const handle = checked(this.#native.openListener(this.#relay, route, fd), "listen");
    const listener = new Listener(this.#native, this.#relay, {
      handle,
      onReleased: () => {
        this.#listeners.delete(listener);
        this.#forget();
      },
    });
    this.#listeners.add(listener);
    return listener;
  }

  close(): void {
    if (this.#handle === undefined) return;
    this.#native.closeRoute(this.#relay, this.#handle);
    this.#handle = undefined;
    this.#forget();
  }

  destroy(): void {
    for (const listener of this.#listeners) listener.destroy();
    this.close();
  }

  #forget(): void {
    if (this.#handle === undefined && this.#listeners.size === 0) this.#onClosed(this);
  }

  #open(): Handle {
    if (this.#handle === undefined) throw new Error("The route is closed");
    return this.#handle;
  }
}

class Listener implements TcpListener {
  readonly port: number;
  readonly #native: RelayNative;
  readonly #relay: Handle;
  readonly #onReleased: () => void;
  #handle: Handle | undefined;

  constructor(
    native: RelayNative,
    relay: Handle,
    { handle, onReleased }: { readonly handle: Handle; readonly onReleased: () => void },
  ) {
    this.#native = native;
    this.#relay = relay;
    this.#handle = handle;
    this.port = native.portOf(handle);
    this.#onReleased = onReleased;
  }

  get connections(): number {
    return this.#handle === undefined ? 0 : this.#native.connectionsOf(this.#relay, this.#handle);
  }

  close(): void {
    if (this.#handle !== undefined) this.#native.closeListener(this.#relay, this.#handle);
  }

  destroy(): void {
    if (this.#handle === undefined) return;
    this.#native.releaseListener(this.#relay, this.#handle, true);
    this.#handle = undefined;
    this.#onReleased();
  }

  /** The route knows it already. */
  recheck(): void {}
}

const ENOMEM = 12;

function checked(result: number, what: string): number {
  if (result < 0) throw systemError(result, what);
  return result;
}

function systemError(result: number, syscall: string): Error {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: result, syscall });
}

/** Address and port as they are in packets. */
function endpointBytes({ ip, port }: Address): Uint8Array {
  const number = parseIpv4(ip);
  if (number === undefined || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new TypeError(`Not an IPv4 address and a port: ${ip}:${port}`);
  const bytes = new Uint8Array(ENDPOINT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint16(4, port);
  return bytes;
}

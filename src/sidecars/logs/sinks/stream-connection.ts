/** One TCP or TLS connection that is made when it is needed, and knows when the other side's kernel has everything. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Host } from "../../../kernel/host.ts";
import { readSendQueue, type SendQueue } from "../../../lib/tcp-send-queue.ts";
import type { TlsMaterial } from "./tls-files.ts";

export interface StreamTarget {
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
}

/** The connection closed without an error; `fetch`-like code so that it reads like the others. */
export class ConnectionClosed extends Error {
  readonly code = "ECONNRESET";
}

const FIRST_POLL_MS = 1;
const LONGEST_POLL_MS = 50;
/** How long a peer may take to say goodbye. */
const CLOSE_MS = 500;
/**
 * How long a new connection has to last before its first batch counts. A proxy in between takes bytes before it knows that
 * there is nobody behind it, and a server of TLS 1.3 refuses our certificate after we have begun to send (RFC 8446 section 2).
 */
const SETTLE_MS = 250;

export class StreamConnection {
  readonly #host: Host;
  readonly #target: StreamTarget;
  #socket: Socket | undefined;
  /** Resolves when the socket is connected and, for TLS, the peer is who it should be. Stays open where that fails. */
  #ready: Promise<unknown> = Promise.resolve();
  #isSettled = false;
  #tls: TlsMaterial | undefined;

  constructor(host: Host, target: StreamTarget) {
    this.#host = host;
    this.#target = target;
  }

  /**
   * Resolves when the peer's kernel has acknowledged every byte. Rejects with the socket's error, with `ConnectionClosed`, or
   * with the signal's reason; the connection is gone then, and what became of the bytes is not known.
   */
  async send(bytes: Uint8Array, tls: TlsMaterial | undefined, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#socket !== undefined && tls !== this.#tls) await this.close();
    const socket = this.#socket ?? this.#open(tls);
    const { promise: broken, reject } = Promise.withResolvers<never>();
    const onError = (error: Error): void => reject(error);
    const onClose = (): void => reject(new ConnectionClosed("the connection was closed"));
    const onAbort = (): void => reject(signal.reason);
    socket.on("error", onError).on("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#deliver(socket, bytes, signal), broken]);
    } catch (error) {
      this.#drop(socket);
      throw error;
    } finally {
      socket.off("error", onError).off("close", onClose);
      signal.removeEventListener("abort", onAbort);
    }
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const cancel = this.#host.schedule(CLOSE_MS, () => socket.destroy());
    socket.once("close", () => resolve());
    if (socket.destroyed) resolve();
    else socket.end();
    await closed;
    cancel();
  }

  async #deliver(socket: Socket, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#ready;
    await new Promise<void>((resolve, reject) => {
      socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    await this.#acknowledged(socket, signal);
    if (this.#isSettled) return;
    await this.#host.sleep(SETTLE_MS, signal);
    await this.#acknowledged(socket, signal);
    if (socket === this.#socket) this.#isSettled = true;
  }

  /** The peer's program may still fail to read what its kernel took: plain syslog knows no answer that would tell. */
  async #acknowledged(socket: Socket, signal: AbortSignal): Promise<void> {
    const { localPort, remotePort } = socket;
    if (localPort === undefined || remotePort === undefined)
      throw new ConnectionClosed("the connection is gone");
    let delay = FIRST_POLL_MS;
    for (;;) {
      const queue = await this.#sendQueue({ localPort, remotePort });
      if (queue === "unknown") return;
      if (queue === undefined || !queue.isEstablished)
        throw new ConnectionClosed("the peer closes the connection");
      if (queue.bytes === 0) return;
      if (!(await this.#host.sleep(delay, signal))) return;
      delay = Math.min(delay * 2, LONGEST_POLL_MS);
    }
  }

  /** "unknown" where there is no such table: then written has to be enough. */
  async #sendQueue(ports: {
    localPort: number;
    remotePort: number;
  }): Promise<SendQueue | undefined | "unknown"> {
    try {
      return await readSendQueue(ports);
    } catch {
      return "unknown";
    }
  }

  #open(tls: TlsMaterial | undefined): Socket {
    const { hostname, port, isTls } = this.#target;
    const { serverName, ...material } = tls ?? { rejectUnauthorized: true };
    const name = serverName ?? hostname;
    const socket = isTls
      ? connectTls({
          host: hostname,
          port,
          ...material,
          // RFC 6066 section 3: an address is no server name.
          ...(isIP(name) === 0 ? { servername: name } : {}),
        })
      : connectTcp({ host: hostname, port });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    // Some receivers answer; nothing they say is for us, and unread it would stop them.
    socket.resume();
    // Between two batches nobody else listens, and an error without a listener ends the process.
    socket.on("error", () => this.#drop(socket));
    socket.on("end", () => this.#drop(socket));
    socket.on("close", () => this.#drop(socket));
    this.#ready = new Promise((resolve) => socket.once(isTls ? "secureConnect" : "connect", resolve));
    this.#isSettled = false;
    this.#socket = socket;
    this.#tls = tls;
    return socket;
  }

  #drop(socket: Socket): void {
    if (this.#socket === socket) this.#socket = undefined;
    socket.destroy();
  }
}

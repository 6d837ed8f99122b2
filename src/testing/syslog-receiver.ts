/** A syslog receiver over TCP or TLS that cuts octet-counted frames (RFC 6587 section 3.4.1), and fails when it is told to. */
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";

export interface SyslogReceiverOptions {
  readonly tls?: TlsOptions;
  /** @default {"127.0.0.1"} */
  readonly address?: string;
  /** @default {0, any free one} */
  readonly port?: number;
}

export class SyslogReceiver implements AsyncDisposable {
  /** Complete messages, without their lengths. */
  readonly messages: string[] = [];
  /** Bytes that are no frame; empty unless the sender breaks the framing. */
  readonly garbage: string[] = [];
  readonly sockets = new Set<Socket>();
  /** While true, connections are accepted and nothing is read from them. */
  isDeaf = false;
  connections = 0;
  readonly #server: Server;
  readonly #listeners = new Set<() => void>();

  private constructor(tls: TlsOptions | undefined) {
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = tls === undefined ? createTcpServer(accept) : createTlsServer(tls, accept);
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start({
    tls,
    address = "127.0.0.1",
    port = 0,
  }: SyslogReceiverOptions = {}): Promise<SyslogReceiver> {
    const receiver = new SyslogReceiver(tls);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    receiver.#server.once("error", reject);
    receiver.#server.listen(port, address, () => resolve());
    await promise;
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when `isSo` holds; asked again whenever something happens. */
  async when(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#listeners.add(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.connections++;
    this.sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.sockets.delete(socket);
      this.#changed();
    });
    if (this.isDeaf) socket.pause();
    let pending: Buffer = Buffer.alloc(0);
    socket.on("data", (part: Buffer) => {
      pending = this.#cut(Buffer.concat([pending, part]));
      this.#changed();
    });
    this.#changed();
  }

  /** What is left behind the last complete frame. */
  #cut(bytes: Buffer): Buffer {
    for (let at = 0; ;) {
      const space = bytes.indexOf(0x20, at);
      if (space < 0) return bytes.subarray(at);
      const length = bytes.toString("latin1", at, space);
      if (!/^[1-9]\d*$/.test(length)) {
        this.garbage.push(bytes.toString("utf8", at));
        return Buffer.alloc(0);
      }
      const end = space + 1 + Number(length);
      if (end > bytes.length) return bytes.subarray(at);
      this.messages.push(bytes.toString("utf8", space + 1, end));
      at = end;
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

/** An HTTP/1.1 server of raw sockets, so that it can do what no honest server does: hang, cut, babble, never end. */
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

export interface ReceivedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Unpacked by its `content-encoding`. */
  readonly body: string;
  /** Bytes on the wire. */
  readonly packedBytes: number;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * `hang`: no answer ever. `cut`: the connection is closed without one. `cut-answer`: in the middle of a good one. `garbage`:
 * bytes that are no HTTP. `endless`: an error whose body never ends.
 */
export type Fault = Reply | "hang" | "cut" | "cut-answer" | "garbage" | "endless";

export interface ScriptedServerOptions {
  readonly answer: (request: ReceivedRequest) => Reply | Promise<Reply>;
  /** Serves TLS with these. */
  readonly tls?: TlsOptions;
  /** @default {"127.0.0.1"} */
  readonly address?: string;
  /** @default {0, any free one} */
  readonly port?: number;
}

export class ScriptedServer implements AsyncDisposable {
  /** Done by the next requests instead of an answer, the first one first. */
  readonly faults: Fault[] = [];
  /** While set, done by every request for which no other fault is left. */
  outage: Fault | undefined;
  readonly requests: ReceivedRequest[] = [];
  readonly #options: ScriptedServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #listeners = new Set<() => void>();
  #connections = 0;

  private constructor(options: ScriptedServerOptions) {
    this.#options = options;
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = options.tls === undefined ? createTcpServer(accept) : createTlsServer(options.tls, accept);
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(options: ScriptedServerOptions): Promise<ScriptedServer> {
    const server = new ScriptedServer(options);
    await server.#listen(options.port ?? 0);
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `http://ADDRESS:PORT` */
  get url(): string {
    const address = this.#options.address ?? "127.0.0.1";
    const host = address.includes(":") ? `[${address}]` : address;
    return `${this.#options.tls === undefined ? "http" : "https"}://${host}:${this.port}`;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Resolves when so many requests have come in. */
  async whenRequested(count: number): Promise<void> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve) => this.#listeners.add(resolve));
    }
  }

  /** Resolves when no connection is open any more. */
  async whenIdle(): Promise<void> {
    for (const socket of this.#sockets) {
      if (!socket.closed) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    }
  }

  /** Closes the port and every connection; nobody listens there then. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #listen(port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(port, this.#options.address ?? "127.0.0.1", () => resolve());
    return promise;
  }

  #accept(socket: Socket): void {
    this.#connections++;
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    const reader = new RequestReader((request) => {
      this.requests.push(request);
      for (const listener of this.#listeners) listener();
      this.#listeners.clear();
      const fault = this.faults.shift() ?? this.outage;
      if (fault !== undefined) act(socket, fault);
      else void this.#answer(socket, request);
    });
    socket.on("data", (part: Buffer) => reader.push(part));
  }

  async #answer(socket: Socket, request: ReceivedRequest): Promise<void> {
    socket.write(render(await this.#options.answer(request)));
  }
}

/** Cuts a connection's bytes into requests. Knows `content-length` only, which is all that Pillion sends. */
class RequestReader {
  readonly #received: (request: ReceivedRequest) => void;
  #parts: Buffer[] = [];
  #length = 0;
  /** Bytes of the whole request; 0 while its head is not complete. */
  #needed = 0;

  constructor(received: (request: ReceivedRequest) => void) {
    this.#received = received;
  }

  push(part: Buffer): void {
    this.#parts.push(part);
    this.#length += part.length;
    if (this.#needed > this.#length) return;
    const all = Buffer.concat(this.#parts);
    this.#parts = [all];
    const headEnd = all.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const [first = "", ...lines] = all.toString("latin1", 0, headEnd).split("\r\n");
    const headers = Object.fromEntries(lines.map(headerOf));
    this.#needed = headEnd + 4 + Number(headers["content-length"] ?? 0);
    if (this.#needed > this.#length) return;
    const packed = all.subarray(headEnd + 4, this.#needed);
    const rest = all.subarray(this.#needed);
    [this.#parts, this.#length, this.#needed] = [[], 0, 0];
    this.#received(requestOf(first, headers, packed));
    if (rest.length > 0) this.push(rest);
  }
}

function requestOf(
  first: string,
  headers: Readonly<Record<string, string>>,
  packed: Buffer,
): ReceivedRequest {
  const [method = "", target = ""] = first.split(" ");
  const { pathname, searchParams } = new URL(target, "http://host");
  const body = unpack(packed, headers["content-encoding"]).toString();
  return { method, path: pathname, query: searchParams, headers, body, packedBytes: packed.length };
}

function headerOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

function unpack(packed: Buffer, encoding = ""): Buffer {
  if (encoding === "gzip") return gunzipSync(packed);
  return encoding === "zstd" ? zstdDecompressSync(packed) : packed;
}

function render({ status, headers = {}, body = "" }: Reply): string {
  // RFC 9110 section 8.6: no content-length with 204.
  const length = status === 204 ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const lines = Object.entries({ ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Status\r\n${lines.join("")}\r\n${status === 204 ? "" : body}`;
}

function act(socket: Socket, fault: Fault): void {
  if (typeof fault === "object") socket.write(render(fault));
  else if (fault === "cut") socket.destroy();
  else if (fault === "cut-answer") socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
  else if (fault === "garbage") socket.end("\u0016\u0003\u0001 220 ready\r\n\r\n");
  else if (fault === "endless") babble(socket);
}

function babble(socket: Socket): void {
  const chunk = Buffer.alloc(65_536, "x");
  socket.write("HTTP/1.1 500 Status\r\ncontent-length: 1000000000000\r\n\r\n");
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
    if (!socket.destroyed) socket.once("drain", more);
  };
  more();
}

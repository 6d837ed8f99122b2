/** Servers in the place of a network: what a fake sandbox connects to. */
import { type Duplex, duplexPair } from "node:stream";
import type { Address } from "../../sandbox/sandbox.ts";

/** Gets the server's end of a connection. */
export type FakeServer = (socket: Duplex) => void;

export class FakeNetwork {
  /** By `IP:PORT`, or by `PORT` for every address. */
  readonly servers = new Map<string, FakeServer>();
  /** Every address that somebody tried to reach, in order. */
  readonly attempts: string[] = [];
  /** While set, handshakes do not end. */
  isSilent = false;

  connect({ ip, port }: Address, signal: AbortSignal): Promise<Duplex> {
    this.attempts.push(`${ip}:${port}`);
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.isSilent)
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    const server = this.servers.get(`${ip}:${port}`) ?? this.servers.get(String(port));
    if (server === undefined) {
      const error = new Error(`connect ECONNREFUSED ${ip}:${port}`);
      return Promise.reject(Object.assign(error, { code: "ECONNREFUSED", syscall: "connect" }));
    }
    const [ours, theirs] = duplexPair({ allowHalfOpen: true });
    theirs.on("error", () => undefined);
    ours.on("close", () => theirs.destroy());
    server(theirs);
    return Promise.resolve(ours);
  }
}

/** Answers every request with what `answer` makes of its text, then closes. */
export function httpServer(answer: (request: string) => string): FakeServer {
  return (socket) => {
    let request = "";
    socket.on("data", (chunk: Buffer) => {
      request += chunk.toString();
      if (request.endsWith("\r\n\r\n")) socket.end(answer(request));
    });
  };
}

/** `HTTP/1.1 <status>` without a body. */
export function statusServer(status: () => number): FakeServer {
  return httpServer(() => `HTTP/1.1 ${status()} Whatever\r\nContent-Length: 0\r\n\r\n`);
}

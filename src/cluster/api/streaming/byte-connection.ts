/** The bytes of an upgraded connection, both ways, at the pace of whoever is slower. */
import type { Duplex } from "node:stream";
import { type Clock, systemClock } from "../../../kernel/clock.ts";

export interface ByteConnection {
  /** In order; nothing more is read while the consumer works on a chunk. Ends when the peer has ended or is gone. Once only. */
  readonly incoming: AsyncIterable<Buffer>;
  /** Resolves when the peer may take more, or is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** Sends what has been written, closes, and throws away what still comes. */
  end(): void;
  destroy(): void;
  /** True when something came since the last call, or could not come because the consumer is slow. */
  heard(): boolean;
  /** Whether the consumer holds up the reading now. */
  readonly isHeldUp: boolean;
  /** Aborts when the connection is closed, whoever closed it. */
  readonly gone: AbortSignal;
}

/** How long a client that has got everything may take to close. Cutting it off earlier could cost it our last bytes. */
const LINGER_MS = 2_000;

/** `head` is what came with the request. */
export function socketConnection(socket: Duplex, head: Buffer, clock: Clock = systemClock): ByteConnection {
  return new SocketConnection(socket, head, clock);
}

class SocketConnection implements ByteConnection {
  readonly incoming: AsyncIterable<Buffer>;
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #gone = new AbortController();
  readonly #queue: Buffer[] = [];
  #wake: () => void = () => undefined;
  #isInputOver = false;
  #isEnding = false;
  #isWanted = false;
  #hasHeard = false;
  #drained: Promise<void> | undefined;

  constructor(socket: Duplex, head: Buffer, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.incoming = this.#read();
    if (head.length > 0) this.#queue.push(head);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.once("end", () => {
      this.#endInput();
      // No client goes on reading behind its own end: what it has sent gets a moment to be dealt with.
      this.#destroyIn(LINGER_MS);
    });
    socket.on("error", () => this.#close());
    socket.once("close", () => this.#close());
    socket.pause();
    if (socket.destroyed) this.#close();
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  get isHeldUp(): boolean {
    return !this.#isWanted && !this.#isInputOver;
  }

  heard(): boolean {
    const heard = this.#hasHeard || this.isHeldUp;
    this.#hasHeard = false;
    return heard;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.gone.aborted || this.#isEnding || bytes.length === 0) return;
    if (this.#socket.write(bytes)) return;
    this.#drained ??= this.#untilDrained();
    await this.#drained;
  }

  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#endInput();
    this.#socket.end();
    this.#socket.resume();
    this.#destroyIn(LINGER_MS);
  }

  destroy(): void {
    this.#socket.destroy();
    this.#close();
  }

  #destroyIn(ms: number): void {
    const cancel = this.#clock.schedule(ms, () => this.destroy());
    this.gone.addEventListener("abort", cancel, { once: true });
  }

  #take(chunk: Buffer): void {
    this.#hasHeard = true;
    if (this.#isEnding) return;
    this.#queue.push(chunk);
    this.#socket.pause();
    this.#wake();
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      if (this.#isInputOver) return;
      await this.#more();
    }
  }

  #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#isWanted = true;
    this.#wake = () => {
      this.#isWanted = false;
      resolve();
    };
    this.#socket.resume();
    return promise;
  }

  #untilDrained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const finish = () => {
      this.#drained = undefined;
      this.#socket.off("drain", finish);
      this.gone.removeEventListener("abort", finish);
      resolve();
    };
    this.#socket.once("drain", finish);
    this.gone.addEventListener("abort", finish, { once: true });
    return promise;
  }

  #endInput(): void {
    this.#isInputOver = true;
    this.#wake();
  }

  #close(): void {
    this.#endInput();
    this.#gone.abort();
  }
}

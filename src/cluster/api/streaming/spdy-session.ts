/** A SPDY/3.1 session of which the client opens the streams, as spdystream does for `kubectl exec` and `port-forward`. */
import { BytePipe } from "./byte-pipe.ts";
import {
  SpdyError,
  type SpdyFrame,
  SpdyFrameReader,
  writeData,
  writeGoAway,
  writePing,
  writeRst,
  writeSynReply,
} from "./spdy-frames.ts";
import { EmptyHeaderWriter, HeaderInflater } from "./spdy-headers.ts";

/** What carries the session: a socket, or binary messages of a WebSocket. */
export interface SpdyCarrier {
  readonly incoming: AsyncIterable<Buffer>;
  write(bytes: Uint8Array): Promise<void>;
  end(): void;
  readonly gone: AbortSignal;
}

/** Per stream: what a consumer has not read yet. Beyond it the whole session waits, since its frames come in one order. */
const STREAM_BUFFER_BYTES = 256 * 1024;
/** So that one busy stream does not keep the others waiting. */
const MAX_DATA_BYTES = 64 * 1024;
const REFUSED_STREAM = 3;
const CANCEL = 5;
const INVALID_STREAM = 2;
/** More streams at once than any client opens: kubectl port-forward has two for each connection. */
const MAX_STREAMS = 4096;

export interface SpdyStream {
  readonly id: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** What the client sends, until it half-closes or the stream is reset. Once only. */
  readonly incoming: AsyncIterable<Uint8Array>;
  /** Resolves when the client may take more, or has reset the stream. */
  write(bytes: Uint8Array): Promise<void>;
  /** Half-closes our side. Idempotent. */
  end(): Promise<void>;
  /** Nothing more goes either way. Idempotent. */
  reset(): void;
  /** Aborts when the stream is reset by anybody or the session is over. */
  readonly gone: AbortSignal;
}

export class SpdySession {
  readonly #carrier: SpdyCarrier;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #streams = new Map<number, Stream>();
  readonly #inflater = new HeaderInflater();
  readonly #headers = new EmptyHeaderWriter();
  #lastStreamId = 0;
  #pings = 0;

  constructor(carrier: SpdyCarrier, onStream: (stream: SpdyStream) => void) {
    this.#carrier = carrier;
    this.#onStream = onStream;
  }

  /** Serves until the client ends the session, goes away or breaks the protocol. Never rejects for what a client does. */
  async run(): Promise<void> {
    const reader = new SpdyFrameReader();
    // Held up by a stream that nobody reads, the loop would not notice.
    this.#carrier.gone.addEventListener("abort", () => this.#abandonStreams(), { once: true });
    try {
      for await (const chunk of this.#carrier.incoming) {
        for (const frame of reader.read(chunk)) {
          // A stream that is opened only now would wait for somebody to read it, and the session with it.
          if (frame.kind === "goAway" || this.#carrier.gone.aborted) return;
          await this.#take(frame);
        }
      }
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
    } finally {
      this.#inflater.close();
      this.#abandonStreams();
      this.#carrier.end();
    }
  }

  /** Asks whether the peer is there; ids of a server are even. */
  beat(): void {
    this.#pings = (this.#pings + 2) & 0x7ffffffe;
    void this.#carrier.write(writePing(this.#pings));
  }

  /** What has been sent arrives before. */
  close(): void {
    void this.#carrier.write(writeGoAway(this.#lastStreamId));
    this.#carrier.end();
  }

  #abandonStreams(): void {
    for (const stream of this.#streams.values()) stream.abandon();
  }

  async #take(frame: Exclude<SpdyFrame, { kind: "goAway" }>): Promise<void> {
    switch (frame.kind) {
      case "data":
        await this.#takeData(frame);
        return;
      case "synStream":
        await this.#open(frame);
        return;
      case "synReply":
      case "headers":
        await this.#inflater.read(frame.headers);
        return;
      case "rst":
        this.#streams.get(frame.streamId)?.abandon();
        return;
      case "ping":
        // Even ids answer our own.
        if (frame.id % 2 === 1) await this.#carrier.write(writePing(frame.id));
    }
  }

  async #takeData({ streamId, bytes, isFin }: Extract<SpdyFrame, { kind: "data" }>): Promise<void> {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      // Late data of a stream that is over is nothing new to anybody.
      if (streamId > this.#lastStreamId) await this.#carrier.write(writeRst(streamId, INVALID_STREAM));
      return;
    }
    await stream.receive(bytes, isFin);
  }

  async #open({ streamId, isFin, headers }: Extract<SpdyFrame, { kind: "synStream" }>): Promise<void> {
    const values = await this.#inflater.read(headers);
    if (streamId % 2 === 0 || streamId <= this.#lastStreamId) {
      throw new SpdyError(`stream ${streamId} cannot be opened after stream ${this.#lastStreamId}`);
    }
    this.#lastStreamId = streamId;
    if (this.#streams.size >= MAX_STREAMS) {
      await this.#carrier.write(writeRst(streamId, REFUSED_STREAM));
      return;
    }
    const stream = new Stream({
      id: streamId,
      headers: values,
      carrier: this.#carrier,
      onOver: () => this.#streams.delete(streamId),
    });
    this.#streams.set(streamId, stream);
    if (isFin) await stream.receive(Buffer.alloc(0), true);
    await this.#carrier.write(writeSynReply(streamId, this.#headers.next()));
    this.#onStream(stream);
  }
}

interface StreamParts {
  readonly id: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly carrier: SpdyCarrier;
  /** Called once, when neither side has anything more to say. */
  readonly onOver: () => void;
}

class Stream implements SpdyStream {
  readonly id: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly incoming = new BytePipe(STREAM_BUFFER_BYTES);
  readonly #carrier: SpdyCarrier;
  readonly #onOver: () => void;
  readonly #gone = new AbortController();
  #isReceived = false;
  #isSent = false;

  constructor({ id, headers, carrier, onOver }: StreamParts) {
    this.id = id;
    this.headers = headers;
    this.#carrier = carrier;
    this.#onOver = onOver;
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** From the session: resolves when the session may read on. */
  async receive(bytes: Buffer, isFin: boolean): Promise<void> {
    if (this.#isReceived) return;
    const taken = this.incoming.write(bytes);
    if (isFin) {
      this.#isReceived = true;
      this.incoming.end();
      this.#checkOver();
    }
    await taken;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      if (this.#isSent || this.gone.aborted) return;
      await this.#carrier.write(writeData(this.id, bytes.subarray(at, at + MAX_DATA_BYTES)));
    }
  }

  async end(): Promise<void> {
    if (this.#isSent || this.gone.aborted) return;
    this.#isSent = true;
    const sent = this.#carrier.write(writeData(this.id, new Uint8Array(), true));
    this.#checkOver();
    await sent;
  }

  reset(): void {
    if (this.gone.aborted || (this.#isReceived && this.#isSent)) return;
    void this.#carrier.write(writeRst(this.id, CANCEL));
    this.abandon();
  }

  /** The client has reset the stream, or the session is over. */
  abandon(): void {
    this.#isReceived = true;
    this.#isSent = true;
    this.incoming.cancel();
    this.#gone.abort();
    this.#onOver();
  }

  #checkOver(): void {
    if (this.#isReceived && this.#isSent) this.#onOver();
  }
}

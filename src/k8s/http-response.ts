/** Reads one HTTP/1.1 answer from a byte stream: what a probe or a webhook needs of it, and no more. */
import { goQuote } from "./go-format.ts";
import { NetworkError } from "./network-error.ts";

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; the first of several wins. */
  readonly headers: ReadonlyMap<string, string>;
  /** At most so many bytes as were asked for. */
  readonly body: string;
}

/** Go's `http.Transport` gives up on longer headers (10 MiB); nobody who is asked here needs that. */
const HEADER_BYTES = 64 * 1024;
/** Of the line before a chunk (Go's `maxLineLength`). */
const LINE_BYTES = 4096;
const CRLF = "\r\n";

/** Takes in pieces of an answer until it is complete, or complete enough. */
export class ResponseReader {
  #pending = Buffer.alloc(0);
  #head: { readonly status: number; readonly headers: ReadonlyMap<string, string> } | undefined;
  /** Not full: chunks may be of one byte. */
  #body = Buffer.alloc(0);
  #bodyLength = 0;
  #bodyLeft: number;
  /** Bytes left of the body, or of the present chunk; infinite for a body that ends with the connection. */
  #frameLeft = 0;
  #isChunked = false;
  #isDone = false;

  /** `bodyLimit`: bytes; what comes after is not waited for. */
  constructor(bodyLimit: number) {
    this.#bodyLeft = bodyLimit;
  }

  get hasHead(): boolean {
    return this.#head !== undefined;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Throws \`NetworkError\` for what is no HTTP. */
  push(chunk: Uint8Array): void {
    if (this.#isDone) return;
    this.#pending = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk]);
    while (this.#head === undefined) if (!this.#readHead()) return;
    this.#readBody();
  }

  /** The stream has ended. Throws \`NetworkError\` when the answer is not complete. */
  end(): void {
    if (this.#isDone) return;
    if (this.#head === undefined)
      throw new NetworkError(this.#pending.length === 0 ? "EOF" : "unexpected EOF");
    if (Number.isFinite(this.#frameLeft) || this.#isChunked) throw new NetworkError("unexpected EOF");
    this.#isDone = true;
  }

  response(): HttpResponse {
    if (this.#head === undefined) throw new TypeError("The answer has not been read");
    return { ...this.#head, body: this.#body.toString("utf8", 0, this.#bodyLength) };
  }

  /** True when there was one; answers before the final one are dropped. */
  #readHead(): boolean {
    const end = this.#pending.indexOf(CRLF + CRLF);
    const firstLine = this.#pending.indexOf("\n");
    // Whoever speaks something else may never send an empty line.
    if (firstLine >= 0) statusOf(this.#lineUntil(firstLine));
    if (end < 0) {
      if (this.#pending.length > HEADER_BYTES)
        throw new NetworkError(`net/http: server response headers exceeded ${HEADER_BYTES} bytes; aborted`);
      return false;
    }
    const [first = "", ...lines] = this.#pending.toString("latin1", 0, end).split(CRLF);
    const status = statusOf(first);
    this.#pending = this.#pending.subarray(end + 2 * CRLF.length);
    if (status >= 100 && status < 200 && status !== 101) return true;
    this.#head = { status, headers: headersOf(lines) };
    this.#beginBody(status, this.#head.headers);
    return true;
  }

  #lineUntil(newline: number): string {
    return this.#pending.toString("latin1", 0, newline).replace(/\r$/, "");
  }

  #beginBody(status: number, headers: ReadonlyMap<string, string>): void {
    const length = headers.get("content-length");
    this.#isChunked = headers.get("transfer-encoding")?.toLowerCase() === "chunked";
    if (status === 204 || status === 304 || status === 101) this.#isDone = true;
    else if (this.#isChunked) this.#frameLeft = 0;
    else if (length === undefined) this.#frameLeft = Number.POSITIVE_INFINITY;
    else if (/^\d+$/.test(length)) this.#frameLeft = Number(length);
    else throw new NetworkError(`bad Content-Length ${goQuote(length)}`);
    if (this.#frameLeft === 0 && !this.#isChunked) this.#isDone = true;
  }

  #readBody(): void {
    while (!this.#isDone) {
      if (this.#frameLeft > 0) {
        if (this.#pending.length === 0) return;
        this.#take();
        if (this.#frameLeft === 0 && !this.#isChunked) this.#isDone = true;
      } else if (!this.#readChunkSize()) return;
    }
  }

  #take(): void {
    const piece = this.#pending.subarray(0, Math.min(this.#pending.length, this.#frameLeft));
    this.#pending = this.#pending.subarray(piece.length);
    this.#frameLeft -= piece.length;
    this.#keep(piece.subarray(0, this.#bodyLeft));
    this.#bodyLeft -= Math.min(this.#bodyLeft, piece.length);
    if (this.#bodyLeft === 0) this.#isDone = true;
  }

  #keep(piece: Uint8Array): void {
    const length = this.#bodyLength + piece.length;
    if (length > this.#body.length) {
      const larger = Buffer.alloc(2 * length);
      this.#body.copy(larger, 0, 0, this.#bodyLength);
      this.#body = larger;
    }
    this.#body.set(piece, this.#bodyLength);
    this.#bodyLength = length;
  }

  /** Also takes the line that ends a chunk. Trailers are not waited for. */
  #readChunkSize(): boolean {
    const newline = this.#pending.indexOf("\n");
    if (newline > LINE_BYTES || (newline < 0 && this.#pending.length > LINE_BYTES))
      throw new NetworkError("header line too long");
    if (newline < 0) return false;
    const line = this.#lineUntil(newline);
    this.#pending = this.#pending.subarray(newline + 1);
    if (line === "") return true;
    const size = /^([\da-f]{1,8})\s*(?:;.*)?$/i.exec(line)?.[1];
    if (size === undefined) throw new NetworkError("invalid byte in chunk length");
    this.#frameLeft = Number.parseInt(size, 16);
    if (this.#frameLeft === 0) this.#isDone = true;
    return true;
  }
}

function statusOf(line: string): number {
  const status = /^HTTP\/\d\.\d (\d{3})(?: |$)/.exec(line)?.[1];
  if (status !== undefined) return Number(status);
  throw new NetworkError(
    `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${goQuote(line)}`,
  );
}

function headersOf(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (colon <= 0) throw new NetworkError(`malformed MIME header line: ${line}`);
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

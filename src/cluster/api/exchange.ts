/** The API's own view of one HTTP exchange, so that verbs know neither sockets nor headers. */
import type { IncomingHttpHeaders } from "node:http";

/** Who asks (`authentication.k8s.io/v1` UserInfo). */
export interface User {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface ApiRequest {
  readonly method: string;
  /** Path without the query, as it was sent. */
  readonly path: string;
  /** Path split at slashes and percent-decoded; no empty segment. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly user: User;
  /** Aborts when the client goes away or the server closes. */
  readonly signal: AbortSignal;
  /** Adds a `Warning:` header to the answer; the same text is sent once. */
  readonly warn: (text: string) => void;
  /** The body, read to its end. Throws `RequestEntityTooLarge` beyond the limit. */
  readonly readBody: () => Promise<Uint8Array>;
}

/** Where a stream writes to. */
export interface Sink {
  /** False when the reader is behind: wait for `drained` before writing more. */
  write(chunk: string | Uint8Array): boolean;
  /** Resolves when the reader has caught up, or is gone. */
  drained(): Promise<void>;
  /** Aborts when the reader is gone. */
  readonly signal: AbortSignal;
}

export type Answer =
  /** An API object, in the encoding the client asked for. */
  | { readonly kind: "object"; readonly code: number; readonly object: object }
  /** Bytes as they are. */
  | {
      readonly kind: "text";
      readonly code: number;
      readonly contentType: string;
      readonly body: string | Uint8Array;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** `run` resolves at the end of the stream; it is called once, after the headers have been sent. */
  | {
      readonly kind: "stream";
      readonly contentType: string;
      readonly run: (sink: Sink) => Promise<void>;
    };

export function objectAnswer(object: object, code = 200): Answer {
  return { kind: "object", code, object };
}

export function textAnswer(body: string, code = 200): Answer {
  return { kind: "text", code, contentType: "text/plain; charset=utf-8", body };
}

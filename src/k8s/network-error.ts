/** Failures of connections in the words of Go's net package, which users know from events and from the API's errors. */
import { messageOf } from "../kernel/problem.ts";

/** Go's `syscall.Errno` texts. */
const TEXTS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRNOTAVAIL: "cannot assign requested address",
  ECONNABORTED: "software caused connection abort",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EHOSTUNREACH: "no route to host",
  EMFILE: "too many open files",
  ENETDOWN: "network is down",
  ENETUNREACH: "network is unreachable",
  EPERM: "operation not permitted",
  EPIPE: "broken pipe",
  ETIMEDOUT: "connection timed out",
};

/** Why somebody could not be talked to. The message is Go's. */
export class NetworkError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NetworkError";
  }
}

/** A connection that was never made: `dial tcp 10.244.0.5:81: connect: connection refused`. */
export function dialError(address: string, cause: unknown): NetworkError {
  return new NetworkError(`dial tcp ${address}: connect: ${errnoText(cause)}`, { cause });
}

/** A connection that broke, such as `read tcp 10.244.0.5:80: read: connection reset by peer`. */
export function brokenError(operation: "read" | "write", address: string, cause: unknown): NetworkError {
  // Go names its own end too. Its port is new each time, and would make every event a new one.
  return new NetworkError(`${operation} tcp ${address}: ${operation}: ${errnoText(cause)}`, { cause });
}

/** Go's text for a kernel error, else whatever the error says. */
export function errnoText(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return TEXTS[code] ?? messageOf(error);
}

/** Time is up: the reason of a signal. */
export class DeadlineError extends NetworkError {
  constructor() {
    super("context deadline exceeded");
    this.name = "DeadlineError";
  }
}

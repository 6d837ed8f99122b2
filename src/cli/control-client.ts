/** Talks to a running `pillion run` over its control socket. Loads nothing heavy: probes use it every few seconds. */
import { lstatSync } from "node:fs";
import { CONTROL_SOCKET } from "../config/control-socket-path.ts";
import { messageOf, Problem, type ProblemDetails } from "../kernel/problem.ts";
import { type Invocation, type Option, stringOption } from "./command.ts";

export const socketOption: Option = {
  type: "string",
  value: "PATH",
  description: `Control socket of the running process (default: ${CONTROL_SOCKET}).`,
};

const ANSWER_MS = 10_000;

interface Call {
  readonly method?: "GET" | "POST";
  readonly body?: unknown;
  /** How long the answer may take. @default {10 seconds} */
  readonly timeoutMs?: number;
}

export class ControlClient {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** For a command with `socketOption`. */
  static of(invocation: Invocation): ControlClient {
    return new ControlClient(stringOption(invocation, "socket") ?? CONTROL_SOCKET);
  }

  /** The JSON answer. Throws `Problem`: what the process refuses, or why it cannot be reached. */
  async call<Answer>(route: string, call: Call = {}): Promise<Answer> {
    const response = await this.#fetch(route, call);
    return (await response.json()) as Answer;
  }

  /** The answer line by line, each of them JSON. */
  async *lines<Line>(route: string): AsyncGenerator<Line> {
    const response = await this.#fetch(route, { timeoutMs: 3_600_000 });
    let rest = "";
    for await (const chunk of (response.body ?? new Blob([]).stream()).pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) yield JSON.parse(line) as Line;
    }
  }

  async #fetch(route: string, { method = "GET", body, timeoutMs = ANSWER_MS }: Call): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`http://pillion${route}`, {
        unix: this.#path,
        method,
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw unreachable(this.#path, cause);
    }
    if (response.ok) return response;
    const answer = (await response.json().catch(() => ({}))) as { problem?: ProblemDetails<string> };
    throw new Problem(answer.problem ?? strange(this.#path, response.status));
  }
}

function unreachable(path: string, cause: unknown): Problem {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const isThere = lstatIfAllowed(path);
  if (cause instanceof Error && cause.name === "TimeoutError") {
    return new Problem({
      code: "E_NO_ANSWER",
      message: `Cannot reach Pillion at "${path}": it has not answered in time`,
      fix: "See its log; it may be short of CPU",
      cause,
    });
  }
  if (code === "EACCES" || code === "EPERM" || isThere === "denied") {
    return new Problem({
      code: "E_SOCKET_DENIED",
      message: `Cannot reach Pillion at "${path}": this user may not use the socket`,
      fix: "Run the command in Pillion's own container, as the user that `pillion run` runs as",
      cause,
    });
  }
  const what =
    isThere === "missing"
      ? "there is no such socket"
      : code === "ECONNREFUSED"
        ? "nobody answers on it"
        : messageOf(cause);
  return new Problem({
    code: "E_NOT_RUNNING",
    message: `Cannot reach Pillion at "${path}": ${what}`,
    fix: "Start it with `pillion run -c FILE`, or name its socket with `--socket PATH`",
    cause,
  });
}

function lstatIfAllowed(path: string): "there" | "missing" | "denied" {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined ? "missing" : "there";
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES" ? "denied" : "missing";
  }
}

function strange(path: string, status: number): ProblemDetails<string> {
  return {
    code: "E_NO_ANSWER",
    message: `Cannot talk to Pillion at "${path}": it answered HTTP ${status}`,
    fix: "Name the socket of a `pillion run` of this version with `--socket PATH`",
  };
}

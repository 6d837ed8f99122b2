/** Clients that go on asking an HTTP server, and tell of every request that failed and when. */
import { connect, type Socket } from "node:net";

/** Between two requests of a client: several of them are a load, and leave the machine to what is tested. */
const PAUSE_MS = 4;

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  /** Asked in turn; each must answer with 200 and a text that has this in it. */
  readonly pages: Readonly<Record<string, string>>;
  /** Clients that keep their connection, and open another one when it was closed between two requests. */
  readonly keeping?: number;
  /** Clients that open a connection for every request. */
  readonly fresh?: number;
}

export interface Failure {
  /** Of `performance.now()`, when it failed. */
  readonly at: number;
  readonly what: string;
}

export interface Load {
  /** Answered as wished so far. */
  readonly answered: number;
  readonly failures: readonly Failure[];
  /** Resolves when the last request has been answered. */
  stop(): Promise<void>;
}

export function startLoad({ host, port, pages, keeping = 0, fresh = 0 }: LoadOptions): Load {
  const state = { answered: 0, isStopped: false };
  const failures: Failure[] = [];
  const paths = Object.keys(pages);
  const run = async (client: number, keeps: boolean): Promise<void> => {
    const caller = new Caller({ host, port, keeps });
    for (let turn = client; !state.isStopped; turn++) {
      const path = paths[turn % paths.length] ?? "/";
      try {
        const { status, body } = await caller.get(path);
        if (status === 200 && body.includes(pages[path] ?? "")) state.answered++;
        else failures.push({ at: performance.now(), what: `${path}: ${status} ${body.trim()}` });
      } catch (error) {
        failures.push({ at: performance.now(), what: `${path}: ${String(error)}` });
      }
      await Bun.sleep(PAUSE_MS);
    }
    caller.close();
  };
  const clients = [
    ...Array.from({ length: keeping }, (_, index) => run(index, true)),
    ...Array.from({ length: fresh }, (_, index) => run(index, false)),
  ];
  return {
    get answered() {
      return state.answered;
    },
    failures,
    async stop() {
      state.isStopped = true;
      await Promise.all(clients);
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** The connection ended before anything of the answer had come. */
class Unanswered extends Error {}

class Caller {
  readonly #to: CallerOptions;
  #connection: Connection | undefined;

  constructor(to: CallerOptions) {
    this.#to = to;
  }

  /** RFC 9112, 9.3.1: what was sent on a kept connection that turns out to be closed is sent again, once, on a new one. */
  async get(path: string): Promise<Answer> {
    const kept = this.#connection;
    if (kept?.isOpen === true) {
      try {
        return await kept.ask(path);
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
      }
    }
    this.#connection = new Connection(this.#to);
    return await this.#connection.ask(path);
  }

  close(): void {
    this.#connection?.close();
  }
}

interface CallerOptions {
  readonly host: string;
  readonly port: number;
  readonly keeps: boolean;
}

/** One connection, one question at a time. */
class Connection {
  readonly #socket: Socket;
  readonly #keeps: boolean;
  #text = "";
  #waiting: PromiseWithResolvers<Answer> | undefined;

  constructor({ host, port, keeps }: CallerOptions) {
    this.#keeps = keeps;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (data) => this.#onData(data));
    this.#socket.on("error", (error) => this.#onEnd(error.message));
    this.#socket.on("end", () => this.#onEnd("closed"));
    this.#socket.on("close", () => this.#onEnd("closed"));
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  async ask(path: string): Promise<Answer> {
    this.#waiting = Promise.withResolvers();
    const headers = this.#keeps ? "" : "Connection: close\r\n";
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n${headers}\r\n`);
    return await this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(data: Buffer | string): void {
    this.#text += data.toString();
    const answer = parseAnswer(this.#text);
    if (answer === undefined) return;
    if (!this.#keeps || /^connection: close/im.test(this.#text)) this.close();
    this.#text = "";
    this.#waiting?.resolve(answer);
  }

  #onEnd(why: string): void {
    this.close();
    const isBegun = this.#text !== "";
    this.#waiting?.reject(isBegun ? new Error(`${why} in the middle of an answer`) : new Unanswered(why));
  }
}

/** Undefined until all of it has come. */
function parseAnswer(text: string): Answer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, end))?.[1] ?? Number.NaN);
  if (Number.isNaN(length)) throw new Error(`An answer without Content-Length: ${text.slice(0, end)}`);
  const body = text.slice(end + 4);
  return body.length < length ? undefined : { status: Number(text.slice(9, 12)), body };
}

/** The clients that are attached to process 1 of a container: its output goes to all of them, their input goes to it. */
import type { Clock } from "../../kernel/clock.ts";
import type { LogStream } from "./cri-lines.ts";
import { EarlyOutput } from "./early-output.ts";
import { OutputQueue } from "./output-queue.ts";
import type { AttachedProcess, AttachSpec, ProcessInput, TerminalSize } from "./process-io.ts";

/**
 * The output waits for a client that is behind by what an `OutputQueue` holds. One that takes nothing at all for so long is let
 * go: its streams end, while the container and its log go on.
 */
const STALL_MS = 5_000;

export interface AttachmentOptions {
  readonly clock: Clock;
  /** Absent when the container was started without. */
  readonly stdin: ProcessInput | undefined;
  /** `stdin` ends with the first client that used it. */
  readonly stdinOnce: boolean;
  /** Changes the size of the terminal; absent without one, and then standard error is a stream of its own. */
  readonly resize: ((size: TerminalSize) => void) | undefined;
}

interface Client {
  readonly stdout: OutputQueue | undefined;
  readonly stderr: OutputQueue | undefined;
}

export class Attachments {
  readonly #options: AttachmentOptions;
  readonly #clients = new Set<Client>();
  readonly #early: EarlyOutput | undefined;
  #isHurried = false;

  constructor(options: AttachmentOptions) {
    this.#options = options;
    this.#early = options.stdin === undefined ? undefined : new EarlyOutput(options.clock);
  }

  attach(spec: AttachSpec): AttachedProcess {
    const { resize, stdin } = this.#options;
    const client: Client = {
      stdout: spec.stdout ? new OutputQueue() : undefined,
      stderr: spec.stderr && resize === undefined ? new OutputQueue() : undefined,
    };
    for (const [stream, chunk] of this.#early?.take() ?? []) client[stream]?.push(chunk);
    this.#clients.add(client);
    const input = spec.stdin && stdin !== undefined ? this.#inputOf(client, stdin) : undefined;
    return {
      ...(input === undefined ? {} : { stdin: input }),
      ...(client.stdout === undefined ? {} : { stdout: client.stdout }),
      ...(client.stderr === undefined ? {} : { stderr: client.stderr }),
      resize: (size) => resize?.(size),
      detach: () => {
        input?.end();
        this.#letGo(client);
      },
    };
  }

  /** A promise when the output has to wait. */
  offer(stream: LogStream, chunk: Uint8Array): Promise<unknown> | undefined {
    this.#early?.keep(stream, chunk);
    const waits: Promise<void>[] = [];
    for (const client of this.#clients) {
      const queue = client[stream];
      queue?.push(chunk);
      if (queue?.isFull === true && !this.#isHurried) waits.push(this.#room(client, queue));
    }
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  /** The container has ended: nobody is waited for any more, what is left in its pipes goes into the queues. */
  hurry(): void {
    this.#isHurried = true;
    for (const { stdout, stderr } of this.#clients) for (const queue of [stdout, stderr]) queue?.skipWait();
  }

  /** All output has been offered. */
  end(): void {
    this.#early?.forget();
    for (const { stdout, stderr } of this.#clients) for (const queue of [stdout, stderr]) queue?.end();
    this.#clients.clear();
  }

  async #room(client: Client, queue: OutputQueue): Promise<void> {
    const cancel = this.#options.clock.schedule(STALL_MS, () => this.#letGo(client));
    await queue.room();
    cancel();
  }

  /**
   * containerd's rules: the end of input is the program's only with `stdinOnce` and without a terminal; in all other cases it
   * ends the client's own streams.
   */
  #inputOf(client: Client, stdin: ProcessInput): ProcessInput {
    let hasEnded = false;
    return {
      write: (chunk) => (hasEnded ? Promise.resolve() : stdin.write(chunk)),
      end: () => {
        if (hasEnded) return;
        hasEnded = true;
        if (this.#options.stdinOnce && this.#options.resize === undefined) stdin.end();
        else this.#finish(client);
      },
    };
  }

  #finish(client: Client): void {
    this.#clients.delete(client);
    client.stdout?.end();
    client.stderr?.end();
  }

  #letGo(client: Client): void {
    this.#clients.delete(client);
    client.stdout?.close();
    client.stderr?.close();
  }
}

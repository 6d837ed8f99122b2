/** What `exec` and `attach` need of a client, whatever protocol it speaks. */
import type { TerminalSize } from "../../kubelet/port.ts";

export interface ByteWriter {
  /** Resolves when the client may take more, or is gone. */
  write(bytes: Uint8Array): Promise<void>;
}

export interface CommandChannels {
  /** What the client sends, until it half-closes or goes away. Absent when it did not ask for it. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  readonly stdout?: ByteWriter;
  readonly stderr?: ByteWriter;
  /** Sizes that came before are told at once. */
  onResize(listener: (size: TerminalSize) => void): void;
  /** The last word: a `v1.Status`. Closes the connection once the client has it. */
  finish(status: object): Promise<void>;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
}

/** Which streams a client asked for (`v1.PodExecOptions`, `v1.PodAttachOptions`). */
export interface StreamChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Two numbers of 16 bits and their names. */
const MAX_SIZE_TEXT = 1024;

/** Remembers the newest size for whoever comes to listen, and reads sizes out of JSON. */
export class TerminalSizes {
  #newest: TerminalSize | undefined;
  #listener: (size: TerminalSize) => void = () => undefined;
  #text = "";

  listen(listener: (size: TerminalSize) => void): void {
    this.#listener = listener;
    if (this.#newest !== undefined) listener(this.#newest);
  }

  /** Objects of `remotecommand.TerminalSize`, one after the other, cut anywhere. What is none is ignored. */
  read(bytes: Uint8Array): void {
    const [...texts] = (this.#text + new TextDecoder().decode(bytes)).split(/(?<=\})/);
    const last = texts.pop() ?? "";
    if (last.endsWith("}")) texts.push(last);
    this.#text = last.endsWith("}") ? "" : last.slice(-MAX_SIZE_TEXT);
    for (const text of texts) this.#take(text);
  }

  #take(text: string): void {
    const size = sizeIn(text);
    if (size === undefined) return;
    this.#newest = size;
    this.#listener(size);
  }
}

function sizeIn(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
    if (!isCount(Width) || !isCount(Height)) return undefined;
    return { width: Width, height: Height };
  } catch {
    return undefined; // Not JSON.
  }
}

/** The kernel keeps 16 bits of each. */
function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff;
}

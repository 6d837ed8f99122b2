/** Pillion's own log: one line per event on standard error, never in the way of the work. */
import type { Clock } from "../kernel/clock.ts";
import type { Log, LogFields } from "../kernel/host.ts";
import { formatJson, formatText, type LogEvent, type LogLevel } from "./log-line.ts";

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
/** A warning or error that says the same again within this time is counted instead. */
const REPEAT_MS = 60_000;
/** As many different ones are remembered; beyond, everything is written. */
const MAX_REMEMBERED = 1_000;
/** What waits for a slow reader at most; beyond, lines are counted and left out. */
const MAX_WAITING_BYTES = 1024 * 1024;

export interface LoggerOptions {
  readonly clock: Clock;
  /** Writes whole lines; a rejection is ignored, since there is nowhere left to tell of it. */
  readonly write: (text: string) => Promise<void>;
  readonly level: LogLevel;
  readonly format: "json" | "text";
}

interface Repeated {
  event: LogEvent;
  count: number;
  readonly cancel: () => void;
}

export class Logger {
  /** The runtime's own. */
  readonly log: Log;
  readonly #clock: Clock;
  readonly #write: (text: string) => Promise<void>;
  #level: LogLevel;
  #format: "json" | "text";
  readonly #repeated = new Map<string, Repeated>();
  #waiting: string[] = [];
  #waitingBytes = 0;
  #unreported = 0;
  #dropped = 0;
  #flushing: Promise<void> | undefined;

  constructor({ clock, write, level, format }: LoggerOptions) {
    this.#clock = clock;
    this.#write = write;
    this.#level = level;
    this.#format = format;
    this.log = this.#logOf(undefined);
  }

  /** Lines that were left out because nobody read them in time. */
  get dropped(): number {
    return this.#dropped;
  }

  forSidecar(name: string): Log {
    return this.#logOf(name);
  }

  configure({ level, format }: Pick<LoggerOptions, "level" | "format">): void {
    this.#level = level;
    this.#format = format;
  }

  /** Says what was only counted so far, and resolves when everything is written. */
  async close(): Promise<void> {
    for (const key of this.#repeated.keys()) this.#endRepetition(key);
    await this.#flushing;
  }

  #logOf(sidecar: string | undefined): Log {
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (ORDER[level] < ORDER[this.#level]) return;
      this.#take({ time: this.#clock.now(), level, message, sidecar, fields });
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }

  #take(event: LogEvent): void {
    if (ORDER[event.level] < ORDER.warn) return this.#print(event);
    const key = identityOf(event);
    const known = this.#repeated.get(key);
    if (known !== undefined) {
      known.event = event;
      known.count += 1;
      return undefined;
    }
    if (this.#repeated.size < MAX_REMEMBERED) {
      const cancel = this.#clock.schedule(REPEAT_MS, () => this.#endRepetition(key));
      this.#repeated.set(key, { event, count: 0, cancel });
    }
    return this.#print(event);
  }

  #endRepetition(key: string): void {
    const repeated = this.#repeated.get(key);
    if (repeated === undefined) return;
    repeated.cancel();
    this.#repeated.delete(key);
    if (repeated.count > 0) this.#print({ ...repeated.event, repeated: repeated.count });
  }

  #print(event: LogEvent): void {
    const line = this.#format === "json" ? formatJson(event) : formatText(event);
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#dropped += 1;
      this.#unreported += 1;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#flushing ??= this.#flush();
  }

  async #flush(): Promise<void> {
    // What is logged in the same breath is written at once.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const text = this.#waiting.join("");
      this.#waiting = [];
      try {
        await this.#write(text);
      } catch {
        // Standard error is gone or full: the work goes on without a log.
      }
      this.#waitingBytes -= text.length;
      this.#tellDropped();
    }
    this.#flushing = undefined;
  }

  #tellDropped(): void {
    const lines = this.#unreported;
    if (lines === 0) return;
    this.#unreported = 0;
    const message = "Some lines of this log are missing: nobody read them in time";
    this.#print({ time: this.#clock.now(), level: "warn", message, sidecar: undefined, fields: { lines } });
  }
}

/** What makes two events the same: everything but numbers, which count or measure. */
function identityOf({ level, sidecar, message, fields }: LogEvent): string {
  const texts = Object.entries(fields ?? {}).filter(([, value]) => typeof value === "string");
  return JSON.stringify([level, sidecar, message, texts]);
}

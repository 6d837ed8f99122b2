/** Receives syslog messages at Unix sockets and over UDP, and brings them into a spool: one line each. */
import type { Clock } from "../../../kernel/clock.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import type { UdpAddress } from "./push-config.ts";
import type { PushSource } from "./push-source.ts";
import { DatagramReceiver } from "./receive-datagrams.ts";
import { StreamReceiver } from "./receive-stream.ts";
import { UdpReceiver } from "./receive-udp.ts";
import type { Spool } from "./spool.ts";
import { SyslogIntake } from "./syslog-intake.ts";
import type { SyslogReceiver } from "./syslog-receiver.ts";

export interface SyslogOptions {
  readonly socket?: string | undefined;
  readonly stream?: string | undefined;
  readonly udp?: UdpAddress | undefined;
  /** Closed together with the source. */
  readonly spool: Spool;
  readonly clock: Clock;
  /** So many UDP messages were lost, for want of room in the kernel's queue or in the spool. */
  readonly lost: (messages: number) => void;
}

/** What records say of where they come from. */
export const SYSLOG_ORIGIN = "syslog";

/** How often lost messages are counted, and places that cannot be received at are tried again. */
const CHECK_MS = 5_000;

export class SyslogSource implements PushSource {
  readonly spooled: Spool;
  readonly #clock: Clock;
  readonly #intake: SyslogIntake;
  readonly #receivers: readonly SyslogReceiver[];
  readonly #udp: UdpReceiver | undefined;
  /** Those that are not open, and why. */
  readonly #refused = new Map<SyslogReceiver, unknown>();
  readonly #opened: Promise<void>;
  #cancelCheck: (() => void) | undefined;
  #isClosed = false;

  /** Begins to receive. Throws nothing: what hinders it is a trouble. */
  constructor({ spool, clock, socket, stream, udp, lost }: SyslogOptions) {
    this.spooled = spool;
    this.#clock = clock;
    this.#intake = new SyslogIntake({ spool, clock, hold: (isHeld) => this.#hold(isHeld) });
    const take = (message: Uint8Array): void => this.#intake.take(message);
    this.#udp = udp === undefined ? undefined : new UdpReceiver(udp, take, lost);
    this.#receivers = [
      socket === undefined ? undefined : new DatagramReceiver(socket, take),
      stream === undefined ? undefined : new StreamReceiver(stream, take),
      this.#udp,
    ].filter((receiver) => receiver !== undefined);
    this.#opened = this.#open(this.#receivers);
    this.#checkLater();
  }

  /** Resolves when each place has been tried once. */
  get opened(): Promise<void> {
    return this.#opened;
  }

  /** Of UDP; undefined while it is not open. */
  get port(): number | undefined {
    return this.#udp?.port;
  }

  async finish(): Promise<void> {
    await this.#opened;
    for (const receiver of this.#receivers) await receiver.drain();
    await this.#intake.settle();
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelCheck?.();
    for (const receiver of this.#receivers) receiver.close();
    this.#intake.close();
    this.spooled.close();
  }

  troubles(): readonly unknown[] {
    const { trouble } = this.#intake;
    return [...this.#refused.values(), ...(trouble === undefined ? [] : [cannotSpool(trouble)])];
  }

  async #open(receivers: Iterable<SyslogReceiver>): Promise<void> {
    for (const receiver of receivers) {
      if (this.#isClosed) return;
      try {
        await receiver.open();
        this.#refused.delete(receiver);
      } catch (error) {
        this.#refused.set(receiver, cannotReceive(receiver.place, error));
      }
      if (this.#isClosed) receiver.close();
    }
  }

  #hold(isHeld: boolean): void {
    for (const receiver of this.#receivers) receiver.hold(isHeld);
  }

  #checkLater(): void {
    this.#cancelCheck = this.#clock.schedule(CHECK_MS, () => {
      this.#udp?.countDrops();
      void this.#open([...this.#refused.keys()]);
      this.#checkLater();
    });
  }
}

function cannotReceive(place: string, cause: unknown): Problem {
  return new Problem({
    code: "E_SYSLOG",
    message: `Cannot receive syslog at "${place}": ${messageOf(cause)}`,
    fix: "See that nothing else receives there, and that this user may; ports below 1024 need NET_BIND_SERVICE",
    cause,
  });
}

function cannotSpool(cause: unknown): Problem {
  return new Problem({
    code: "E_SPOOL",
    message: `Cannot keep syslog messages: ${messageOf(cause)}; their senders wait, and UDP is lost`,
    fix: "Make room on the volume of the state folder, or let it be written to",
    cause,
  });
}

/** Receives syslog messages over UDP (RFC 5426), and counts those that had no room. */
import type { UdpAddress } from "./push-config.ts";
import { letArrive, type SyslogReceiver, type TakeMessage } from "./syslog-receiver.ts";
import { udpQueueAt } from "./udp-queue.ts";

export class UdpReceiver implements SyslogReceiver {
  readonly #address: UdpAddress;
  readonly #take: TakeMessage;
  readonly #lost: (messages: number) => void;
  #socket: Bun.udp.Socket<"buffer"> | undefined;
  #isHeld = false;
  #isClosed = false;
  #drops = 0;

  constructor(address: UdpAddress, take: TakeMessage, lost: (messages: number) => void) {
    this.#address = address;
    this.#take = take;
    this.#lost = lost;
  }

  get place(): string {
    const { hostname, port } = this.#address;
    return `udp ${hostname.includes(":") ? `[${hostname}]` : hostname}:${this.#socket?.port ?? port}`;
  }

  /** Where it receives; undefined while it does not. */
  get port(): number | undefined {
    return this.#socket?.port;
  }

  async open(): Promise<void> {
    const { hostname, port } = this.#address;
    const socket = await Bun.udpSocket({
      hostname,
      port,
      socket: {
        data: (_, message) => {
          // Nobody who sends UDP can be told to wait.
          if (this.#isHeld) this.#lost(1);
          else this.#take(message);
        },
      },
    });
    if (this.#isClosed) socket.close();
    else this.#socket = socket;
  }

  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
  }

  async drain(): Promise<void> {
    const { port } = this;
    if (port !== undefined) await letArrive(() => udpQueueAt(port).waiting > 0);
  }

  /** Tells of messages for which the kernel's queue had no room, since it was last asked. */
  countDrops(): void {
    if (this.port === undefined) return;
    const { drops } = udpQueueAt(this.port);
    if (drops > this.#drops) this.#lost(drops - this.#drops);
    this.#drops = drops;
  }

  close(): void {
    this.#isClosed = true;
    this.countDrops();
    this.#socket?.close();
    this.#socket = undefined;
  }
}

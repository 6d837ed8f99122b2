/** Receives what programs send with `syslog()`: datagrams at a Unix socket, as a rule `/dev/log`. */
import { lstatSync, unlinkSync } from "node:fs";
import { DatagramSocket } from "../../../lib/datagram-socket.ts";
import { lstatIfThere } from "../../../lib/lstat-if-there.ts";
import { SOCKET_MODE, type SyslogReceiver, type TakeMessage } from "./syslog-receiver.ts";

/** The queue of such a socket holds 10 to 512 (net.unix.max_dgram_qlen). */
const MOST_WAITING = 10_000;

export class DatagramReceiver implements SyslogReceiver {
  readonly place: string;
  readonly #take: TakeMessage;
  #socket: DatagramSocket | undefined;
  #inode: number | undefined;
  #isHeld = false;

  constructor(path: string, take: TakeMessage) {
    this.place = path;
    this.#take = take;
  }

  async open(): Promise<void> {
    refuseOtherKinds(this.place);
    const socket = new DatagramSocket(this.place, { mode: SOCKET_MODE, received: this.#take });
    this.#socket = socket;
    this.#inode = lstatSync(this.place).ino;
    if (this.#isHeld) socket.pause();
    await socket.open();
  }

  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#socket?.pause();
    else this.#socket?.resume();
  }

  async drain(): Promise<void> {
    this.#socket?.drain(MOST_WAITING);
  }

  close(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    // A successor may have put its own there already.
    if (lstatIfThere(this.place)?.ino === this.#inode) unlinkSync(this.place);
    socket.drain(MOST_WAITING);
    socket.close();
  }
}

/** A socket in the place is that of a process before; anything else is not ours to replace. */
export function refuseOtherKinds(path: string): void {
  const stats = lstatIfThere(path);
  if (stats !== undefined && !stats.isSocket())
    throw new Error("something that is no socket is in its place");
}

/** Receives syslog messages over connections to a Unix socket. */
import { chmodSync, lstatSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { lstatIfThere } from "../../../lib/lstat-if-there.ts";
import { refuseOtherKinds } from "./receive-datagrams.ts";
import { SyslogFrames } from "./syslog-frames.ts";
import { letArrive, SOCKET_MODE, type SyslogReceiver, type TakeMessage } from "./syslog-receiver.ts";

const QUIET_TURNS = 10;

type Connection = Bun.Socket<SyslogFrames>;

export class StreamReceiver implements SyslogReceiver {
  readonly place: string;
  readonly #take: TakeMessage;
  readonly #connections = new Set<Connection>();
  #listener: Bun.UnixSocketListener<SyslogFrames> | undefined;
  #inode: number | undefined;
  #isHeld = false;
  #hasHeard = false;

  constructor(path: string, take: TakeMessage) {
    this.place = path;
    this.#take = take;
  }

  async open(): Promise<void> {
    refuseOtherKinds(this.place);
    const beside = `${this.place}.new`;
    rmSync(beside, { force: true });
    this.#listener = Bun.listen<SyslogFrames>({
      unix: beside,
      socket: {
        open: (connection) => this.#welcome(connection),
        data: (connection, bytes) => {
          this.#hasHeard = true;
          connection.data.push(bytes);
        },
        close: (connection) => this.#farewell(connection),
        error: () => undefined,
      },
    });
    chmodSync(beside, SOCKET_MODE);
    renameSync(beside, this.place);
    this.#inode = lstatSync(this.place).ino;
  }

  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    for (const connection of this.#connections) {
      if (isHeld) connection.pause();
      else connection.resume();
    }
  }

  /** Until nothing has come for some turns: a connection takes one to be seen, and another until its bytes are. */
  async drain(): Promise<void> {
    let quiet = 0;
    await letArrive(() => {
      quiet = this.#hasHeard ? 0 : quiet + 1;
      this.#hasHeard = false;
      return quiet < QUIET_TURNS;
    });
  }

  close(): void {
    if (this.#listener === undefined) return;
    if (lstatIfThere(this.place)?.ino === this.#inode) unlinkSync(this.place);
    this.#listener.stop(true);
    this.#listener = undefined;
    for (const connection of this.#connections) this.#farewell(connection);
  }

  #welcome(connection: Connection): void {
    connection.data = new SyslogFrames(this.#take);
    this.#connections.add(connection);
    this.#hasHeard = true;
    if (this.#isHeld) connection.pause();
  }

  #farewell(connection: Connection): void {
    if (this.#connections.delete(connection)) connection.data.end();
  }
}

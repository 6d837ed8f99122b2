/** Opens the sources that cannot be read twice, each with its spool. */
import { basename, join } from "node:path";
import type { Host } from "../../../kernel/host.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import { FifoSource } from "./fifo.ts";
import type { PushConfig } from "./push-config.ts";
import type { PushSource } from "./push-source.ts";
import { Spool } from "./spool.ts";
import { SYSLOG_ORIGIN, SyslogSource } from "./syslog-source.ts";

export interface PushOptions {
  readonly config: PushConfig;
  readonly host: Host;
  /** So many syslog messages over UDP had no room. */
  readonly lostMessages: (messages: number) => void;
}

/** Each begins at once. Throws `Problem` E_SPOOL when there is no place to keep what comes; then none is open. */
export function openPush({ config, host, lostMessages }: PushOptions): readonly PushSource[] {
  const { fifo, syslog, spool: maxBytes } = config;
  const folder = join(host.stateFolder, "spool");
  const open: PushSource[] = [];
  const spoolOf = (name: string, origin: string): Spool => new Spool({ folder, name, origin, maxBytes });
  try {
    for (const { path, create } of fifo) {
      open.push(new FifoSource({ path, create, spool: spoolOf(fifoName(path), path), clock: host }));
    }
    if (syslog !== undefined) {
      const spool = spoolOf("syslog", SYSLOG_ORIGIN);
      open.push(new SyslogSource({ ...syslog, spool, clock: host, lost: lostMessages }));
    }
  } catch (error) {
    for (const source of open) source.close();
    throw new Problem({
      code: "E_SPOOL",
      message: `Cannot keep what comes in: the spool in "${folder}" cannot be opened: ${messageOf(error)}`,
      fix: "Mount a volume that this user may write to at the state folder, with room on it",
      cause: error,
    });
  }
  return open;
}

/** Two paths never have the same name, and people can tell which is which. */
function fifoName(path: string): string {
  const readable = basename(path)
    .replaceAll(/[^A-Za-z0-9._-]/g, "_")
    .slice(0, 60);
  return `fifo-${readable}-${Bun.hash.xxHash64(path).toString(16)}`;
}

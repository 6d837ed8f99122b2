/** Carries what a container writes to its terminal to its log file. */
import { CriLines } from "./cri-lines.ts";
import type { FdStore } from "./fd-store.ts";
import { LogFile } from "./log-file.ts";
import { lineWriter, type LogPump, type LogPumpOptions } from "./log-pump.ts";
import { OutputReader } from "./output-reader.ts";
import type { Terminal } from "./terminal.ts";

/**
 * The log of a container has all that its terminal shows, as one stream (CRI). Owns the terminal; with a store, another engine
 * can go on with it, but for what this one had read and not yet written.
 */
export function openTerminalLog(options: LogPumpOptions, terminal: Terminal, store?: FdStore): LogPump {
  const log = new LogFile({ path: options.logPath });
  const { master, slave } = terminal;
  const output = new OutputReader({ ...options, fd: master, close: () => terminal.close() });
  const writer = lineWriter(log, options);
  let copied: Promise<void> = Promise.resolve();
  const copy = async (): Promise<void> => {
    const lines = new CriLines("stdout", writer.write);
    for await (const chunk of output) {
      lines.push(chunk, writer.time());
      await options.onOutput?.("stdout", chunk);
    }
    lines.end(writer.time());
  };
  const closeLog = (): void => {
    try {
      log.close();
    } catch (error) {
      writer.onLost(error);
    }
  };
  return {
    stdout: slave,
    stderr: slave,
    started() {
      store?.hold(options.id, [master, slave]);
      // Our copy of the other end stays: a program that closes all of its own for a moment does not end the log.
      copied = copy();
    },
    async drained() {
      store?.drop(options.id);
      terminal.closeSlave();
      output.ended();
      await copied;
      closeLog();
    },
    abandon() {
      output.close();
      closeLog();
    },
  };
}

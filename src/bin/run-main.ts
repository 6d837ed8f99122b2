/** What every entry of the program does: reads arguments, environment and signals, runs one command, and exits. */
import type { Command, Terminal } from "../cli/command.ts";
import { runCli } from "../cli/run-cli.ts";
import { isTerminal } from "../lib/is-terminal.ts";

/** Ends the process. Loads nothing that takes long before it is needed: probes run the program every few seconds. */
export async function runMain(createCommands: (terminal: Terminal) => readonly Command[]): Promise<void> {
  const stop = new AbortController();
  const stopNow = new AbortController();
  /** The first request stops in order, the second at once. */
  const requestStop = (): void => {
    if (stop.signal.aborted) stopNow.abort();
    else stop.abort();
  };
  await watchSignals(requestStop);
  const stdout = lazyStdout(requestStop);
  const terminal: Terminal = {
    out: (text) => void stdout().write(text),
    err: (text) => void process.stderr.write(text),
    isInteractive: isTerminal(1),
    cwd: process.cwd(),
    env: process.env,
    stop: stop.signal,
    stopNow: stopNow.signal,
    readStdin: () => Bun.stdin.text(),
  };
  process.exit(await runCli(process.argv.slice(2), createCommands(terminal), terminal));
}

/** `process.stdout` takes 10 ms the first time. */
function lazyStdout(onGone: () => void): () => NodeJS.WriteStream {
  let isWatched = false;
  return () => {
    // A reader that went away (`pillion ps | head -1`) is no error of ours.
    if (!isWatched) process.stdout.on("error", onGone);
    isWatched = true;
    return process.stdout;
  };
}

async function watchSignals(requestStop: () => void): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, requestStop);
  const lifeline = Number(process.env["PILLION_LIFELINE_FD"]);
  if (!Number.isInteger(lifeline) || lifeline < 3) return;
  // The launcher holds the other end: when it is killed, nobody can tell us to stop any more.
  const { Socket } = await import("node:net");
  const socket = new Socket({ fd: lifeline, readable: true, writable: false });
  socket.on("close", requestStop).on("error", () => {});
  socket.resume();
  socket.unref();
}

/** The one entry: reads arguments, environment and signals, hands the commands what they need, and exits. */
import { Socket } from "node:net";
import { runCli } from "../cli/run-cli.ts";
import type { Terminal } from "../cli/command.ts";
import { createCommands } from "./commands.ts";

const stop = new AbortController();
const stopNow = new AbortController();

/** The first request stops in order, the second at once. */
function requestStop(): void {
  if (stop.signal.aborted) stopNow.abort();
  else stop.abort();
}

function watchSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, requestStop);
  const lifeline = Number(process.env["PILLION_LIFELINE_FD"]);
  if (!Number.isInteger(lifeline) || lifeline < 3) return;
  // The launcher holds the other end: when it is killed, nobody can tell us to stop any more.
  const socket = new Socket({ fd: lifeline, readable: true, writable: false });
  socket.on("close", requestStop).on("error", () => {});
  socket.resume();
  socket.unref();
}

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isInteractive: process.stdout.isTTY,
  cwd: process.cwd(),
  env: process.env,
  stop: stop.signal,
  stopNow: stopNow.signal,
  readStdin: () => Bun.stdin.text(),
};

watchSignals();
// A reader that went away (`pillion ps | head -1`) is no error of ours.
process.stdout.on("error", requestStop);
const code = await runCli(process.argv.slice(2), createCommands(terminal), terminal);
process.exit(code);

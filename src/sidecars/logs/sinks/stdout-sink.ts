/** Delivers to the container's standard output, where the node's own log collection picks it up. */
import { z } from "zod";
import type { Host } from "../../../kernel/host.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import { batchOptions, limitsOf } from "./batch-options.ts";
import { lineFormat, lineOf, linesOf } from "./line-format.ts";
import type { Outcome, Piece, Sink } from "./sink.ts";

export function stdoutOptions() {
  return z
    .strictObject({
      format: lineFormat(),
      batch: batchOptions({ size: "256Ki", records: 1_000, wait: "0s" }),
    })
    .describe("Writes to the container's standard output. Acknowledged as soon as it is written.");
}

export type StdoutOptions = z.output<ReturnType<typeof stdoutOptions>>;

export function createStdoutSink(name: string, options: StdoutOptions, host: Host): Sink {
  const encode = lineOf(options.format);
  return {
    name,
    limits: limitsOf(options.batch),
    encode,
    send: (batch, signal) => write(host, batch, signal),
    close: () => Promise.resolve(),
  };
}

async function write(host: Host, batch: readonly Piece[], signal: AbortSignal): Promise<Outcome> {
  if (signal.aborted) return { kind: "unavailable", because: stuck() };
  const { promise: stopped, resolve } = Promise.withResolvers<Outcome>();
  const stop = (): void => resolve({ kind: "unavailable", because: stuck() });
  signal.addEventListener("abort", stop, { once: true });
  try {
    const written = host.writeStdout(Buffer.from(linesOf(batch)));
    return await Promise.race([written.then((): Outcome => ({ kind: "answered", refusals: [] })), stopped]);
  } catch (cause) {
    return { kind: "unavailable", because: broken(cause) };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function stuck(): Problem {
  return new Problem({
    code: "E_SINK_STUCK",
    message: "Cannot write to standard output: nobody reads it",
    fix: "Look at whatever standard output is connected to",
  });
}

function broken(cause: unknown): Problem {
  return new Problem({
    code: "E_SINK_BROKEN",
    message: `Cannot write to standard output: ${messageOf(cause)}`,
    fix: "Look at whatever standard output is connected to",
    cause,
  });
}

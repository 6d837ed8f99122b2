/**
 * A program that delivers numbered records until it is killed, for `kill.test.ts`: `bun kill.test-support.ts FOLDER PORT LAST`.
 * It reads three endless "files" from their checkpoints on, and ends by itself when each has been delivered up to LAST (0: never).
 * Prints `ready` once, and before that `twice N` for what may have been sent twice.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../../kernel/clock.ts";
import type { LogRecord } from "../record.ts";
import type { Outcome, Piece, Refusal, Sink } from "../sinks/sink.ts";
import { countingMetrics, NumberedFile, SILENT } from "./delivery.test-support.ts";
import { openDelivery } from "./open-delivery.ts";

const KEYS = ["a", "b", "c"];
const LOT = 20;
const LIMITS = { memoryBytes: 60_000, bufferBytes: 200_000, deadLetterBytes: 2 ** 20 };
const TIMEOUT_MS = 200;

/** Speaks to the test's receiver: one text per line, the numbers of refused lines come back. */
class LineSink implements Sink {
  readonly name = "http";
  readonly limits = { maxBytes: 20_000, maxRecords: 50, maxWaitMs: 5 };
  readonly #url: string;

  constructor(port: string) {
    this.#url = `http://127.0.0.1:${port}/`;
  }

  encode({ text, origin, end }: LogRecord): Piece {
    return { text, group: origin.key, nanos: "", id: `${origin.key}@${end}` };
  }

  async send(batch: readonly Piece[], signal: AbortSignal): Promise<Outcome> {
    const body = batch.map(({ text }) => text).join("\n");
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    try {
      const response = await fetch(this.#url, { method: "POST", body, signal: limit });
      if (!response.ok) return { kind: "unavailable", because: `HTTP ${response.status}`, retryAfterMs: 5 };
      return { kind: "answered", refusals: (await response.json()) as Refusal[] };
    } catch (because) {
      return { kind: "unavailable", because, retryAfterMs: 5 };
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function run(folder: string, port: string, last: number): Promise<void> {
  const log = {
    ...SILENT,
    warn: (_: string, fields?: Readonly<Record<string, unknown>>) => {
      writeSync(1, `twice ${Number(fields?.["atMostRecords"])}\n`);
    },
  };
  const { metrics } = countingMetrics();
  const sinks = [new LineSink(port)];
  const delivery = await openDelivery({
    folder,
    sinks,
    host: { ...systemClock, log },
    limits: LIMITS,
    metrics,
  });
  writeSync(1, "ready\n");
  const files = KEYS.map((key) => new NumberedFile(key));
  for (const file of files) {
    delivery.checkpoints.remember(file.origin.key, { inode: 1 });
    file.read = (delivery.checkpoints.get(file.origin.key)?.offset ?? 0) / 10;
  }
  while (files.some(({ read }) => last === 0 || read < last)) {
    for (const file of files) if (last === 0 || file.read < last) await delivery.offer(file.lot(LOT));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const hold = setInterval(() => undefined, 1_000);
  await delivery.drain(false);
  clearInterval(hold);
  const letters = await delivery.deadLetters.list();
  writeSync(
    1,
    `${JSON.stringify({ read: files.map(({ read }) => read), letters: letters.map(({ record }) => record) })}\n`,
  );
  await delivery.stop();
}

if (import.meta.main) await run(process.argv[2] ?? "", process.argv[3] ?? "", Number(process.argv[4]));

/**
 * An application that logs numbered lines at a steady rate: `bun log-writer.ts PATH WAY RATE LINES`. It prints how many it has
 * written, every `REPORT_LINES` and at its end; nothing else.
 */
import { closeSync, openSync, writeSync } from "node:fs";

/**
 * `keep`: one descriptor in append mode for ever. `signal`: opened by its name again on SIGUSR1, as nginx does. `name`: opened
 * by its name for every write.
 */
export type WritingWay = "keep" | "signal" | "name";

/** How many lines there are between two reports. */
export const REPORT_LINES = 5_000;
const TICK_MS = 5;
/** Lines of one write. */
const BURST = 10;
const FILLER = "the quick brown fox jumps over the lazy dog ".repeat(2);

/** What line `number` says; no two are alike, and all are of the same length. */
export function writtenLine(number: number): string {
  return `${String(number).padStart(8, "0")} ${FILLER}`;
}

class Writer {
  readonly #path: string;
  readonly #way: WritingWay;
  #fd: number | undefined;

  constructor(path: string, way: WritingWay) {
    this.#path = path;
    this.#way = way;
  }

  write(text: string): void {
    this.#fd ??= openSync(this.#path, "a");
    writeSync(this.#fd, text);
    if (this.#way === "name") this.letGo();
  }

  letGo(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

async function run(writer: Writer, rate: number, lines: number): Promise<void> {
  const startedAt = performance.now();
  for (let written = 0; written < lines;) {
    const due = Math.min(lines, Math.ceil(((performance.now() - startedAt) / 1_000) * rate));
    for (; written < due; written += BURST) {
      const numbers = Array.from({ length: BURST }, (_, index) => written + index);
      writer.write(numbers.map((number) => `${writtenLine(number)}\n`).join(""));
      if ((written + BURST) % REPORT_LINES === 0) writeSync(1, `${written + BURST}\n`);
    }
    await Bun.sleep(TICK_MS);
  }
}

if (import.meta.main) {
  const [path = "", way = "keep", rate = "", lines = ""] = process.argv.slice(2);
  const writer = new Writer(path, way as WritingWay);
  if (way === "signal") process.on("SIGUSR1", () => writer.letGo());
  await run(writer, Number(rate), Number(lines));
}

import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readdirSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeFifo } from "../../../lib/pipes.ts";
import { spooledText, testFolder, until } from "./push.test-support.ts";

const ROUNDS = process.env["PILLION_SOAK"] === "1" ? 200 : 10;
const READER = join(import.meta.dirname, "fifo-reader.test-support.ts");
/** Between two kills, more or less: several times what the pipe holds, and several segments. */
const BYTES_PER_ROUND = 4 * 2 ** 20;
/** Never full. */
const SPOOL_BYTES = 2 ** 34;

/** Writes numbered lines as fast as the pipe takes them. */
class LineWriter {
  readonly #fd: number;
  #next = 0;
  #left: Uint8Array = Buffer.alloc(0);
  bytes = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get lines(): number {
    return this.#next;
  }

  /** Up to so many bytes; stops when the pipe is full. The bytes written. */
  write(most: number): number {
    let written = 0;
    try {
      while (written < most) {
        if (this.#left.length === 0) this.#left = this.#batch();
        const count = writeSync(this.#fd, this.#left);
        this.#left = this.#left.subarray(count);
        written += count;
        this.bytes += count;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
    return written;
  }

  finishLine(): boolean {
    if (this.#left.length > 0) this.write(this.#left.length);
    return this.#left.length === 0;
  }

  #batch(): Buffer {
    const lines = Array.from({ length: 200 }, () => `line ${this.#next++} ${"x".repeat(this.#next % 150)}\n`);
    return Buffer.from(lines.join(""));
  }
}

test("kill -9 at any moment loses and doubles no byte that left the FIFO", async () => {
  using folder = testFolder();
  const path = join(folder.path, "app.fifo");
  const spool = join(folder.path, "spool");
  makeFifo(path, 0o600);
  // Open on both sides: what is in the pipe survives the reader, as it does while an application holds it.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const writer = new LineWriter(fd);
  const start = () =>
    Bun.spawn([process.execPath, READER, path, spool, String(SPOOL_BYTES)], {
      stderr: "inherit",
    });
  for (let round = 0; round < ROUNDS; round++) {
    const reader = start();
    const killAt = writer.bytes + Math.floor(BYTES_PER_ROUND * (0.5 + Math.random()));
    await until(() => {
      writer.write(killAt - writer.bytes);
      return writer.bytes >= killAt;
    });
    reader.kill("SIGKILL");
    await reader.exited;
  }
  const last = start();
  await until(() => writer.finishLine());
  await until(() => spooledBytes(spool) === writer.bytes);
  last.kill("SIGKILL");
  await last.exited;
  closeSync(fd);
  const lines = spooledText(spool).split("\n");
  expect(lines.pop()).toBe("");
  const wrong = lines.findIndex((line, index) => line !== `line ${index} ${"x".repeat((index + 1) % 150)}`);
  expect(wrong === -1 ? "all lines in order" : lines.slice(wrong - 1, wrong + 2)).toBe("all lines in order");
  expect(lines).toHaveLength(writer.lines);
}, 60_000);

function spooledBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

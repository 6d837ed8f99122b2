import { describe, expect, test } from "bun:test";
import { closeSync, constants, existsSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import type { Running, StopReason } from "../../kernel/sidecar.ts";
import { FakeHost } from "../../testing/fake-host.ts";
import { RecordingMeter } from "../../testing/recording-meter.ts";
import { handheldContext } from "../../testing/sidecar-context.ts";
import sidecar from "./sidecar.ts";

/** A log sidecar that writes what it receives to standard output. */
class Receiving implements Disposable {
  readonly host = new FakeHost({ clock: systemClock });
  readonly fifo = join(this.host.stateFolder, "app.fifo");
  readonly socket = join(this.host.stateFolder, "log");
  #stop: (reason?: StopReason) => void = () => undefined;
  #running: Running | undefined;

  async start(more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const config = sidecar.config.parse({
      fifo: [{ path: this.fifo, create: true }],
      syslog: { socket: this.socket },
      to: [{ stdout: {} }],
      ...more,
    });
    const metrics = sidecar.metrics(new RecordingMeter());
    const handheld = handheldContext({ host: this.host, metrics });
    this.#running = await sidecar.start(config, handheld.context);
    this.#stop = (reason) => handheld.stop(reason);
    while (!existsSync(this.fifo) || !existsSync(this.socket)) await nextTurn();
  }

  async stop(reason: StopReason = "shutdown"): Promise<void> {
    this.#stop(reason);
    await this.#running?.done;
  }

  write(text: string): void {
    const fd = openSync(this.fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, text);
    closeSync(fd);
  }

  log(...args: string[]): void {
    expect(Bun.spawnSync(["logger", "-u", this.socket, "-t", "app", ...args]).exitCode).toBe(0);
  }

  /** What came out so far. */
  get records(): Readonly<Record<string, unknown>>[] {
    const lines = this.host.stdout.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("what cannot be read twice", () => {
  test("is delivered with where it comes from, syslog as syslog, and nothing of it after a restart", async () => {
    using receiving = new Receiving();
    await receiving.start();
    receiving.write("one\ntwo\nhalf");
    receiving.log("-p", "local0.err", "hello");
    await receiving.stop();
    const fromFifo = receiving.records.filter(({ file }) => file === receiving.fifo);
    expect(fromFifo.map(({ message }) => message)).toEqual(["one", "two", "half"]);
    expect(receiving.records.filter(({ file }) => file === "syslog")).toEqual([
      expect.objectContaining({ facility: "local0", level: "error", app: "app", message: "hello" }),
    ]);
    await receiving.start();
    receiving.write("three\n");
    await receiving.stop();
    expect(receiving.records).toHaveLength(5);
  });

  test("is no file to be left out, or read from its end", async () => {
    using receiving = new Receiving();
    await receiving.start({ exclude: ["*.log"], readFrom: "end" });
    receiving.write("at once\n");
    await receiving.stop();
    expect(receiving.records.map(({ message }) => message)).toEqual(["at once"]);
  });

  test("and arrives during a reload is delivered by the successor", async () => {
    using receiving = new Receiving();
    await receiving.start();
    receiving.write("before\n");
    receiving.log("also before");
    await receiving.stop("reload");
    await receiving.start();
    receiving.write("after\n");
    await receiving.stop();
    const messages = receiving.records.map(({ message }) => String(message));
    expect(messages.toSorted()).toEqual(["after", "also before", "before"]);
  });

  test("leaves no more than one unfinished segment each behind when it is delivered", async () => {
    using receiving = new Receiving();
    await receiving.start({ spool: "1Mi" });
    const line = `${"x".repeat(999)}\n`;
    const writer = Bun.spawn(["sh", "-c", `yes '${line.trim()}' | head -n 3000 > ${receiving.fifo}`]);
    expect(await writer.exited).toBe(0);
    const segments = () => readdirSync(join(receiving.host.stateFolder, "spool")).length;
    while (receiving.records.length < 3_000 || segments() > 2)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await receiving.stop();
    expect(receiving.records).toHaveLength(3_000);
  }, 20_000);
});

/**
 * A log sidecar that is killed again and again, while the application writes and rotates and the receiver comes and goes: no
 * line is lost, and what came twice was announced and is at most one batch per kill.
 */
import { expect, test } from "bun:test";
import { appendFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { randomFrom } from "../../src/testing/crash-writer.ts";
import type { Running } from "../../src/testing/pillion.ts";
import { RecordSink } from "../../src/testing/record-sink.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";

const KILLS = process.env["PILLION_SOAK"] === "1" ? 200 : 20;
const BATCH = 200;
/** Lines between two kills, at most: with outages more than a lane keeps in memory. */
const LINES = 4_000;

/** An application: numbered lines, some of them long, and a rotation by renaming now and then. */
class Application {
  lines = 0;
  #rotations = 0;
  readonly #path: string;
  readonly #random: () => number;

  constructor(path: string, random: () => number) {
    this.#path = path;
    this.#random = random;
  }

  write(count: number): void {
    const lines: string[] = [];
    for (let i = 0; i < count; i++) {
      lines.push(
        JSON.stringify({ id: this.lines++, filler: "x".repeat(this.#random() < 0.01 ? 5_000 : 60) }),
      );
    }
    const text = `${lines.join("\n")}\n`;
    // Readers see the line in two parts now and then.
    const cut = Math.floor(this.#random() * text.length);
    appendFileSync(this.#path, text.slice(0, cut));
    appendFileSync(this.#path, text.slice(cut));
    if (this.#random() < 0.1) renameSync(this.#path, `${this.#path}.${++this.#rotations}`);
  }
}

/** Records that this run said may be sent twice. */
function announced(stderr: string): number {
  return stderr
    .split("\n")
    .filter((line) => line.includes("atMostRecords"))
    .reduce((sum, line) => sum + Number(/"atMostRecords":(\d+)/.exec(line)?.[1]), 0);
}

/** Ends it at a moment that nobody chose: some requests after its first, or while it starts. */
async function killAtRandom(running: Running, sink: RecordSink, random: () => number): Promise<string> {
  const { server } = sink;
  const isUnderway = server.whenRequested(server.requests.length + Math.floor(random() * 12));
  // The moment is what the test is about; nothing waits for this time to pass.
  await Promise.race([isUnderway, Bun.sleep(50 + random() * 1_000)]);
  await Bun.sleep(random() * 10);
  running.kill("SIGKILL");
  return (await running.exited).stderr;
}

test(`a sidecar that is killed ${KILLS} times loses no line and sends at most a batch twice each time`, async () => {
  const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const random = randomFrom(seed);
  await using home = new SidecarHome();
  await using sink = await RecordSink.start({ idOf: (record) => String(record["id"]) });
  const app = new Application(join(home.path, "app.log"), random);
  home.configure({
    app: {
      kind: "logs",
      files: [join(home.path, "app.log*")],
      parse: "json",
      to: [{ http: { url: sink.server.url, batch: { records: BATCH, wait: "5ms" } } }],
    },
  });
  let maybeTwice = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    if (random() < 0.3) sink.server.faults.push(...Array.from({ length: 3 }, () => ({ status: 503 })), "cut");
    const running = home.start();
    const end = killAtRandom(running, sink, random);
    for (let part = 0; part < 5; part++) {
      app.write(Math.floor((random() * LINES) / 5));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    maybeTwice += announced(await end);
  }
  sink.server.faults.length = 0;
  const last = home.start();
  await sink.whenReceived(app.lines);
  last.kill("SIGTERM");
  const { code, stderr } = await last.exited;
  maybeTwice += announced(stderr);
  const extra = [...sink.counts.values()].reduce((sum, count) => sum + count - 1, 0);
  console.log(`${app.lines} lines, ${extra} sent twice, at most ${maybeTwice} announced`);
  expect({ code, distinct: sink.counts.size }).toEqual({ code: 0, distinct: app.lines });
  expect(extra).toBeLessThanOrEqual(maybeTwice);
  expect(maybeTwice).toBeLessThanOrEqual(KILLS * BATCH);
}, 300_000);

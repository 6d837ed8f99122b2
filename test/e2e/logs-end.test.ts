/** How a log sidecar ends: with a receiver that hangs, with little time, and when there is nothing left to read. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RecordSink } from "../../src/testing/record-sink.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";
import { http, logFolder, missing, terminate } from "./log-lines.ts";

const LINES = Array.from({ length: 5_000 }, (_, number) => `line ${number}`);
const TEXT = LINES.map((line) => `${line}\n`).join("");

function openHome(sink: RecordSink, more: Readonly<Record<string, unknown>> = {}) {
  const home = new SidecarHome();
  const log = join(logFolder(home), "app.log");
  const to = [http(sink.server, { timeout: "60s" })];
  home.configure({ app: { kind: "logs", files: [log], to } }, more);
  return Object.assign(home, { log });
}

describe.concurrent("SIGTERM while the receiver hangs", () => {
  test("ends within the time, tells what is undelivered, and the next start delivers it", async () => {
    await using sink = await RecordSink.start();
    sink.server.outage = "hang";
    await using home = openHome(sink, { shutdown: { timeout: "3s" } });
    writeFileSync(home.log, TEXT);
    const running = home.start();
    await sink.server.whenRequested(1);
    await home.until("app", ({ undelivered }) => undelivered?.records === LINES.length);
    const askedAt = performance.now();
    const { code, stderr } = await terminate(running);
    expect(performance.now() - askedAt).toBeLessThan(5_000);
    expect(code).toBe(0);
    const last = /\{.*"Not everything was delivered".*\}/.exec(stderr)?.[0] ?? "{}";
    const { fields } = JSON.parse(last) as { readonly fields?: Readonly<Record<string, number>> };
    expect(fields?.["records"]).toBe(LINES.length);
    expect(fields?.["bytes"]).toBeGreaterThan(TEXT.length);
    expect(fields?.["keptBytes"]).toBe(fields?.["bytes"] ?? -1);
    sink.server.outage = undefined;
    appendFileSync(home.log, "and one more\n");
    const next = home.start();
    expect(await missing(sink, [...LINES, "and one more"])).toEqual([]);
    expect((await terminate(next)).code).toBe(0);
    expect(sink.duplicates).toEqual([]);
  });

  test("and SIGKILL 2 s later: what was read is on the disk, also without the application's files", async () => {
    await using sink = await RecordSink.start();
    sink.server.outage = "hang";
    await using home = openHome(sink);
    const fifo = join(home.path, "app.fifo");
    home.configure({
      app: { kind: "logs", files: [home.log], fifo: [{ path: fifo, create: true }], to: [http(sink.server)] },
    });
    writeFileSync(home.log, TEXT);
    const running = home.start();
    await home.until("app", () => existsSync(fifo));
    const writer = Bun.spawn(["sh", "-c", 'seq -f "fifo %.0f" 1 5000 > "$1"', "sh", fifo]);
    expect(await writer.exited).toBe(0);
    await home.until("app", ({ undelivered }) => undelivered?.records === 2 * LINES.length);
    running.kill("SIGTERM");
    // What Kubernetes gives a sidecar after the main containers (KEP-753).
    await Bun.sleep(2_000);
    running.kill("SIGKILL");
    await running.exited;
    // The pod's files are gone with it; the state folder is what stays.
    writeFileSync(home.log, "");
    sink.server.outage = undefined;
    const next = home.start();
    const all = [...LINES, ...LINES.map((_, index) => `fifo ${index + 1}`)];
    expect(await missing(sink, all)).toEqual([]);
    expect((await terminate(next)).code).toBe(0);
  });

  test("a second SIGTERM ends it at once", async () => {
    await using sink = await RecordSink.start();
    sink.server.outage = "hang";
    await using home = openHome(sink, { shutdown: { timeout: "50s" } });
    writeFileSync(home.log, TEXT);
    const running = home.start();
    await sink.server.whenRequested(1);
    running.kill("SIGTERM");
    await running.line(/"Finishing"/);
    running.kill("SIGTERM");
    await running.exited;
    sink.server.outage = undefined;
    const next = home.start();
    expect(await missing(sink, LINES)).toEqual([]);
    expect((await terminate(next)).code).toBe(0);
  });
});

describe("SIGTERM while the application writes its last lines", () => {
  test("delivers what stood in the file, its unfinished last line too", async () => {
    await using sink = await RecordSink.start();
    await using home = openHome(sink);
    writeFileSync(home.log, "first\n");
    const running = home.start();
    expect(await missing(sink, ["first"])).toEqual([]);
    appendFileSync(home.log, `${TEXT}half a li`);
    const { code, stderr } = await terminate(running);
    expect({ code, undelivered: stderr.includes("Not everything") }).toEqual({ code: 0, undelivered: false });
    expect(sink.counts.size).toBe(LINES.length + 2);
    expect(sink.counts.has("half a li")).toBe(true);
  });
});

describe("--once", () => {
  test("reads files to their end, delivers and exits with 0; again there is nothing to do", async () => {
    await using sink = await RecordSink.start();
    await using home = openHome(sink);
    writeFileSync(home.log, `${TEXT}without an end`);
    expect((await home.run(["--once"])).code).toBe(0);
    expect([...sink.counts.keys()].toSorted()).toEqual([...LINES, "without an end"].toSorted());
    const requests = sink.server.requests.length;
    expect((await home.run(["--once"])).code).toBe(0);
    expect(sink.server.requests).toHaveLength(requests);
  });

  test("does not succeed where the receiver refuses", async () => {
    await using sink = await RecordSink.start();
    sink.server.outage = { status: 401 };
    await using home = openHome(sink, { shutdown: { timeout: "1s" } });
    writeFileSync(home.log, TEXT);
    const running = home.start(["--once"]);
    await sink.server.whenRequested(2);
    const { code, stderr } = await terminate(running);
    expect({ code: code === 0, told: stderr.includes("Not everything was delivered") }).toEqual({
      code: false,
      told: true,
    });
  });
});

/** What end-to-end tests of logs share: which lines stand in files, and whether they have all arrived. */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { followProcess, type Running } from "../../src/testing/pillion.ts";
import type { RecordSink } from "../../src/testing/record-sink.ts";
import type { SidecarHome } from "../../src/testing/sidecar-process.ts";
import type { WritingWay } from "../../src/testing/log-writer.ts";

const WRITER = Bun.fileURLToPath(import.meta.resolve("../../src/testing/log-writer.ts"));

/** A new folder for an application's files. */
export function logFolder(home: SidecarHome): string {
  const folder = join(home.path, "logs");
  mkdirSync(folder);
  return folder;
}

/** Batches that leave at once, so that no test waits for company. */
export function http(sink: { readonly url: string }, more: Readonly<Record<string, unknown>> = {}) {
  return { http: { url: sink.url, batch: { wait: "5ms" }, timeout: "1s", ...more } };
}

export interface WriterOptions {
  readonly path: string;
  readonly way: WritingWay;
  readonly rate: number;
  readonly lines: number;
}

/** Starts an application of its own process. */
export function startWriter({ path, way, rate, lines }: WriterOptions): Running {
  const argv = [process.execPath, WRITER, path, way, String(rate), String(lines)];
  return followProcess(Bun.spawn(argv, { stdio: ["ignore", "pipe", "pipe"] }));
}

/** Every line in a folder's files, unpacked. */
export function linesIn(folder: string): Set<string> {
  const lines = new Set<string>();
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name));
    const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
    for (const line of text.split("\n")) if (line !== "") lines.add(line);
  }
  return lines;
}

/** What a folder's files take on the disk, bytes. */
export function diskUse(folder: string): number {
  let blocks = 0;
  for (const name of readdirSync(folder))
    blocks += statSync(join(folder, name), { throwIfNoEntry: false })?.blocks ?? 0;
  return blocks * 512;
}

/** Resolves with those that have not arrived, as soon as there is none or the time is over. */
export async function missing(sink: RecordSink, lines: Iterable<string>, ms = 15_000): Promise<string[]> {
  const left = new Set(lines);
  const end = Bun.sleep(ms).then(() => "over" as const);
  for (;;) {
    for (const line of left) if (sink.counts.has(line)) left.delete(line);
    if (left.size === 0) return [];
    const more = sink.whenReceived(sink.counts.size + 1);
    if ((await Promise.race([more, end])) === "over") return [...left];
  }
}

/** Ends it as Kubernetes does. */
export async function terminate(
  running: Running,
): Promise<{ readonly code: number; readonly stderr: string }> {
  running.kill("SIGTERM");
  return await running.exited;
}

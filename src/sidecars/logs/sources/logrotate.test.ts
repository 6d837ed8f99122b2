/** Debian's logrotate at work under a writer of 20,000 lines a second. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "bun:test";
import { systemClock } from "../../../kernel/clock.ts";
import { FolderWatches } from "../../../runtime/folder-watches.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { MemoryCheckpoints, temporaryFolder } from "./reading.test-support.ts";
import { type FilesOptions, openFiles } from "./open-files.ts";

const LOGROTATE = "/usr/sbin/logrotate";
const LINES_PER_SECOND = 20_000;
const WRITING_MS = 1_200;
const ROTATE_EVERY_MS = 250;
const WRITER = join(import.meta.dir, "log-writer.test-support.ts");

interface Way {
  readonly options: string;
  readonly writer: "keep" | "reopen";
  readonly pattern: string;
}

const WAYS: readonly Way[] = [
  { options: "create", writer: "reopen", pattern: "app.log" },
  { options: "create\ncompress", writer: "reopen", pattern: "app.log*" },
  { options: "create\ncompress\ndelaycompress", writer: "reopen", pattern: "*" },
  { options: "copytruncate", writer: "keep", pattern: "app.log" },
  { options: "copytruncate\ncompress", writer: "keep", pattern: "app.log*" },
];

/** A host with the real clock and real watches. */
function realHost(): FakeHost & { end(): void } {
  const host = new FakeHost({ clock: systemClock });
  const watches = new FolderWatches(systemClock, () => undefined);
  return Object.assign(host, {
    watchFolder: (path: string, changed: (name: string | undefined) => void) => watches.watch(path, changed),
    end: () => host[Symbol.dispose](),
  });
}

for (const way of WAYS) {
  const title = `${way.options.replaceAll("\n", ", ")}, reading ${way.pattern}`;
  test.skipIf(!existsSync(LOGROTATE))(
    `logrotate with ${title}: every line left behind arrives once`,
    async () => {
      using folder = temporaryFolder();
      const { left, lines, rotations } = await run(way, folder.path);
      const missing = [...left].filter((line) => !lines.has(line));
      const twice = [...lines].filter(([, count]) => count > 1);
      expect({ missing: missing.slice(0, 3), twice: twice.slice(0, 3) }).toEqual({ missing: [], twice: [] });
      expect(rotations).toBeGreaterThan(2);
      expect(left.size).toBeGreaterThan(1_000);
    },
  );
}

for (const by of ["rename", "hole"] as const) {
  test(`rotation by Pillion itself (${by}): every line written arrives once, and the space is free again`, async () => {
    using folder = temporaryFolder();
    const log = folder.at("logs/app.log");
    writeFileSync(log, "");
    let given = 0;
    const events = {
      ownRotation: (_: string, bytes: number) => (given += by === "hole" ? bytes : 0),
      removed: (path: string) => (given += path.includes(".pillion-") ? 2 * 256 * 1024 : 0),
    };
    const { lines } = await readWhile(
      { patterns: [log], rotate: { size: 256 * 1024, by }, pace: { pollMs: 100, quietMs: 200 }, events },
      startWriter(log, by === "rename" ? "reopen" : "keep"),
    );
    const written = Number(readFileSync(`${log}.count`, "utf8"));
    expect({ lines: lines.size, twice: [...lines.values()].filter((count) => count > 1) }).toEqual({
      lines: written,
      twice: [],
    });
    expect(given).toBeGreaterThan(256 * 1024);
  });
}

function startWriter(log: string, way: Way["writer"]) {
  const argv = [process.execPath, WRITER, log, String(LINES_PER_SECOND), String(WRITING_MS), way];
  return Bun.spawn(argv, { stdio: ["ignore", "ignore", "inherit"] });
}

async function run({ options, writer, pattern }: Way, folder: string) {
  const logs = join(folder, "logs");
  mkdirSync(logs, { mode: 0o755 });
  const log = join(logs, "app.log");
  const config = join(folder, "logrotate.conf");
  const state = join(folder, "state");
  writeFileSync(config, `${log} {\nrotate 50\nmissingok\n${options}\n}\n`, { mode: 0o644 });
  writeFileSync(log, "");
  const application = startWriter(log, writer);
  let rotations = 0;
  const { lines } = await readWhile({ patterns: [join(logs, pattern)] }, application, async () => {
    const argv = [LOGROTATE, "-f", "-s", state, config];
    const rotated = Bun.spawn(argv, { stdio: ["ignore", "ignore", "inherit"] });
    if ((await rotated.exited) === 0) rotations++;
  });
  return { left: linesLeft(logs), lines, rotations };
}

/** Reads until the application has ended, and returns how often each line arrived. */
async function readWhile(
  options: Partial<FilesOptions> & Pick<FilesOptions, "patterns">,
  application: Bun.Subprocess,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
) {
  const host = realHost();
  const checkpoints = new MemoryCheckpoints();
  const fixed = { exclude: ["*.count"], readFrom: "beginning", maxLineBytes: 256 * 1024 } as const;
  const source = openFiles({ ...fixed, ...options, checkpoints, host });
  const lines = new Map<string, number>();
  const reading = (async () => {
    for (;;) {
      const chunk = await source.next(1_000);
      if (chunk === undefined) return;
      if (chunk === "idle") continue;
      for (const line of Buffer.from(chunk.bytes).toString().split("\n"))
        if (line !== "") lines.set(line, (lines.get(line) ?? 0) + 1);
      checkpoints.deliver(chunk.origin.key, chunk.start + chunk.bytes.length);
    }
  })();
  while (application.exitCode === null) {
    await Promise.race([application.exited, Bun.sleep(ROTATE_EVERY_MS)]);
    await meanwhile();
  }
  source.finish();
  await reading;
  source.close();
  host.end();
  return { lines };
}

function linesLeft(folder: string): Set<string> {
  const lines = readdirSync(folder)
    .filter((name) => !name.endsWith(".count"))
    .flatMap((name) => {
      const bytes = readFileSync(join(folder, name));
      return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString().split("\n");
    });
  return new Set(lines.filter((line) => line !== ""));
}

/** What may happen to the state folder and to the configuration: a full disk, damage, garbage. Lines go on to arrive. */
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { randomFrom } from "../../src/testing/crash-writer.ts";
import { followProcess, type Running } from "../../src/testing/pillion.ts";
import type { Cause } from "../../src/runtime/view.ts";
import { RecordSink } from "../../src/testing/record-sink.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";
import { http, logFolder, missing, terminate } from "./log-lines.ts";

const MAIN = Bun.fileURLToPath(import.meta.resolve("../../src/bin/main.ts"));

function numbered(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from }, (_, index) => `line ${from + index}`);
}

const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");

/** Whether this user may have a file system of its own. */
function mayMount(): boolean {
  return (
    process.getuid?.() === 0 &&
    Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).success
  );
}

/** Starts it where the state folder is a file system of so many bytes, and ends it with the test. */
function startOnSmallDisk(home: SidecarHome, bytes: number): Running & AsyncDisposable {
  mkdirSync(home.state);
  const script = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"';
  const pillion = [process.execPath, MAIN, "run", "-c", home.config];
  const argv = ["unshare", "-m", "sh", "-c", script, "sh", String(bytes), home.state, ...pillion];
  const env = { PATH: process.env["PATH"] ?? "", HOME: home.path, TMPDIR: home.path };
  const running = followProcess(Bun.spawn(argv, { env, stdio: ["ignore", "pipe", "pipe"] }));
  const dispose = async () => {
    running.kill("SIGKILL");
    await running.exited;
  };
  return Object.assign(running, { [Symbol.asyncDispose]: dispose });
}

/** Takes all that is left of the disk. */
function fill(path: string): void {
  const file = openSync(path, "a");
  try {
    for (let size = 65_536; size >= 1; size = Math.floor(size / 2)) {
      try {
        for (;;) writeSync(file, Buffer.alloc(size));
      } catch {
        // Less is left than that.
      }
    }
  } finally {
    closeSync(file);
  }
}

describe.skipIf(!mayMount())("a full disk below the state folder", () => {
  test("hinders no delivery, is told of, and is over when there is room again", async () => {
    await using home = new SidecarHome();
    await using sink = await RecordSink.start();
    const log = join(logFolder(home), "app.log");
    home.configure({ app: { kind: "logs", files: [log], to: [http(sink.server)] } });
    writeFileSync(log, text(numbered(0, 100)));
    await using running = startOnSmallDisk(home, 2 ** 20);
    expect(await missing(sink, numbered(0, 100))).toEqual([]);
    const filler = join(`/proc/${running.pid}/root`, home.state, "filler");
    fill(filler);
    // A file's last page has some room on a full disk too.
    let cause: Cause | undefined;
    for (let part = 1; cause === undefined; part++) {
      const lines = numbered(part * 1_000, part * 1_000 + 100);
      appendFileSync(log, text(lines));
      expect({ part, missing: await missing(sink, lines) }).toEqual({ part, missing: [] });
      cause = (await home.status())?.sidecars[0]?.cause;
    }
    expect(cause).toEqual({
      code: expect.stringMatching(/^E_/),
      message: expect.stringContaining("ENOSPC"),
      fix: expect.stringContaining("state folder"),
    });
    rmSync(filler);
    appendFileSync(log, text(["room again"]));
    expect(await missing(sink, ["room again"])).toEqual([]);
    await home.until("app", ({ health }) => health === "ready");
    expect(sink.duplicates).toEqual([]);
    expect((await terminate(running)).code).toBe(0);
  }, 30_000);

  test("during an outage makes the reader wait, and nothing is lost", async () => {
    await using home = new SidecarHome();
    await using sink = await RecordSink.start();
    sink.server.outage = { status: 503 };
    const log = join(logFolder(home), "app.log");
    home.configure({ app: { kind: "logs", files: [log], to: [http(sink.server)] } });
    const lines = numbered(0, 20_000).map((line) => `${line} ${"x".repeat(500)}`);
    writeFileSync(log, text(lines));
    await using running = startOnSmallDisk(home, 2 ** 19);
    const { cause } = await home.until(
      "app",
      ({ cause, health }) => health === "degraded" && cause?.message.includes("more") === true,
    );
    expect(cause?.code).toMatch(/^E_SINK_/);
    sink.server.outage = undefined;
    expect(await missing(sink, lines)).toEqual([]);
    expect((await terminate(running)).code).toBe(0);
  }, 30_000);
});

describe("damaged checkpoints", () => {
  const garbage = (_: Buffer, random: () => number) =>
    Buffer.from(Array.from({ length: 3_000 }, () => Math.floor(random() * 256)));
  const truncated = (whole: Buffer, random: () => number) =>
    whole.subarray(0, Math.floor(random() * whole.length));
  const flipped = (whole: Buffer, random: () => number) => {
    const copy = Buffer.from(whole);
    const at = Math.floor(random() * copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    return copy;
  };

  test.each([
    ["garbage", garbage],
    ["cut off", truncated],
    ["with a wrong bit", flipped],
    ["empty", () => Buffer.alloc(0)],
  ] as const)("(%s) cost duplicates at most", async (name, damage) => {
    const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 1_000_000);
    console.log(`seed ${seed}`);
    await using home = new SidecarHome();
    await using sink = await RecordSink.start();
    const log = join(logFolder(home), "app.log");
    home.configure({ app: { kind: "logs", files: [log], to: [http(sink.server)] } });
    writeFileSync(log, text(numbered(0, 1_000)));
    expect((await home.run(["--once"])).code).toBe(0);
    const folder = join(home.state, "app");
    const path = join(folder, "checkpoints");
    writeFileSync(path, damage(readFileSync(path), randomFrom(seed)));
    appendFileSync(log, text(numbered(1_000, 1_100)));
    const { code, stderr } = await home.run(["--once"]);
    expect({ code, missing: await missing(sink, numbered(0, 1_100)) }).toEqual({ code: 0, missing: [] });
    if (name !== "garbage") return;
    expect(stderr).toContain("checkpoints were damaged");
    expect(readdirSync(folder)).toContain("checkpoints.damaged-1");
    const third = await home.run(["--once"]);
    expect(third.stderr).not.toContain("damaged");
    expect([...sink.counts.values()].every((count) => count <= 2)).toBe(true);
  });
});

describe("a configuration file that changes", () => {
  test("to garbage leaves the last good one in use; a good one restarts only what it changes, and no line is lost", async () => {
    await using home = new SidecarHome();
    await using first = await RecordSink.start();
    await using second = await RecordSink.start();
    const log = join(logFolder(home), "app.log");
    const kept = { kind: "logs", files: [log], to: [http(first.server)] };
    const changed = { kind: "logs", files: [log], to: [http(second.server)] };
    home.configure({ kept, changed });
    const running = home.start();
    let written = 0;
    const write = (count: number): void => {
      appendFileSync(log, text(numbered(written, written + count)));
      written += count;
    };
    write(1_000);
    await home.until("changed", ({ health }) => health === "ready");
    for (const garbage of ["\0\u0001\u0002", "sidecars: [", "", "sidecars: { kept: { kind: logs } }"]) {
      writeFileSync(home.config, garbage);
      await untilRejected(home, true);
      write(100);
    }
    const status = await home.status();
    expect(status?.config.rejected).toMatchObject({ code: expect.stringMatching(/^E_CONFIG/) });
    expect(await missing(first, numbered(0, written))).toEqual([]);
    home.configure({ kept, changed: { ...changed, maxLine: "64Ki" } });
    write(1_000);
    const line = await running.line(/The configuration is in use/);
    expect(JSON.parse(line)).toMatchObject({ fields: { restarted: ["changed"], started: [], stopped: [] } });
    await untilRejected(home, false);
    write(1_000);
    for (const sink of [first, second]) {
      expect(await missing(sink, numbered(0, written))).toEqual([]);
      expect(sink.duplicates).toEqual([]);
    }
    expect((await terminate(running)).code).toBe(0);
  });
});

async function untilRejected(home: SidecarHome, isRejected: boolean): Promise<void> {
  for (;;) {
    const status = await home.status();
    if (status !== undefined && (status.config.rejected !== undefined) === isRejected) return;
    await Bun.sleep(5);
  }
}

/** Files in great number, of great size, and such as cannot be read: bounded memory, clear causes, no crash. */
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import sidecar from "../../src/sidecars/logs/sidecar.ts";
import { FakeHost } from "../../src/testing/fake-host.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { followProcess } from "../../src/testing/pillion.ts";
import { RecordSink } from "../../src/testing/record-sink.ts";
import { RecordingMeter } from "../../src/testing/recording-meter.ts";
import { handheldContext } from "../../src/testing/sidecar-context.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";
import { http, logFolder, missing, terminate } from "./log-lines.ts";

const NOBODY = 65_534;
const MAIN = Bun.fileURLToPath(import.meta.resolve("../../src/bin/main.ts"));
const MIB = 2 ** 20;
const FILES = process.env["PILLION_SOAK"] === "1" ? 100_000 : 10_000;

/** A process's most memory so far, bytes. */
function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** Time that a process has had the processor, milliseconds. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

describe("many files", () => {
  test(`${FILES} files are all read, what is added is too, and they cost little while they are quiet`, async () => {
    await using home = new SidecarHome();
    await using sink = await RecordSink.start();
    const folder = logFolder(home);
    const lines: string[] = [];
    for (let index = 0; index < FILES; index++) {
      if (index % 1_000 === 0) mkdirSync(join(folder, String(index / 1_000)));
      lines.push(`file ${index}`);
      writeFileSync(join(folder, String(Math.floor(index / 1_000)), `${index}.log`), `file ${index}\n`);
    }
    home.configure({ app: { kind: "logs", files: [join(folder, "**/*.log")], to: [http(sink.server)] } });
    const running = home.start();
    expect(await missing(sink, lines, 40_000)).toEqual([]);
    const before = cpuOf(running.pid);
    const more = Array.from({ length: 20 }, (_, index) => `more ${index}`);
    for (const line of more) {
      appendFileSync(join(folder, "7", "7777.log"), `${line}\n`);
      expect(await missing(sink, [line])).toEqual([]);
    }
    // The time is what is measured here.
    await Bun.sleep(2_000);
    expect(cpuOf(running.pid) - before).toBeLessThan(1_500);
    expect(peakOf(running.pid)).toBeLessThan(200 * MIB);
    expect(sink.duplicates).toEqual([]);
    expect((await terminate(running)).code).toBe(0);
  }, 60_000);
});

describe("huge files", () => {
  test("10 GB of nothing between the first lines and the last: they arrive, memory stays bounded, others go on", async () => {
    await using home = new SidecarHome();
    await using sink = await RecordSink.start({ idOf: ({ message }) => String(message).slice(0, 100) });
    await using other = await RecordSink.start();
    const folder = logFolder(home);
    const [huge, small] = [join(folder, "huge.log"), join(folder, "small.log")];
    const size = 10 * 2 ** 30;
    writeFileSync(huge, "first\n");
    truncateSync(huge, size);
    appendFileSync(huge, "\nbehind the hole\nlast\n");
    home.configure({
      huge: { kind: "logs", files: [huge], to: [http(sink.server)] },
      small: { kind: "logs", files: [small], to: [http(other.server)] },
    });
    const running = home.start();
    for (let index = 0; index < 30; index++) {
      appendFileSync(small, `line ${index}\n`);
      expect(await missing(other, [`line ${index}`])).toEqual([]);
    }
    expect(await missing(sink, ["first", "behind the hole", "last"])).toEqual([]);
    expect(peakOf(running.pid)).toBeLessThan(150 * MIB);
    expect((await terminate(running)).code).toBe(0);
  }, 30_000);

  test("a line of 50 MB comes in marked parts, and what follows it too", async () => {
    await using home = new SidecarHome();
    let [bytes, parts] = [0, 0];
    await using sink = await RecordSink.start({
      idOf({ message, cut }) {
        const text = String(message);
        if (!text.startsWith("x")) return text;
        bytes += text.length;
        parts++;
        return `part ${parts} ${cut === true ? "cut" : "end"}`;
      },
    });
    const log = join(logFolder(home), "app.log");
    writeFileSync(log, `before\n${"x".repeat(50 * MIB)}\nafter\n`);
    home.configure({ app: { kind: "logs", files: [log], to: [http(sink.server)] } });
    const running = home.start();
    expect(await missing(sink, ["before", "after"])).toEqual([]);
    expect({ bytes, parts }).toEqual({ bytes: 50 * MIB, parts: 200 });
    expect(peakOf(running.pid)).toBeLessThan(150 * MIB);
    expect((await terminate(running)).code).toBe(0);
  }, 30_000);
});

describe("what cannot be read", () => {
  test("a wrong regular expression is shown with its line and a caret", async () => {
    await using home = new SidecarHome();
    writeFileSync(
      home.config,
      "sidecars:\n  app:\n    kind: logs\n    files: [/x.log]\n    parse: { regex: '(?<a>x' }\n    multiline: { start: '(?=x)' }\n    to: [{ stdout: {} }]\n",
    );
    const { code, stderr } = await home.run(["--check"]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${home.config}:5:`);
    expect(stderr).toContain("    parse: { regex: '(?<a>x' }");
    expect(stderr).toMatch(/^ +\| +\^|^ +\^/m);
    expect(stderr).toContain(`${home.config}:6:`);
  });

  test("patterns without files, a FIFO that is a plain file and a missing folder are told, and do not crash", async () => {
    await using home = new SidecarHome();
    const folder = logFolder(home);
    const plain = join(folder, "plain");
    writeFileSync(plain, "no fifo\n");
    const to = [{ stdout: {} }];
    home.configure({
      none: { kind: "logs", files: [join(folder, "*.log")], to },
      nowhere: { kind: "logs", files: [join(folder, "not/there/*.log")], to },
      plain: { kind: "logs", fifo: [plain], to },
      absent: { kind: "logs", fifo: [join(folder, "absent")], to },
      well: { kind: "logs", files: [plain], to },
    });
    const running = home.start();
    const causes: Record<string, unknown> = {};
    for (const name of ["none", "nowhere", "plain", "absent"]) {
      const { cause, restarts, state } = await home.until(name, ({ cause }) => cause !== undefined);
      expect({ name, restarts, state }).toEqual({ name, restarts: 0, state: "running" });
      expect({ name, fix: cause?.fix }).toEqual({ name, fix: expect.stringMatching(/^[A-Z]/) });
      causes[name] = cause?.message;
    }
    expect(causes).toEqual({
      none: expect.stringContaining(join(folder, "*.log")),
      nowhere: expect.stringContaining(join(folder, "not/there/*.log")),
      plain: expect.stringContaining(plain),
      absent: expect.stringContaining(join(folder, "absent")),
    });
    const told = JSON.parse((await home.ask("status", "-o", "json")).stdout) as {
      readonly sidecars: readonly { readonly name: string; readonly health: string }[];
    };
    expect(told.sidecars.find(({ name }) => name === "well")).toMatchObject({ health: "ready" });
    writeFileSync(join(folder, "late.log"), "here at last\n");
    await running.line(/"here at last"/);
    await home.until("none", ({ health }) => health === "ready");
    expect((await terminate(running)).code).toBe(0);
  });

  test.skipIf(!mayBeNobody())(
    "a file that this user may not read is told with who may, and read as soon as it can be",
    async () => {
      await using home = new SidecarHome();
      await using sink = await RecordSink.start();
      const folder = logFolder(home);
      const [closed, open] = [join(folder, "closed.log"), join(folder, "open.log")];
      writeFileSync(closed, "closed\n");
      writeFileSync(open, "open\n");
      chmodSync(closed, 0o000);
      home.configure({ app: { kind: "logs", files: [join(folder, "*.log")], to: [http(sink.server)] } });
      const running = startAsNobody(home);
      try {
        const { cause } = await home.until("app", ({ health }) => health === "degraded");
        expect(cause).toMatchObject({ code: "E_FILE_UNREADABLE", message: expect.stringContaining(closed) });
        expect(cause?.fix).toContain(`user ${process.getuid?.()}`);
        expect(await missing(sink, ["open"])).toEqual([]);
        chmodSync(closed, 0o644);
        appendFileSync(closed, "closed no more\n");
        expect(await missing(sink, ["closed", "closed no more"])).toEqual([]);
        await home.until("app", ({ health }) => health === "ready");
      } finally {
        await terminate(running);
      }
    },
    30_000,
  );
});

function asNobody(...argv: readonly string[]): string[] {
  return ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", ...argv];
}

/** Root's checkout may be closed to others. */
function mayBeNobody(): boolean {
  if (process.getuid?.() !== 0) return true;
  if (Bun.which("setpriv") === null) return false;
  return Bun.spawnSync(asNobody(process.execPath, MAIN, "version")).success;
}

/** Root reads everything: as root it is started as somebody who does not. */
function startAsNobody(home: SidecarHome) {
  if (process.getuid?.() !== 0) return home.start();
  for (const path of [home.path, home.config]) chownSync(path, NOBODY, NOBODY);
  chmodSync(join(home.path, "logs"), 0o755);
  const argv = asNobody(process.execPath, MAIN, "run", "-c", home.config);
  const env = { PATH: process.env["PATH"] ?? "", HOME: home.path, TMPDIR: home.path };
  return followProcess(Bun.spawn(argv, { cwd: home.path, env, stdio: ["ignore", "pipe", "pipe"] }));
}

describe("the wall clock", () => {
  test("may go backwards and forwards: lines arrive in their order and none is lost", async () => {
    const clock = new ManualClock();
    using host = new FakeHost({ clock });
    const log = join(host.stateFolder, "app.log");
    const config = sidecar.config.parse({
      files: [log],
      rotate: { size: "64Ki", by: "rename" },
      to: [{ stdout: {} }],
    });
    const hands = handheldContext({ host, metrics: sidecar.metrics(new RecordingMeter()) });
    const running = await sidecar.start(config, hands.context);
    const lines: string[] = [];
    for (const hours of [-24, 48, -10_000, 0, 10_000, -1]) {
      clock.jump(hours * 3_600_000);
      const batch = Array.from(
        { length: 1_000 },
        (_, index) => `line ${lines.length + index} ${"x".repeat(50)}`,
      );
      lines.push(...batch);
      appendFileSync(log, batch.map((line) => `${line}\n`).join(""));
      while (linesOf(host.stdout).length < lines.length) {
        clock.advance(100);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
    hands.stop();
    let outcome: "over" | undefined;
    const over = running.done.then(() => "over" as const);
    while (outcome === undefined) {
      clock.advance(100);
      outcome = await Promise.race([
        over,
        new Promise<undefined>((resolve) => setImmediate(resolve, undefined)),
      ]);
    }
    expect(linesOf(host.stdout)).toEqual(lines);
  });
});

function linesOf(stdout: string): readonly string[] {
  const records = stdout.split("\n").slice(0, -1);
  return records.map((record) => (JSON.parse(record) as { readonly message: string }).message);
}

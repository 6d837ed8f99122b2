import { describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../kernel/clock.ts";
import type { Problem } from "../../../kernel/problem.ts";
import { spooledText, testFolder, until } from "./push.test-support.ts";
import { Spool } from "./spool.ts";
import { SyslogSource } from "./syslog-source.ts";

interface Setup {
  readonly at?: "socket" | "stream" | "udp";
  readonly maxBytes?: number;
}

async function setUp({ at = "socket", maxBytes = 2 ** 20 }: Setup = {}) {
  const folder = testFolder();
  const path = join(folder.path, "log");
  const spoolFolder = join(folder.path, "spool");
  let lost = 0;
  const openSource = () =>
    new SyslogSource({
      [at]: at === "udp" ? { hostname: "127.0.0.1", port: 0 } : path,
      spool: new Spool({ folder: spoolFolder, name: "syslog", origin: "syslog", maxBytes }),
      clock: systemClock,
      lost: (messages) => (lost += messages),
    });
  const source = openSource();
  await source.opened;
  return {
    path,
    source,
    openSource,
    lost: () => lost,
    text: () => spooledText(spoolFolder),
    lines: () => spooledText(spoolFolder).split("\n").slice(0, -1),
    [Symbol.dispose]() {
      source.close();
      folder[Symbol.dispose]();
    },
  };
}

/** The real program, util-linux's. */
async function logger(...args: string[]): Promise<void> {
  const { exited, stderr } = Bun.spawn(["logger", ...args], { stderr: "pipe" });
  expect(await stderr.text()).toBe("");
  expect(await exited).toBe(0);
}

async function loggerOf(input: string, ...args: string[]): Promise<void> {
  const { exited } = Bun.spawn(["logger", ...args], { stdin: Buffer.from(input) });
  expect(await exited).toBe(0);
}

const codes = (source: SyslogSource) => source.troubles().map((trouble) => (trouble as Problem).code);

describe("a datagram socket", () => {
  test("gets what logger(1) sends, one line each", async () => {
    using setup = await setUp();
    expect(setup.source.troubles()).toEqual([]);
    expect(statSync(setup.path).mode & 0o777).toBe(0o666);
    await logger("-u", setup.path, "-t", "app", "-p", "local0.err", "hello world");
    await logger("-u", setup.path, "--rfc5424", "second");
    await until(() => setup.lines().length === 2);
    expect(setup.lines()[0]).toMatch(/^<131>.* app: hello world$/);
    expect(setup.lines()[1]).toMatch(/^<13>1 \d{4}-.* second$/);
  });

  test("gets thousands of messages in order, and long ones whole", async () => {
    using setup = await setUp();
    const numbers = Array.from({ length: 3_000 }, (_, index) => `n${index}`);
    await loggerOf(`${numbers.join("\n")}\n`, "-u", setup.path, "-t", "app");
    await logger("-u", setup.path, "-S", "100000", "x".repeat(90_000));
    await until(() => setup.lines().length === numbers.length + 1);
    expect(
      setup
        .lines()
        .slice(0, -1)
        .map((line) => line.slice(line.lastIndexOf(" ") + 1)),
    ).toEqual(numbers);
    expect(setup.lines().at(-1)).toEndWith("x".repeat(90_000));
  });

  test("makes one line of a message with several", async () => {
    using setup = await setUp();
    await logger("-u", setup.path, "-t", "app", "--", "a\n  b");
    await until(() => setup.text() !== "");
    expect(setup.lines()).toEqual([expect.stringMatching(/app: a#012 {2}b$/)]);
  });

  test("survives empty messages", async () => {
    using setup = await setUp();
    const send = ["perl", "-MSocket", "-e"];
    const program = `socket(S, AF_UNIX, SOCK_DGRAM, 0); send(S, "", 0, sockaddr_un($ARGV[0])) // die $! for 1..3`;
    expect(Bun.spawnSync([...send, program, setup.path]).exitCode).toBe(0);
    await logger("-u", setup.path, "after");
    await until(() => setup.text().includes("after"));
    expect(setup.lines()).toHaveLength(1);
  });

  test("takes the place of a socket that nobody listens at, and is gone after close()", async () => {
    using setup = await setUp();
    setup.source.close();
    expect(existsSync(setup.path)).toBe(false);
    const left = Bun.spawnSync([
      "perl",
      "-MSocket",
      "-e",
      "socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0]))",
      setup.path,
    ]);
    expect([left.exitCode, statSync(setup.path).isSocket()]).toEqual([0, true]);
    const next = setup.openSource();
    await next.opened;
    await logger("-u", setup.path, "again");
    await until(() => setup.text().includes("again"));
    next.close();
  });

  test("leaves the socket of its successor alone", async () => {
    using setup = await setUp();
    const next = setup.openSource();
    await next.opened;
    setup.source.close();
    expect(existsSync(setup.path)).toBe(true);
    next.close();
  });

  test("replaces nothing but sockets, and says so", async () => {
    using setup = await setUp();
    setup.source.close();
    writeFileSync(setup.path, "a file");
    const next = setup.openSource();
    await next.opened;
    expect(codes(next)).toEqual(["E_SYSLOG"]);
    expect(readFileSync(setup.path, "utf8")).toBe("a file");
    next.close();
  });

  test("holds its senders while the spool is full, and loses nothing", async () => {
    using setup = await setUp({ maxBytes: 2 ** 20 });
    const spool = setup.source.spooled;
    const count = 40;
    const sender = loggerOf(`${"x".repeat(50_000)}\n`.repeat(count), "-u", setup.path, "-S", "60000");
    let taken = 0;
    const takeClosed = () => {
      for (const file of new Bun.Glob(spool.pattern).scanSync({ absolute: true })) {
        if (!spool.isClosed(file)) continue;
        taken += readFileSync(file, "latin1").split("\n").length - 1;
        rmSync(file);
      }
      return taken + setup.lines().length === count;
    };
    await until(() => spool.room() < 50_000);
    await until(takeClosed);
    await sender;
    expect(setup.lost()).toBe(0);
  });

  test("is emptied by finish() and by close()", async () => {
    for (const end of ["finish", "close"] as const) {
      using setup = await setUp();
      const sent = Bun.spawnSync(["logger", "-u", setup.path, "just before"]);
      // No turn of the event loop has passed: the message is with the kernel.
      const ended = setup.source[end]();
      await ended;
      expect([sent.exitCode, setup.text().includes("just before")]).toEqual([0, true]);
    }
  });
});

describe("a stream socket", () => {
  test("gets what logger(1) sends over a connection", async () => {
    using setup = await setUp({ at: "stream" });
    expect(statSync(setup.path).mode & 0o777).toBe(0o666);
    await loggerOf("one\ntwo\nthree\n", "-u", setup.path, "-t", "app");
    await until(() => setup.lines().length === 3);
    expect(setup.lines().map((line) => line.slice(line.lastIndexOf(" ") + 1))).toEqual([
      "one",
      "two",
      "three",
    ]);
  });

  test("keeps the messages of several connections apart", async () => {
    using setup = await setUp({ at: "stream" });
    const [a, b] = await Promise.all([connect(setup.path), connect(setup.path)]);
    a.write("<13>aa");
    b.write("<13>bb");
    a.flush();
    b.flush();
    await new Promise<void>((resolve) => setImmediate(resolve));
    a.write("AA\n");
    b.write("BB\n");
    await until(() => setup.lines().length === 2);
    expect(setup.lines().toSorted()).toEqual(["<13>aaAA", "<13>bbBB"]);
    a.end("<13>cut");
    await until(() => setup.lines().includes("<13>cut"));
    b.end();
  });

  test("hears what was sent before finish()", async () => {
    using setup = await setUp({ at: "stream" });
    const connection = await connect(setup.path);
    connection.write("<13>last");
    connection.flush();
    await setup.source.finish();
    expect(setup.lines()).toEqual(["<13>last"]);
  });
});

describe("UDP", () => {
  test("gets what logger(1) sends", async () => {
    using setup = await setUp({ at: "udp" });
    await logger("-n", "127.0.0.1", "-P", String(setup.source.port), "-d", "-t", "app", "over the wire");
    await until(() => setup.lines().length === 1);
    expect(setup.text()).toEndWith("over the wire\n");
  });

  test("hears what was sent before finish()", async () => {
    using setup = await setUp({ at: "udp" });
    const port = String(setup.source.port);
    for (let count = 0; count < 20; count++)
      Bun.spawnSync(["logger", "-n", "127.0.0.1", "-P", port, "-d", "m"]);
    await setup.source.finish();
    expect(setup.lines()).toHaveLength(20);
  });

  test("counts what the kernel had no room for", async () => {
    using setup = await setUp({ at: "udp", maxBytes: 2 ** 30 });
    const sender = createSocket("udp4");
    const count = 2_000;
    const message = Buffer.from(`<13>${"x".repeat(8_000)}`);
    const sends = Array.from({ length: count }, () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      sender.send(message, setup.source.port ?? 0, "127.0.0.1", () => resolve());
      return promise;
    });
    await Promise.all(sends);
    await setup.source.finish();
    sender.close();
    expect(setup.lines().length + setup.lost()).toBe(count);
  });

  test("at a port that is taken is a trouble", async () => {
    using setup = await setUp({ at: "udp" });
    const spool = new Spool({
      folder: `${setup.path}-other`,
      name: "syslog",
      origin: "syslog",
      maxBytes: 2 ** 20,
    });
    const udp = { hostname: "127.0.0.1", port: setup.source.port ?? 0 };
    const other = new SyslogSource({ udp, spool, clock: systemClock, lost: () => undefined });
    await other.opened;
    expect(codes(other)).toEqual(["E_SYSLOG"]);
    other.close();
  });
});

async function connect(path: string): Promise<Bun.Socket> {
  return Bun.connect({ unix: path, socket: { data: () => undefined } });
}

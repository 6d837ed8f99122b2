import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Problem } from "../kernel/problem.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { settle } from "../testing/scripted-sidecar.ts";
import { Logger, type LoggerOptions } from "./log.ts";

function setUp(more: Partial<LoggerOptions> = {}) {
  const clock = new ManualClock();
  const written: string[] = [];
  const write = async (text: string): Promise<void> => void written.push(text);
  const logger = new Logger({ clock, write, level: "info", format: "json", ...more });
  const lines = () => written.join("").split("\n").slice(0, -1);
  return {
    clock,
    logger,
    lines,
    events: () => lines().map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test("an event is one JSON object with time, level, message, sidecar and fields", async () => {
  const { logger, events } = setUp();
  logger.log.info("Starting");
  const because = new Problem({ code: "E_X", message: "Cannot", fix: "Do" });
  logger.forSidecar("access").warn("Two\nlines", { because, count: 2n, error: new TypeError("bad") });
  await settle();
  const time = "2026-01-01T00:00:00.000Z";
  expect(events()).toEqual([
    { time, level: "info", message: "Starting" },
    {
      time,
      level: "warn",
      message: "Two\nlines",
      sidecar: "access",
      fields: { because: { code: "E_X", message: "Cannot", fix: "Do" }, count: "2", error: "bad" },
    },
  ]);
});

test("for a terminal it is a line of text that cannot control the terminal", async () => {
  const { logger, lines } = setUp({ format: "text" });
  logger.forSidecar("access").error("Cannot \u001b[31mread\n", { path: "/a b", code: 5, list: ["x"] });
  await settle();
  expect(lines()).toEqual([
    String.raw`00:00:00.000 ERROR access: Cannot \u001b[31mread\n path=/a b code=5 list=["x"]`,
  ]);
});

test("less important events are left out, until the level is changed", async () => {
  const { logger, events } = setUp({ level: "warn" });
  for (const level of ["debug", "info", "warn", "error"] as const) logger.log[level](level);
  logger.configure({ level: "debug", format: "json" });
  logger.log.debug("now");
  await settle();
  expect(events().map(({ message }) => message)).toEqual(["warn", "error", "now"]);
});

test("a warning that says the same again is written once, then with a count after a minute", async () => {
  const { logger, events, clock } = setUp();
  const log = logger.forSidecar("a");
  for (let attempt = 1; attempt <= 5; attempt += 1) log.warn("Cannot connect", { host: "h", attempt });
  log.warn("Cannot connect", { host: "other", attempt: 1 });
  logger.forSidecar("b").warn("Cannot connect", { host: "h", attempt: 1 });
  log.info("Again");
  log.info("Again");
  clock.advance(60_000);
  log.warn("Cannot connect", { host: "h", attempt: 6 });
  await settle();
  expect(
    events().map(({ message, sidecar, repeated, fields }) => [message, sidecar, repeated, fields]),
  ).toEqual([
    ["Cannot connect", "a", undefined, { host: "h", attempt: 1 }],
    ["Cannot connect", "a", undefined, { host: "other", attempt: 1 }],
    ["Cannot connect", "b", undefined, { host: "h", attempt: 1 }],
    ["Again", "a", undefined, undefined],
    ["Again", "a", undefined, undefined],
    ["Cannot connect", "a", 4, { host: "h", attempt: 5 }],
    ["Cannot connect", "a", undefined, { host: "h", attempt: 6 }],
  ]);
});

test("close() says what was only counted, and leaves no timer", async () => {
  const { logger, events, clock } = setUp();
  logger.log.error("Broken");
  logger.log.error("Broken");
  await logger.close();
  expect([events().map(({ repeated }) => repeated), clock.pending]).toEqual([[undefined, 1], 0]);
});

test("a reader that does not read costs lines, which are counted, and neither memory nor time", async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const written: string[] = [];
  const { logger } = setUp({
    write: async (text) => {
      written.push(text);
      await held;
    },
  });
  const long = "x".repeat(10_000);
  for (let count = 0; count < 300; count += 1) logger.log.info(long);
  await settle();
  expect(logger.dropped).toBeGreaterThan(150);
  release();
  await logger.close();
  expect(written.join("")).toContain(`"lines":${logger.dropped}`);
});

test("a log that nobody can write any more stops nothing", async () => {
  const { logger } = setUp({ write: () => Promise.reject(new Error("EPIPE")) });
  logger.log.error("one");
  await settle();
  logger.log.error("two");
  await logger.close();
});

test("whatever an event holds, it is one line of JSON", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary" }),
      fc.dictionary(fc.string(), fc.anything()),
      async (message, fields) => {
        const { logger, lines } = setUp();
        const cycle: Record<string, unknown> = { ...fields };
        cycle["self"] = cycle;
        logger.log.info(message, cycle);
        await settle();
        expect(lines().map((line) => (JSON.parse(line) as { message: unknown }).message)).toEqual([message]);
      },
    ),
    { numRuns: 50 },
  );
});

test("fields that cannot be shown cost themselves only", async () => {
  const { logger, events } = setUp();
  const trap = {
    get value(): never {
      throw new Error("trap");
    },
  };
  logger.log.info("one", { trap });
  logger.log.info("two", { toJSON: () => 1n });
  await settle();
  expect(events().map(({ message, fields }) => [message, fields])).toEqual([
    ["one", { unloggable: "trap" }],
    ["two", { unloggable: expect.any(String) }],
  ]);
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { LogFile } from "../../sandbox/log-file.ts";
import { logStream, type LogStreamOptions } from "./log-stream.ts";
import { lastLogLines } from "./log-tail.ts";
import { logTime } from "./log-text.ts";

let folder = "";
let path = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "logs-"));
  path = join(folder, "0.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const START = Date.UTC(2026, 0, 1);

function time(second: number): string {
  return new Date(START + second * 1000).toISOString().replace("Z", "000000Z");
}

function line(second: number, text: string, tag = "F", stream = "stdout"): string {
  return `${time(second)} ${stream} ${tag} ${text}\n`;
}

async function read(options: Partial<LogStreamOptions> = {}): Promise<string> {
  let text = "";
  const signal = new AbortController().signal;
  for await (const piece of logStream({ path, timestamps: false, signal, ...options }))
    text += Buffer.from(piece).toString("utf8");
  return text;
}

describe("a finished log", () => {
  beforeEach(() => {
    writeFileSync(
      path,
      [line(0, "one"), line(1, "two", "F", "stderr"), line(2, ""), line(3, "three")].join(""),
    );
  });

  test("is its lines, of both streams", async () => {
    expect(await read()).toBe("one\ntwo\n\nthree\n");
  });

  test("with timestamps carries the nanoseconds of the file", async () => {
    expect(await read({ timestamps: true, tailLines: 2 })).toBe(`${time(2)} \n${time(3)} three\n`);
  });

  test.each([
    [0, ""],
    [1, "three\n"],
    [3, "two\n\nthree\n"],
    [4, "one\ntwo\n\nthree\n"],
    [99, "one\ntwo\n\nthree\n"],
  ])("tail of %d lines", async (tailLines, expected) => {
    expect(await read({ tailLines })).toBe(expected);
  });

  test("since a time begins with the first line at or after it", async () => {
    expect(await read({ since: logTime(START + 2000) ?? "" })).toBe("\nthree\n");
    expect(await read({ since: logTime(START + 2001) ?? "" })).toBe("three\n");
  });

  test("is cut after limitBytes", async () => {
    expect(await read({ limitBytes: 5 })).toBe("one\nt");
    expect(await read({ limitBytes: 5, tailLines: 1 })).toBe("three");
  });

  test("that is missing is empty", async () => {
    rmSync(path);
    expect(await read()).toBe("");
    expect(await read({ tailLines: 3 })).toBe("");
  });
});

test("pieces of a long line are joined and count as one line", async () => {
  writeFileSync(
    path,
    [line(0, "first"), line(1, "a".repeat(9), "P"), line(1, "b", "P"), line(1, "c")].join(""),
  );
  expect(await read()).toBe("first\naaaaaaaaabc\n");
  expect(await read({ tailLines: 1, timestamps: true })).toBe(`${time(1)} aaaaaaaaabc\n`);
});

test("lines that are no log lines are left out", async () => {
  writeFileSync(path, `garbage\n\n${line(0, "good")}x y\n`);
  expect(await read()).toBe("good\n");
});

test("rotated files come before the current one, also for the tail", async () => {
  writeFileSync(`${path}.20260101-000000.000`, line(0, "oldest") + line(1, "old"));
  writeFileSync(`${path}.20260101-000100.000`, line(2, "newer"));
  writeFileSync(path, line(3, "newest"));
  expect(await read()).toBe("oldest\nold\nnewer\nnewest\n");
  expect(await read({ tailLines: 3 })).toBe("old\nnewer\nnewest\n");
});

describe("a log that is followed", () => {
  /** Collects what comes; `seen(text)` resolves once it has come. */
  function follow(options: Partial<LogStreamOptions> = {}) {
    const controller = new AbortController();
    const end = Promise.withResolvers<void>();
    let text = "";
    let wake = () => {};
    const has = (wanted: string) => text === wanted;
    const done = (async () => {
      const stream = logStream({
        path,
        timestamps: false,
        signal: controller.signal,
        ended: end.promise,
        ...options,
      });
      for await (const piece of stream) {
        text += Buffer.from(piece).toString("utf8");
        wake();
      }
      return text;
    })();
    const seen = async (wanted: string) => {
      while (!has(wanted)) await new Promise<void>((resolve) => (wake = resolve));
    };
    return { seen, done, end: end.resolve, abort: () => controller.abort() };
  }

  test("shows each line as it comes and ends with the container", async () => {
    writeFileSync(path, line(0, "before"));
    const log = follow();
    await log.seen("before\n");
    appendFileSync(path, line(1, "one"));
    await log.seen("before\none\n");
    appendFileSync(path, line(2, "last"));
    log.end();
    expect(await log.done).toBe("before\none\nlast\n");
  });

  test("waits for the newline of a line that is half written", async () => {
    writeFileSync(path, line(0, "whole") + line(1, "half").slice(0, -3));
    const log = follow();
    await log.seen("whole\n");
    appendFileSync(path, line(1, "half").slice(-3));
    await log.seen("whole\nhalf\n");
    log.abort();
    await log.done;
  });

  test("goes on across rotations and loses nothing", async () => {
    const file = new LogFile({ path, maxBytes: 500, maxFiles: 50 });
    const log = follow();
    const wanted: string[] = [];
    for (let round = 0; round < 200; round++) {
      file.append(Buffer.from(line(round, `line ${round}`)), START + round);
      wanted.push(`line ${round}\n`);
      if (round % 20 === 0) await log.seen(wanted.join(""));
    }
    file.close();
    log.end();
    expect(await log.done).toBe(wanted.join(""));
  });

  test("with a tail of 0 shows only what is new", async () => {
    writeFileSync(path, line(0, "old"));
    const log = follow({ tailLines: 0 });
    appendFileSync(path, line(1, "new"));
    await log.seen("new\n");
    log.abort();
    expect(await log.done).toBe("new\n");
  });

  test("ends when its reader goes away", async () => {
    writeFileSync(path, line(0, "x"));
    const log = follow();
    await log.seen("x\n");
    log.abort();
    expect(await log.done).toBe("x\n");
  });
});

test("a reader that stops takes no more than a piece at a time", async () => {
  const text = "y".repeat(1000);
  for (let block = 0; block < 20; block++)
    appendFileSync(path, Array.from({ length: 200 }, () => line(block, text)).join(""));
  const stream = logStream({ path, timestamps: false, signal: new AbortController().signal });
  const first = await stream.next();
  expect((first.value as Uint8Array).length).toBeLessThanOrEqual(64 * 1024);
  await stream.return(undefined);
  expect((await stream.next()).done).toBe(true);
});

describe("in any log", () => {
  const entries = fc.array(
    fc.record({
      text: fc.string({ maxLength: 30 }).map((text) => text.replaceAll("\n", " ")),
      gap: fc.nat({ max: 3 }),
    }),
    { maxLength: 40 },
  );
  const write = (list: readonly { text: string; gap: number }[], pieces: number) => {
    let second = 0;
    const lines = list.map(({ text, gap }) => {
      second += gap;
      return { second, text, raw: line(second, text) };
    });
    rmSync(folder, { recursive: true, force: true });
    folder = mkdtempSync(join(tmpdir(), "logs-"));
    path = join(folder, "0.log");
    writeFileSync(path, "");
    lines.forEach(({ raw }, index) => {
      if (pieces > 1 && index % pieces === pieces - 1)
        renameSync(path, `${path}.20260101-000000.${String(index).padStart(3, "0")}`);
      appendFileSync(path, raw);
    });
    return lines;
  };

  test("the tail is the end of the whole, wherever the files are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        entries,
        fc.nat({ max: 50 }),
        fc.integer({ min: 1, max: 7 }),
        async (list, tailLines, pieces) => {
          const lines = write(list, pieces);
          const wanted = tailLines === 0 ? [] : lines.slice(-tailLines);
          expect(await read({ tailLines })).toBe(wanted.map(({ text }) => `${text}\n`).join(""));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("since leaves out exactly what is older", async () => {
    await fc.assert(
      fc.asyncProperty(entries, fc.nat({ max: 60 }), async (list, second) => {
        const lines = write(list, 1);
        const wanted = lines.filter((one) => one.second >= second);
        const since = logTime(START + second * 1000) ?? "";
        expect(await read({ since })).toBe(wanted.map(({ text }) => `${text}\n`).join(""));
      }),
      { numRuns: 60 },
    );
  });
});

describe("lastLogLines()", () => {
  test("is the last lines and no more than the bytes", () => {
    writeFileSync(path, Array.from({ length: 200 }, (_, index) => line(index, `l${index}`)).join(""));
    expect(lastLogLines(path, { lines: 3, bytes: 2048 })).toBe("l197\nl198\nl199\n");
    expect(lastLogLines(path, { lines: 3, bytes: 6 })).toBe("\nl199\n");
  });

  test("of a missing log is empty", () => {
    expect(lastLogLines(join(folder, "nothing"), { lines: 3, bytes: 100 })).toBe("");
  });

  test("of a huge log does not read it", () => {
    const big = line(0, "z".repeat(16_000), "P");
    writeFileSync(path, big.repeat(2000) + line(1, "end"));
    expect(readFileSync(path).length).toBeGreaterThan(30_000_000);
    const begun = performance.now();
    expect(lastLogLines(path, { lines: 1, bytes: 2048 }).endsWith("end\n")).toBe(true);
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

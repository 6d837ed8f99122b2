/** Random rotations, truncations and restarts, held against what stands in the files in the end. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Reading, temporaryFolder } from "./reading.test-support.ts";

const OPERATIONS = [
  "append",
  "append",
  "append",
  "partial",
  "pass",
  "pass",
  "pass long",
  "rename",
  "copy",
  "compress",
  "recreate",
  "truncate",
] as const;
type Operation = (typeof OPERATIONS)[number] | "kill" | "restart" | "undelivered";

/** An application that logs, and whatever rotates its log. */
class Application {
  readonly #log: string;
  readonly #header: string;
  #line = 0;

  constructor(folder: string, header: string) {
    this.#log = join(folder, "app.log");
    this.#header = header;
    this.#begin();
  }

  do(operation: Operation): void {
    const log = this.#log;
    if (operation === "append") appendFileSync(log, `rest\n${this.#words()}\n${this.#words()}\n`);
    else if (operation === "partial") appendFileSync(log, this.#words());
    else if (operation === "rename") {
      this.#shift();
      renameSync(log, `${log}.1`);
      this.#begin();
    } else if (operation === "copy") {
      this.#shift();
      copyFileSync(log, `${log}.1`);
      truncateSync(log);
      appendFileSync(log, this.#header);
    } else if (operation === "compress") this.#compress();
    else if (operation === "recreate") {
      rmSync(log);
      this.#begin();
    } else if (operation === "truncate") {
      truncateSync(log);
      appendFileSync(log, this.#header);
    }
  }

  #words(): string {
    this.#line += 1;
    return `line ${this.#line} ${"x".repeat((this.#line * 37) % 90)}`;
  }

  #begin(): void {
    writeFileSync(this.#log, this.#header);
  }

  #shift(): void {
    for (const end of [".gz", ""]) {
      for (let index = 8; index > 0; index--) {
        const from = `${this.#log}.${index}${end}`;
        if (existsSync(from)) renameSync(from, `${this.#log}.${index + 1}${end}`);
      }
    }
  }

  #compress(): void {
    const from = `${this.#log}.2`;
    if (!existsSync(from) || existsSync(`${from}.gz`)) return;
    const { atime, mtime } = statSync(from);
    writeFileSync(`${from}.gz`, gzipSync(readFileSync(from)));
    utimesSync(`${from}.gz`, atime, mtime);
    rmSync(from);
  }
}

/** Numbers of lines: a line that was unfinished when the reader ended arrives in two parts, the first of which has the number. */
function numbersOf(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /^line \d+ /.exec(line)?.[0] ?? []);
}

function linesLeft(folder: string): string[] {
  const lines = readdirSync(folder).flatMap((name) => {
    const bytes = readFileSync(join(folder, name));
    return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString().split("\n");
  });
  return numbersOf(lines);
}

interface Run {
  readonly operations: readonly Operation[];
  readonly pattern: string;
  readonly header: string;
}

async function play({ operations, pattern, header }: Run): Promise<{ left: string[]; lines: string[] }> {
  using folder = temporaryFolder();
  const app = new Application(folder.path, header);
  const patterns = [join(folder.path, pattern)];
  let reading = new Reading({ patterns });
  await reading.pass(100);
  const lines: string[] = [];
  for (const operation of operations) {
    app.do(operation);
    if (operation === "pass") await reading.pass(1_200);
    else if (operation === "pass long") await reading.pass(8_000);
    else if (operation === "undelivered") reading.isDelivering = false;
    else if (operation === "kill" || operation === "restart") {
      if (operation === "restart") await reading.finish();
      const checkpoints = operation === "kill" ? reading.kill() : reading.checkpoints;
      lines.push(...reading.lines);
      reading = new Reading({ patterns, checkpoints });
      if (operation === "restart") await reading.pass(100);
    }
  }
  await reading.pass(8_000);
  lines.push(...(await reading.finish()));
  return { left: linesLeft(folder.path), lines: numbersOf(lines) };
}

/** Raise it to look for rare cases. */
const RUNS = 150;

const header = fc.constantFrom("", "begin\n", `${"the same first lines ".repeat(80)}\n`);
const pattern = fc.constantFrom("app.log", "app.log*", "*");
const operation = fc.constantFrom<Operation>(...OPERATIONS);

test("every line that stands in the files in the end arrives exactly once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { maxLength: 24 }),
      pattern,
      header,
      async (operations, pattern, header) => {
        const { left, lines } = await play({ operations, pattern, header });
        expect(left.filter((line) => !lines.includes(line))).toEqual([]);
        expect(lines.filter((line, index) => lines.indexOf(line) !== index)).toEqual([]);
      },
    ),
    { numRuns: RUNS },
  );
});

test("across restarts every line that stands in the files in the end arrives at least once", async () => {
  const withRestarts = fc.oneof(
    { weight: 5, arbitrary: operation },
    { weight: 1, arbitrary: fc.constantFrom<Operation>("kill", "restart", "undelivered") },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(withRestarts, { maxLength: 24 }),
      pattern,
      header,
      async (operations, pattern, header) => {
        const { left, lines } = await play({ operations, pattern, header });
        expect(left.filter((line) => !lines.includes(line))).toEqual([]);
      },
    ),
    { numRuns: RUNS },
  );
});

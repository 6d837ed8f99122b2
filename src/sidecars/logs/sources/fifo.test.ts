import { describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../kernel/clock.ts";
import type { Problem } from "../../../kernel/problem.ts";
import { makeFifo } from "../../../lib/pipes.ts";
import { FifoSource } from "./fifo.ts";
import { spooledText, testFolder, until } from "./push.test-support.ts";
import { Spool } from "./spool.ts";

interface Setup {
  readonly create?: boolean;
  readonly maxBytes?: number;
  readonly make?: boolean;
}

function setUp({ create = false, maxBytes = 2 ** 20, make = true }: Setup = {}) {
  const folder = testFolder();
  const path = join(folder.path, "app.fifo");
  const spoolFolder = join(folder.path, "spool");
  if (make) makeFifo(path, 0o622);
  const openSource = () => {
    const spool = new Spool({ folder: spoolFolder, name: "app", origin: path, maxBytes });
    return new FifoSource({ path, create, spool, clock: systemClock });
  };
  const source = openSource();
  return {
    path,
    folder: folder.path,
    source,
    openSource,
    text: () => spooledText(spoolFolder),
    [Symbol.dispose]() {
      source.close();
      folder[Symbol.dispose]();
    },
  };
}

function openWriter(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
}

function write(path: string, text: string): void {
  const writer = openWriter(path);
  writeSync(writer, text);
  closeSync(writer);
}

/** Root has to be allowed to mount: in containers it is not, as a rule. */
const canMount = Bun.spawnSync(["unshare", "-m", "true"], { stderr: "ignore" }).exitCode === 0;

const codes = (source: FifoSource) => source.troubles().map((trouble) => (trouble as Problem).code);

describe("a FIFO", () => {
  test("is read while writers come and go", async () => {
    using setup = setUp();
    write(setup.path, "one\n");
    await until(() => setup.text() === "one\n");
    const shell = Bun.spawn(["sh", "-c", `for n in 2 3; do echo $n > ${setup.path}; done`]);
    expect(await shell.exited).toBe(0);
    await until(() => setup.text() === "one\n2\n3\n");
    expect(setup.source.troubles()).toEqual([]);
  });

  test("gives an unfinished line its end when its writer has left", async () => {
    using setup = setUp();
    const staying = openWriter(setup.path);
    writeSync(staying, "begun");
    await until(() => setup.text() === "begun");
    writeSync(staying, " and left");
    closeSync(staying);
    await until(() => setup.text() === "begun and left\n");
    write(setup.path, "next\n");
    await until(() => setup.text() === "begun and left\nnext\n");
  });

  test("is waited for, with a trouble that says so", async () => {
    using setup = setUp({ make: false });
    await until(() => codes(setup.source).includes("E_FIFO_MISSING"));
    makeFifo(setup.path, 0o600);
    await until(() => setup.source.troubles().length === 0);
    write(setup.path, "late\n");
    await until(() => setup.text() === "late\n");
  });

  test("is made when asked, so that anybody may write, and only then", async () => {
    using setup = setUp({ make: false, create: true });
    await until(() => statSync(setup.path, { throwIfNoEntry: false })?.isFIFO() === true);
    expect(statSync(setup.path).mode & 0o777).toBe(0o622);
    rmSync(setup.path);
    writeFileSync(setup.path, "a file");
    await until(() => codes(setup.source).includes("E_FIFO_OTHER"));
    expect(readFileSync(setup.path, "utf8")).toBe("a file");
  });

  test("in a folder that is missing cannot be made, and that is said", async () => {
    using folder = testFolder();
    const spool = new Spool({ folder: folder.path, name: "app", origin: "x", maxBytes: 2 ** 20 });
    const path = join(folder.path, "no", "app.fifo");
    const source = new FifoSource({ path, create: true, spool, clock: systemClock });
    await until(() => codes(source).includes("E_FIFO_MISSING"));
    source.close();
  });

  test("that is replaced is read on until its writers leave, and the new one too", async () => {
    using setup = setUp();
    const old = openWriter(setup.path);
    writeSync(old, "a\n");
    await until(() => setup.text() === "a\n");
    makeFifo(`${setup.path}.new`, 0o622);
    renameSync(`${setup.path}.new`, setup.path);
    const other = await untilOpen(setup.path);
    writeSync(other, "b\n");
    await until(() => setup.text() === "a\nb\n");
    writeSync(old, "c\n");
    await until(() => setup.text() === "a\nb\nc\n");
    closeSync(old);
    writeSync(other, "d\n");
    closeSync(other);
    await until(() => setup.text() === "a\nb\nc\nd\n");
  });

  test("holds its writers back while the spool is full, and loses nothing", async () => {
    const maxBytes = 2 ** 20;
    using setup = setUp({ maxBytes });
    const total = 3 * 2 ** 20;
    const writer = Bun.spawn(["sh", "-c", `yes 0123456789abcde | head -c ${total} > ${setup.path}`]);
    const spool = setup.source.spooled;
    await until(() => spool.room() === 0);
    expect(writer.exitCode).toBe(null);
    let taken = "";
    const takeClosed = () => {
      // As the reader of files does it: what is closed is read, then removed.
      for (const file of [...new Bun.Glob(spool.pattern).scanSync({ absolute: true })].toSorted()) {
        if (!spool.isClosed(file)) continue;
        taken += readFileSync(file, "latin1");
        rmSync(file);
      }
      return taken.length + spool.size === total;
    };
    await until(takeClosed);
    expect(await writer.exited).toBe(0);
    taken += setup.text();
    expect(taken.length).toBe(total);
    expect(taken).toBe("0123456789abcde\n".repeat(total / 16));
  });

  test.skipIf(!canMount)("waits while the disk is full, says so, and loses nothing", async () => {
    using folder = testFolder();
    const disk = join(folder.path, "disk");
    mkdirSync(disk);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk]).exitCode).toBe(0);
    try {
      writeFileSync(join(disk, "ballast"), Buffer.alloc(96 * 1024));
      const path = join(folder.path, "app.fifo");
      const spool = new Spool({
        folder: join(disk, "spool"),
        name: "app",
        origin: path,
        maxBytes: 2 ** 20,
      });
      const source = new FifoSource({ path, create: true, spool, clock: systemClock });
      const text = "0123456789abcde\n".repeat(4_000);
      write(path, text);
      await until(() => codes(source).includes("E_SPOOL"));
      rmSync(join(disk, "ballast"));
      await until(() => source.troubles().length === 0 && spool.size === text.length);
      source.close();
      expect(spooledText(join(disk, "spool"))).toBe(text);
    } finally {
      expect(Bun.spawnSync(["umount", disk]).exitCode).toBe(0);
    }
  });

  test("is drained by finish(), and the last line ended", async () => {
    using setup = setUp();
    await until(() => setup.source.troubles().length === 0);
    write(setup.path, "x".repeat(60_000));
    await setup.source.finish();
    expect(setup.text()).toBe(`${"x".repeat(60_000)}\n`);
  });

  test("whose writer never stops does not keep finish() waiting", async () => {
    using setup = setUp({ maxBytes: 2 ** 30 });
    const writer = Bun.spawn(["sh", "-c", `yes > ${setup.path}`], { stderr: "ignore" });
    await until(() => setup.source.spooled.bytes > 0);
    await setup.source.finish();
    expect(await writer.exited).not.toBe(0);
  });

  test("is emptied by close(), because what is in it dies with its last reader", () => {
    using setup = setUp();
    // The constructor has opened it; no turn of the event loop since.
    write(setup.path, "left behind\n");
    setup.source.close();
    expect(setup.text()).toBe("left behind\n");
  });

  test("begins where the process before stopped in a line, when its writer is still there", async () => {
    using setup = setUp();
    const writer = openWriter(setup.path);
    writeSync(writer, "first ha");
    await until(() => setup.text() === "first ha");
    setup.source.close();
    const holder = openSync(setup.path, constants.O_RDONLY | constants.O_NONBLOCK);
    writeSync(writer, "lf\n");
    const next = setup.openSource();
    closeSync(holder);
    await until(() => setup.text() === "first half\n");
    closeSync(writer);
    next.close();
  });

  test("ends the line that a process before left, when nobody writes any more", async () => {
    using setup = setUp();
    write(setup.path, "cut");
    setup.source.close();
    expect(setup.text()).toMatch(/^cut\n?$/);
    const next = setup.openSource();
    await until(() => setup.text() === "cut\n");
    next.close();
  });
});

async function untilOpen(path: string): Promise<number> {
  for (;;) {
    try {
      return openWriter(path);
    } catch {
      // ENXIO: nobody reads it yet.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { Output } from "./output.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-output-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Both ends of a pipe; the writing end is an ordinary one that waits. */
function makePipe(name: string) {
  const path = join(folder, name);
  Bun.spawnSync(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  return {
    writer,
    readAll(): Buffer {
      const chunks: Buffer[] = [];
      const buffer = Buffer.alloc(1 << 16);
      for (;;) {
        try {
          const count = readSync(reader, buffer);
          if (count === 0) break;
          chunks.push(Buffer.from(buffer.subarray(0, count)));
        } catch {
          break;
        }
      }
      return Buffer.concat(chunks);
    },
    closeReader: () => closeSync(reader),
    [Symbol.dispose]: () => closeSync(writer),
  };
}

function isBlocking(fd: number): boolean {
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "";
  return (Number.parseInt(flags, 8) & constants.O_NONBLOCK) === 0;
}

test("write() waits for a reader that is slow, keeps order, and lets the event loop go on", async () => {
  using pipe = makePipe("slow");
  const output = new Output(pipe.writer);
  const line = (letter: string) => new TextEncoder().encode(`${letter.repeat(99_999)}\n`);
  const done: string[] = [];
  const writes = ["a", "b", "c"].map((letter) => output.write(line(letter)).then(() => done.push(letter)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toEqual([]);
  let got = "";
  while (done.length < 3) {
    got += pipe.readAll().toString();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(writes);
  got += pipe.readAll().toString();
  expect(got.split("\n").map((text) => `${text[0] ?? ""}${text.length}`)).toEqual([
    "a99999",
    "b99999",
    "c99999",
    "0",
  ]);
  expect(isBlocking(pipe.writer)).toBe(true);
  await output.close();
});

test("write() rejects every time once nobody reads any more", async () => {
  using pipe = makePipe("gone");
  const output = new Output(pipe.writer);
  await output.write("first\n");
  pipe.closeReader();
  for (const _ of [1, 2, 3]) expect(await output.write("lost\n").then(() => "ok", codeOf)).toBe("EPIPE");
  await output.close();
});

test("write() rejects while the disk is full and works again afterwards", async () => {
  const full = openSync("/dev/full", "w");
  const output = new Output(full);
  for (const _ of [1, 2]) expect(await output.write("lost").then(() => "ok", codeOf)).toBe("ENOSPC");
  closeSync(full);
});

test("write() appends to a file, and close() leaves the descriptor open", async () => {
  const file = openSync(join(folder, "file"), "w");
  const output = new Output(file);
  await Promise.all([output.write("one\n"), output.write(""), output.write("two\n")]);
  await output.close();
  expect([readFileSync(join(folder, "file"), "utf8"), fstatSync(file).isFile()]).toEqual([
    "one\ntwo\n",
    true,
  ]);
  closeSync(file);
});

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}

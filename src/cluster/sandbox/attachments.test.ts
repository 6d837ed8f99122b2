import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../testing/manual-clock.ts";
import { Attachments } from "./attachments.ts";
import type { ProcessInput } from "./process-io.ts";

const ALL = { stdin: true, stdout: true, stderr: true };
const CHUNK = new Uint8Array(256 * 1024);

function attachments(more: { stdinOnce?: boolean; hasTerminal?: boolean } = {}) {
  const clock = new ManualClock();
  const input: string[] = [];
  const stdin: ProcessInput = {
    write: async (chunk) => void input.push(Buffer.from(chunk).toString()),
    end: () => void input.push("(end)"),
  };
  const { stdinOnce = false, hasTerminal = false } = more;
  const resize = hasTerminal ? () => void input.push("(resize)") : undefined;
  return { clock, input, all: new Attachments({ clock, stdin, stdinOnce, resize }) };
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  return (await Promise.race([promise, Promise.resolve("pending")])) === "pending";
}

describe("Attachments", () => {
  test("offer() does not wait for clients that keep up, nor when there are none", () => {
    const { all } = attachments();
    expect(all.offer("stdout", CHUNK)).toBeUndefined();
    all.attach(ALL);
    expect(all.offer("stdout", new Uint8Array(10))).toBeUndefined();
  });

  test("the first client gets what was written before it came, if it comes within 5 s", async () => {
    const { all, clock } = attachments();
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
    void all.offer("stdout", one);
    void all.offer("stderr", two);
    const [first, second] = [all.attach(ALL), all.attach(ALL)];
    all.end();
    expect(await Array.fromAsync(first.stdout ?? [])).toEqual([one]);
    expect(await Array.fromAsync(first.stderr ?? [])).toEqual([two]);
    expect(await Array.fromAsync(second.stdout ?? [])).toEqual([]);
    expect(clock.pending).toBe(0);

    const late = attachments();
    void late.all.offer("stdout", one);
    late.clock.advance(5_000);
    const client = late.all.attach(ALL);
    late.all.end();
    expect(await Array.fromAsync(client.stdout ?? [])).toEqual([]);
  });

  test("offer() waits for a client that is behind until that reads, and then for no time limit", async () => {
    const { all, clock } = attachments();
    const reader = all.attach(ALL).stdout?.[Symbol.asyncIterator]();
    for (let round = 0; round < 3; round++) {
      const waiting = all.offer("stdout", CHUNK);
      clock.advance(4_999);
      expect(await isPending(waiting ?? Promise.resolve())).toBe(true);
      expect((await reader?.next())?.value).toEqual(CHUNK);
      await waiting;
    }
  });

  test("a client that takes nothing for five seconds is let go, with an end of its streams", async () => {
    const { all, clock } = attachments();
    const [stuck, other] = [all.attach(ALL), all.attach(ALL)];
    const reading = Array.fromAsync(other.stdout ?? []);
    const waiting = all.offer("stdout", CHUNK);
    // The other one reads.
    await new Promise(setImmediate);
    clock.advance(5_000);
    await waiting;
    expect(all.offer("stdout", new Uint8Array(3))).toBeUndefined();
    all.end();
    expect(await Array.fromAsync(stuck.stdout ?? [])).toEqual([]);
    expect((await reading).map(({ length }) => length)).toEqual([CHUNK.length, 3]);
  });

  test("nobody is waited for once the container has ended, and what came can still be read", async () => {
    const { all } = attachments();
    const client = all.attach(ALL);
    const waiting = all.offer("stderr", CHUNK);
    all.hurry();
    await waiting;
    expect(all.offer("stderr", CHUNK)).toBeUndefined();
    all.end();
    expect(await Array.fromAsync(client.stderr ?? [])).toEqual([CHUNK, CHUNK]);
  });

  test.each([
    [{ stdinOnce: true }, ["a", "(end)"], false],
    [{ stdinOnce: false }, ["a"], true],
    // A terminal goes on: containerd does not end its input for a client.
    [{ stdinOnce: true, hasTerminal: true }, ["a"], true],
  ])("with %j the end of a client's input is the program's or the client's own", async (how, seen, ends) => {
    const { all, input } = attachments(how);
    const client = all.attach(ALL);
    await client.stdin?.write(Buffer.from("a"));
    client.stdin?.end();
    client.stdin?.end();
    await client.stdin?.write(Buffer.from("late"));
    const output = Array.fromAsync(client.stdout ?? []);
    void all.offer("stdout", new Uint8Array(1));
    all.end();
    expect([input, (await output).length]).toEqual([seen, ends ? 0 : 1]);
  });

  test("a client asks for streams, and with a terminal there is no standard error", () => {
    const { all, input } = attachments({ hasTerminal: true });
    const client = all.attach({ stdin: false, stdout: true, stderr: true });
    client.resize({ width: 1, height: 1 });
    expect([client.stdin, client.stdout !== undefined, client.stderr, input]).toEqual([
      undefined,
      true,
      undefined,
      ["(resize)"],
    ]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { execIn, filesClosed, finished, openFiles, textOf, waitFor } from "./container-exec.test-support.ts";
import {
  canRunContainers,
  openWorld,
  readLog,
  type TestSpec,
  type TestWorld,
} from "./container.test-support.ts";
import type { AttachedProcess, AttachSpec } from "./process-io.ts";
import { ContainerStartError, type RunningContainer } from "./sandbox.ts";

const ALL: AttachSpec = { stdin: true, stdout: true, stderr: true };
const OUTPUT: AttachSpec = { ...ALL, stdin: false };
const MIB = 1024 * 1024;

describe.if(canRunContainers())("RunningContainer.attach()", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  async function inContainer(
    script: string,
    spec: TestSpec,
    action: (container: RunningContainer, logPath: string) => Promise<void>,
  ): Promise<void> {
    const { container, logPath } = await world.start({ ...spec, argv: ["sh", "-c", script] });
    try {
      await action(container, logPath);
    } finally {
      container.kill(9);
      await container.exited;
    }
  }

  test("carries input to process 1 and its output to every client and to the log", async () => {
    await inContainer("cat; echo end >&2", { stdin: true, stdinOnce: true }, async (container, logPath) => {
      const [one, two] = [container.attach(ALL), container.attach(OUTPUT)];
      await one.stdin?.write(Buffer.from("hello\n"));
      one.stdin?.end();
      const seen = await Promise.all(
        [one, two].flatMap(({ stdout, stderr }) => [textOf(stdout), textOf(stderr)]),
      );
      expect(two.stdin).toBeUndefined();
      expect(seen).toEqual(["hello\n", "end\n", "hello\n", "end\n"]);
      expect((await container.exited).exitCode).toBe(0);
      expect(readLog(logPath)).toEqual({ stdout: ["hello"], stderr: ["end"] });
    });
  });

  test("begins with output from now on, for the first client with all of it, and detaching leaves process 1 and other clients alone", async () => {
    const script = 'echo before; while read -r line; do echo "got $line"; done';
    await inContainer(script, { stdin: true }, async (container, logPath) => {
      while (readLog(logPath).stdout.length === 0) await Bun.sleep(1);
      const [first, second] = [container.attach(ALL), container.attach(ALL)];
      const [firstOut, secondOut] = [outputOf(first), outputOf(second)];
      await first.stdin?.write(Buffer.from("one\n"));
      expect(await Promise.all([waitFor(firstOut, "one"), waitFor(secondOut, "one")])).toEqual([
        "before\ngot one\n",
        "got one\n",
      ]);
      first.detach();
      first.detach();
      expect(await firstOut.next()).toEqual({ done: true, value: undefined });
      await second.stdin?.write(Buffer.from("two\n"));
      expect(await waitFor(secondOut, "two")).toBe("got two\n");
      second.detach();
    });
  });

  test("input ends with the first client that used it when it is given once, else it never does", async () => {
    await inContainer("cat", { stdin: true, stdinOnce: true }, async (container) => {
      container.attach(OUTPUT).detach();
      const client = container.attach(ALL);
      await client.stdin?.write(Buffer.from("x"));
      client.detach();
      expect((await container.exited).exitCode).toBe(0);
    });
    await inContainer("read -r a; read -r b; echo $a$b", { stdin: true }, async (container) => {
      for (const text of ["1\n", "2\n"]) {
        const client = container.attach(ALL);
        await client.stdin?.write(Buffer.from(text));
        client.stdin?.end();
        // As in containerd: a client whose input ends has no more output either.
        await textOf(client.stdout);
      }
      expect((await container.exited).exitCode).toBe(0);
    });
  });

  test("input that came before anybody attached is none, and a container without input reads its end", async () => {
    // It lives long enough to be attached to, however busy the machine is.
    await inContainer("cat; sleep 1; echo end", {}, async (container, logPath) => {
      const client = container.attach(ALL);
      expect(client.stdin).toBeUndefined();
      client.detach();
      await container.exited;
      expect(readLog(logPath).stdout).toEqual(["end"]);
    });
  });

  test("a slow client gets every byte, the log as well", async () => {
    const script = "read -r go; yes $(printf %0255d 0) | head -c 4194304";
    await inContainer(script, { stdin: true }, async (container, logPath) => {
      const [slow, quick] = [container.attach(OUTPUT), container.attach(ALL)];
      await quick.stdin?.write(Buffer.from("go\n"));
      let bytes = 0;
      const reading = textOf(quick.stdout);
      for await (const chunk of slow.stdout ?? []) {
        bytes += chunk.length;
        await new Promise(setImmediate);
      }
      expect([bytes, (await reading).length]).toEqual([4 * MIB, 4 * MIB]);
      await container.exited;
      expect(readFileSync(logPath, "utf8").split("\n").length - 1).toBe((4 * MIB) / 256);
    });
  });

  test("a client that reads nothing does not hold up the end of the container", async () => {
    await inContainer("read -r go; head -c 600000 /dev/zero", { stdin: true }, async (container) => {
      const before = openFiles();
      const client = container.attach(ALL);
      await client.stdin?.write(Buffer.from("go\n"));
      container.kill(9);
      expect(await container.exited).toMatchObject({ exitCode: 137 });
      client.detach();
      await filesClosed(before);
    });
  });

  test("a container that has ended refuses", async () => {
    const { container } = await world.start({ argv: ["true"] });
    await container.exited;
    expect(() => container.attach(ALL)).toThrow(ContainerStartError);
  });

  describe("a terminal", () => {
    test("is that of process 1, its output one stream that is logged as it is", async () => {
      const script = "tty; stty -echo; echo $TERM >&2; read -r line; echo got $line";
      await inContainer(script, { stdin: true, tty: true }, async (container, logPath) => {
        const client = container.attach(ALL);
        const stdout = outputOf(client);
        await waitFor(stdout, "xterm\r\n");
        await client.stdin?.write(Buffer.from("it\n"));
        expect(await waitFor(stdout, "got it")).toBe("got it\r\n");
        expect(client.stderr).toBeUndefined();
        expect((await container.exited).exitCode).toBe(0);
        expect(await stdout.next()).toEqual({ done: true, value: undefined });
        expect(readLog(logPath)).toEqual({ stdout: ["/dev/pts/0\r", "xterm\r", "got it\r"], stderr: [] });
      });
    });

    test("belongs to the container's user, tells of its size, and sends signals for keys", async () => {
      const user = world.ids.isUid(101) ? "101" : "0";
      const script =
        "trap 'stty size' WINCH; trap 'echo bye; exit 5' INT; stat -c '%u %a' $(tty); while :; do sleep 0.01; done";
      const spec: TestSpec = { stdin: true, tty: true, user: { user, supplementalGroups: [] } };
      await inContainer(script, spec, async (container) => {
        const client = container.attach(ALL);
        const stdout = outputOf(client);
        await waitFor(stdout, `${user} 620`);
        client.resize({ width: 100, height: 30 });
        await waitFor(stdout, "30 100");
        await client.stdin?.write(Uint8Array.of(3));
        await waitFor(stdout, "bye");
        expect((await container.exited).exitCode).toBe(5);
      });
    });

    test("programs in the container get terminals of their own beside it", async () => {
      await inContainer("exec sleep 1000", { tty: true }, async (container) => {
        const { stdout } = await finished(await execIn(container, ["tty"], { tty: true }));
        expect(stdout).toBe("/dev/pts/1\r\n");
      });
    });

    test("leaves nothing open, whether the container started or not", async () => {
      const before = openFiles();
      await world.start({ argv: ["nope"], stdin: true, tty: true }).catch(() => undefined);
      await world.start({ argv: ["nope"], stdin: true }).catch(() => undefined);
      const { container } = await world.start({ argv: ["true"], stdin: true, tty: true });
      await container.exited;
      await filesClosed(before);
    });
  });
});

function outputOf({ stdout }: AttachedProcess): AsyncIterator<Uint8Array> {
  if (stdout === undefined) throw new Error("no output");
  return stdout[Symbol.asyncIterator]();
}

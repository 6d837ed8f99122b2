import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { messageOf } from "../../kernel/problem.ts";
import {
  bytesOf,
  execIn,
  filesClosed,
  finished,
  inContainer,
  openFiles,
  textOf,
  waitFor,
} from "./container-exec.test-support.ts";
import {
  canRunContainers,
  openWorld,
  readLog,
  type TestSpec,
  type TestWorld,
} from "./container.test-support.ts";
import type { ExecProcess } from "./process-io.ts";
import type { RunningContainer } from "./sandbox.ts";

const MIB = 1024 * 1024;
/** Tells when a process next to it runs the engine's file: who may see that may also read and write its memory. */
const SPY = `
  const { readdirSync, readlinkSync } = require("node:fs");
  console.log("looking");
  for (;;)
    for (const pid of readdirSync("/proc"))
      try {
        const file = readlinkSync("/proc/" + pid + "/exe");
        if (file.includes("bun") && file !== "/opt/bun") console.log(file);
      } catch {}`;

describe.if(canRunContainers())("RunningContainer.exec() in trouble", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  test("a program whose output nobody reads waits, and nothing of it is lost", async () => {
    const { taken, bytes } = await inContainer(world, {}, async (container) => {
      const script = "head -c 4194304 /dev/zero; echo done >&2";
      const process = await execIn(container, ["sh", "-c", script]);
      const output = iterate(process.stdout);
      const first = await output.next();
      await until(() => isBlockedInWrite(container));
      const before = globalThis.process.memoryUsage().rss;
      await until(() => isBlockedInWrite(container));
      const rest = await bytesOf({ [Symbol.asyncIterator]: () => output });
      await process.exited;
      return {
        taken: globalThis.process.memoryUsage().rss - before < 16 * MIB,
        bytes: (first.value?.length ?? 0) + rest.length,
      };
    });
    expect({ taken, bytes }).toEqual({ taken: true, bytes: 4 * MIB });
  });

  test("input that nobody reads waits in one chunk, and is dropped when the program ends", async () => {
    const ended = await inContainer(world, {}, async (container) => {
      const process = await execIn(container, ["sh", "-c", "echo up; exec sleep 1000"], { stdin: true });
      await waitFor(iterate(process.stdout), "up");
      let isTaken = false;
      const writing = process.stdin?.write(new Uint8Array(MIB)).then(() => (isTaken = true));
      await finished(await execIn(container, ["true"]));
      const wasTaken = isTaken;
      process.kill(9);
      await writing;
      await process.stdin?.write(new Uint8Array(MIB));
      process.detach();
      return { wasTaken, exit: await process.exited };
    });
    expect(ended).toEqual({ wasTaken: false, exit: { exitCode: 137, signal: 9 } });
  });

  test("input for a program that has closed it is dropped", async () => {
    const ended = await inContainer(world, {}, async (container) => {
      const process = await execIn(container, ["sh", "-c", "exec <&-; echo up; exec sleep 0.05"], {
        stdin: true,
      });
      await waitFor(iterate(process.stdout), "up");
      await process.stdin?.write(new Uint8Array(MIB));
      process.stdin?.end();
      process.detach();
      return process.exited;
    });
    expect(ended).toEqual({ exitCode: 0 });
  });

  test("output that was written is read, however late, after the program has ended", async () => {
    const text = await inContainer(world, {}, async (container) => {
      const process = await execIn(container, ["sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x; echo end"]);
      await process.exited;
      return textOf(process.stdout);
    });
    expect(text).toBe(`${"x".repeat(60_000)}end\n`);
  });

  test.each([
    ["is silent", "sleep 1000"],
    ["writes a little", "while sleep 0.01; do echo more; done"],
    ["writes without end", "cat /dev/zero"],
  ])("a daemon that holds the output and %s does not keep it open", async (_what, daemon) => {
    const { start, exit } = await inContainer(world, {}, async (container) => {
      const process = await execIn(container, ["sh", "-c", `echo first; ${daemon} & exit 4`]);
      const { stdout, exit } = await finished(process);
      return { start: stdout.slice(0, 6), exit };
    });
    expect({ start, exit }).toEqual({ start: "first\n", exit: { exitCode: 4 } });
  });

  test("kill() reaches the program and not what it has started", async () => {
    const { exit, left } = await inContainer(world, {}, async (container) => {
      const process = await execIn(container, ["sh", "-c", "sleep 1000 & echo up; wait"]);
      await waitFor(iterate(process.stdout), "up");
      process.kill(15);
      const exit = await process.exited;
      process.kill(9);
      return { exit, left: processesOf(container).length };
    });
    expect({ exit, left }).toEqual({ exit: { exitCode: 143, signal: 15 }, left: 2 });
  });

  test("a program ends with its container, whoever ends that [N1]", async () => {
    const { container } = await world.start({ argv: ["sleep", "1000"] });
    const processes = await Promise.all([
      execIn(container, ["sh", "-c", "trap '' TERM; sleep 1000"]),
      execIn(container, ["sleep", "1000"], { tty: true, stdin: true }),
      execIn(container, ["cat", "/dev/zero"]),
    ]);
    process.kill(container.pid, "SIGKILL");
    const exits = await Promise.all(processes.map(({ exited }) => exited));
    expect((await container.exited).exitCode).toBe(137);
    for (const each of processes) each.detach();
    expect(exits).toEqual(processes.map(() => ({ exitCode: 137, signal: 9 })));
  });

  test("a container that has ended refuses, also while its end is being noticed", async () => {
    const { container } = await world.start({ argv: ["sleep", "1000"] });
    process.kill(container.pid, "SIGKILL");
    const refusals: string[] = [];
    const refused = async (): Promise<void> => {
      try {
        const started = await execIn(container, ["sleep", "1000"]);
        started.detach();
        refusals.push(`ended by signal ${(await started.exited).signal}`);
      } catch (error) {
        refusals.push(messageOf(error));
      }
    };
    // In the same turn: nobody has waited for the process yet.
    await Promise.all([refused(), refused()]);
    await container.exited;
    await refused();
    const allowed = ["container is in CONTAINER_EXITED state", "ended by signal 9"];
    expect(refusals.filter((refusal) => !allowed.includes(refusal))).toEqual([]);
    expect(refusals.at(-1)).toBe("container is in CONTAINER_EXITED state");
  });

  test("a hundred programs at once leave no process and nothing open", async () => {
    await inContainer(world, {}, async (container) => {
      const before = openFiles();
      const ends = await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const script = `cat; echo ${index}; exit ${index}`;
          const process = await execIn(container, ["sh", "-c", script], { stdin: index % 2 === 0 });
          process.stdin?.end();
          return finished(process);
        }),
      );
      expect(ends).toEqual(
        Array.from({ length: 100 }, (_, index) => ({
          stdout: `${index}\n`,
          stderr: "",
          exit: { exitCode: index },
        })),
      );
      expect(processesOf(container)).toEqual(["1"]);
      await filesClosed(before);
    });
  });

  test("a client that goes leaves nothing open, and the program goes on", async () => {
    await inContainer(world, {}, async (container) => {
      const before = openFiles();
      const process = await execIn(container, ["sh", "-c", "cat; exec sleep 1000"], { stdin: true });
      void process.stdin?.write(new Uint8Array(MIB));
      process.detach();
      process.detach();
      expect(await textOf(process.stdout)).toBe("");
      await filesClosed(before);
      process.kill(9);
      await process.exited;
    });
  });

  test("a container that may trace its programs gets them, and their errors, from a copy of that memory", async () => {
    await inContainer(world, { capabilities: { add: ["SYS_PTRACE"], drop: [] } }, async (container) => {
      const { stdout, exit } = await finished(await execIn(container, ["sh", "-c", "echo $$; exit 3"]));
      const error = await execIn(container, ["nope"]).then(() => "started", messageOf);
      const relative = await execIn(container, ["./nope"]).then(() => "started", messageOf);
      expect([Number(stdout) > 1, exit, error, relative]).toEqual([
        true,
        { exitCode: 3 },
        expect.stringContaining('exec: "nope": executable file not found in $PATH'),
        expect.stringContaining('exec: "./nope": stat ./nope: no such file or directory'),
      ]);
      expect(processesOf(container)).toEqual(["1"]);
    });
  });

  test("the container cannot look into the engine's memory while a program starts", async () => {
    const spy: TestSpec = {
      argv: ["/opt/bun", "-e", SPY],
      mounts: [{ kind: "bind", source: process.execPath, target: "/opt/bun", readOnly: true }],
    };
    const { container, logPath } = await world.start(spy);
    while (!readLog(logPath).stdout.includes("looking")) await Bun.sleep(1);
    for (let round = 0; round < 100; round++) await (await execIn(container, ["true"])).exited;
    container.kill(9);
    await container.exited;
    expect(readLog(logPath).stdout).toEqual(["looking"]);
    // What a launch takes away it gives back: 1 is SUID_DUMP_USER.
    expect(world.launcher.call("prctl", [3, 0, 0, 0, 0])).toBe(1);
  });
});

function iterate(stream: ExecProcess["stdout"]): AsyncIterator<Uint8Array> {
  if (stream === undefined) throw new Error("no stream");
  return stream[Symbol.asyncIterator]();
}

/** In the container's pid namespace. */
function processesOf({ pid }: RunningContainer): readonly string[] {
  return readdirSync(`/proc/${pid}/root/proc`).filter((name) => /^\d+$/.test(name));
}

function isBlockedInWrite(container: RunningContainer): boolean {
  return processesOf(container).some((pid) => {
    const at = readFileSync(`/proc/${container.pid}/root/proc/${pid}/wchan`, "utf8");
    return at.includes("pipe_write");
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canRunContainers, openWorld, readLog, type TestWorld } from "./container.test-support.ts";
import { loadLauncher } from "./launcher.ts";
import { ContainerStartError } from "./sandbox.ts";

describe.if(canRunContainers())("createContainerRuntime()", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  async function startError(argv: readonly string[], more = {}): Promise<string> {
    try {
      await world.start({ argv, ...more });
    } catch (error) {
      if (error instanceof ContainerStartError) return `${error.reason}: ${error.message}`;
      throw error;
    }
    return "started";
  }

  describe("exit status", () => {
    test.each([
      ["exit 0", 0],
      ["exit 3", 3],
      ["trap 'exit 143' TERM; kill -TERM $$; exit 1", 143],
      ["sh -c 'kill -9 $$'", 137],
      ["sh -c 'exit 127'", 127],
    ])("start() tells the exit code of %j [S6]", async (script, exitCode) => {
      expect((await world.sh(script)).exitCode).toBe(exitCode);
    });

    test("kill() reaches process 1: SIGTERM runs its trap, SIGKILL is 137, and later calls are ignored [T11, S6]", async () => {
      const gentle = await world.start({
        argv: ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"],
      });
      const hard = await world.start({ argv: ["sleep", "1000"] });
      while (readLog(gentle.logPath).stdout.length === 0) await Bun.sleep(2);
      gentle.container.kill(15);
      hard.container.kill(9);
      expect(await gentle.container.exited).toMatchObject({ exitCode: 7, oomKilled: false });
      expect(await hard.container.exited).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false });
      gentle.container.kill(9);
    });

    test("start() names the process by pid and start time", async () => {
      const { container } = await world.start({ argv: ["sleep", "1000"] });
      const fields = readFileSync(`/proc/${container.pid}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ");
      expect(container.startTime).toBe(fields[19] ?? "");
      container.kill(9);
      await container.exited;
    });

    test("a signal reaches process 1 only, and SIGKILL ends the whole container [T11]", async () => {
      const told = (name: string) => `sh -c 'trap "echo ${name}" TERM; while :; do sleep 0.01; done' &`;
      const script = `trap 'echo one' TERM; ${told("child")} setsid ${told("daemon")} echo up; while :; do wait; done`;
      const { container, logPath } = await world.start({ argv: ["sh", "-c", script] });
      const { stdout } = await saidBy(logPath, "up");
      expect(stdout).toEqual(["up"]);
      container.kill(15);
      await saidBy(logPath, "one");
      container.kill(9);
      // The pipe ends when nobody can write to it any more.
      expect((await container.exited).exitCode).toBe(137);
      expect(readLog(logPath).stdout).toEqual(["up", "one"]);
    });

    test("a container that ignores SIGTERM and writes without end is ended from outside", async () => {
      const script = "trap '' TERM; echo up; while :; do echo 0123456789abcdef; done";
      const { container, logPath } = await world.start({ argv: ["sh", "-c", script] });
      await saidBy(logPath, "up");
      container.kill(15);
      await saidBy(logPath, "0123456789abcdef");
      process.kill(container.pid, "SIGKILL");
      expect(await container.exited).toMatchObject({ exitCode: 137, signal: 9 });
    });

    test("a container that is started again has none of the files that it wrote [R15]", async () => {
      const volume = { source: world.newFolder(), target: "/data", kind: "bind", readOnly: false } as const;
      const script = "ls /data /srv; touch written /data/kept";
      const runs = [];
      for (let run = 0; run < 2; run++)
        runs.push((await world.sh(script, { mounts: [volume], workingDir: "/srv" })).stdout);
      expect(runs).toEqual([
        ["/data:", "", "/srv:"],
        ["/data:", "kept", "", "/srv:"],
      ]);
    });

    test("processes that the container left behind end with its process 1", async () => {
      const { exitCode } = await world.sh(
        "setsid sleep 91919.5 & (setsid sleep 91919.5 &) ; sleep 0.05; exit 0",
      );
      const commands = readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, "utf8");
          } catch {
            return "";
          }
        });
      expect([exitCode, commands.filter((command) => command.includes("91919.5"))]).toEqual([0, []]);
    });
  });

  describe("programs that do not start", () => {
    test("start() says what runc says, as a StartError", async () => {
      const bin = world.newFolder();
      writeFileSync(join(bin, "plain"), "x");
      writeFileSync(join(bin, "text"), "no program\n", { mode: 0o755 });
      writeFileSync(join(bin, "lost"), "#!/no/such/shell\n", { mode: 0o755 });
      const more = {
        env: ["PATH=/tools:/usr/bin"],
        mounts: [{ source: bin, target: "/tools", kind: "bind", readOnly: true }],
      };
      const prefix = "StartError: unable to start container process: ";
      expect({
        name: await startError(["nope"], more),
        path: await startError(["/nope"], more),
        relative: await startError(["./nope"], more),
        notExecutable: await startError(["/tools/plain"], more),
        notInPath: await startError(["plain"], more),
        noFormat: await startError(["text"], more),
        noInterpreter: await startError(["/tools/lost"], more),
        folder: await startError(["/tools"], more),
        nothing: await startError([], more),
        emptyPath: await startError(["true"], { ...more, env: ["PATH="] }),
      }).toEqual({
        name: `${prefix}exec: "nope": executable file not found in $PATH`,
        path: `${prefix}exec: "/nope": stat /nope: no such file or directory`,
        relative: `${prefix}exec: "./nope": stat ./nope: no such file or directory`,
        notExecutable: `${prefix}exec: "/tools/plain": permission denied`,
        notInPath: `${prefix}exec: "plain": executable file not found in $PATH`,
        noFormat: `${prefix}exec /tools/text: exec format error`,
        noInterpreter: `${prefix}exec /tools/lost: no such file or directory`,
        folder: `${prefix}exec: "/tools": permission denied`,
        nothing: `${prefix}no command specified`,
        emptyPath: `${prefix}exec: "true": executable file not found in $PATH`,
      });
    });

    test("start() says that the image is gone", async () => {
      const gone = join(world.folder, "gone");
      expect(await startError(["true"], { rootfs: { kind: "image", path: gone } })).toBe(
        `CreateContainerError: the unpacked image is gone: no folder "${gone}"`,
      );
    });
  });

  describe("the process", () => {
    test("start() gives PATH and HOME where there are none, the working directory, umask 022 and no open descriptors", async () => {
      const { stdout } = await world.sh(
        "echo $PATH $HOME $A; pwd; umask; echo $$; cd /proc/self/fd; echo *; hostname",
        {
          env: ["A=b c"],
          workingDir: "/srv/dir",
        },
      );
      expect(stdout).toEqual([
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /root b c",
        "/srv/dir",
        "0022",
        "1",
        expect.stringMatching(/^0 1 2( [3-9]| 10)?$/),
        "pod",
      ]);
    });

    test("start() keeps PATH and HOME of the pod, and looks argv up there", async () => {
      const { stdout } = await world.sh("echo $PATH $HOME", { env: ["PATH=/nowhere:/usr/bin", "HOME=/h"] });
      expect(stdout).toEqual(["/nowhere:/usr/bin /h"]);
    });

    test("standard input is at its end", async () => {
      expect(await world.sh("cat; readlink /proc/self/fd/0")).toEqual({
        exitCode: 0,
        stdout: ["/dev/null"],
        stderr: [],
      });
    });

    test("/dev/stdout and /dev/stderr can be opened again, also by another user", async () => {
      const script = "echo a > /dev/stdout; echo b > /dev/stderr; echo c >> /proc/self/fd/1; printf d";
      const said = { exitCode: 0, stdout: ["a", "c", "d"], stderr: ["b"] };
      expect(await world.sh(script)).toEqual(said);
      if (world.ids.isUid(101))
        expect(await world.sh(script, { user: { user: "101", supplementalGroups: [] } })).toEqual(said);
    });
  });

  test("start() leaves nothing open, mounted or lying about, whether the container started or not", async () => {
    const state = () => ({
      fds: readdirSync("/proc/self/fd").length,
      mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").length,
      files: readdirSync(world.runFolder),
      children: loadLauncher().tryCall("wait4", [-1, 0, 1, 0]),
    });
    await world.sh("true", { rootfs: world.host });
    const before = state();
    await world.sh("true", {
      mounts: [{ source: world.newFolder(), target: "/a", kind: "bind", readOnly: false }],
    });
    await world.sh("true", { rootfs: world.host });
    await startError(["nope"]);
    await startError(["true"], {
      mounts: [{ source: "/no/such", target: "/a", kind: "bind", readOnly: false }],
    });
    await startError(["true"], { user: { user: "nobody-there", supplementalGroups: [] } });
    const after = state();
    expect(after).toEqual({ ...before, fds: expect.any(Number) });
    expect(after.fds).toBeLessThanOrEqual(before.fds);
    // The holder of the namespaces still runs: 0, not ECHILD.
    expect(before.children).toBe(0);
    expect(before.files.filter((name) => !["mnt", "owned"].includes(name))).toEqual([]);
  });

  test("40 containers at once each get their own log and exit code", async () => {
    const ends = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        world.sh(`echo ${i}; exit ${i}`, { rootfs: i % 2 === 0 ? world.host : world.image }),
      ),
    );
    expect(ends).toEqual(
      Array.from({ length: 40 }, (_, i) => ({ exitCode: i, stdout: [String(i)], stderr: [] })),
    );
  });

  test("a container ends when its engine is killed", async () => {
    // Ends by itself, too, should this test be stopped half-way.
    const script = `
      import { openWorld } from ${JSON.stringify(join(import.meta.dir, "container.test-support.ts"))};
      const world = openWorld();
      const { container } = await world.start({ argv: ["sleep", "1000"] });
      console.log(JSON.stringify({ pid: container.pid, folder: world.folder }));
      for await (const _ of Bun.stdin.stream()) continue;
      process.exit(1);`;
    const engine = Bun.spawn([process.execPath, "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      const { value } = await engine.stdout.getReader().read();
      const { pid, folder } = JSON.parse(new TextDecoder().decode(value)) as { pid: number; folder: string };
      // The launcher is back a moment before the kernel shows the new arguments.
      await until(() => commandOf(pid) === "sleep\u00001000\u0000");
      engine.kill("SIGKILL");
      await engine.exited;
      await until(() => commandOf(pid) === "");
      rmSync(folder, { recursive: true, force: true });
    } finally {
      engine.kill("SIGKILL");
    }
  });
});

async function saidBy(logPath: string, line: string): Promise<ReturnType<typeof readLog>> {
  await until(() => readLog(logPath).stdout.includes(line));
  return readLog(logPath);
}

/** Arguments of a process, each with a NUL behind it; empty when it is gone or a zombie. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

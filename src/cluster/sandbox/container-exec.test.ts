import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { canRunContainers, openWorld, type TestSpec, type TestWorld } from "./container.test-support.ts";
import {
  bytesOf,
  execIn,
  filesClosed,
  finished,
  inContainer,
  noBytes,
  openFiles,
  type Finished,
} from "./container-exec.test-support.ts";
import { ContainerStartError } from "./sandbox.ts";

describe.if(canRunContainers())("RunningContainer.exec()", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  function sh(script: string, spec: TestSpec = {}): Promise<Finished> {
    return inContainer(world, spec, async (container) =>
      finished(await execIn(container, ["sh", "-c", script])),
    );
  }

  async function execError(argv: readonly string[], spec: TestSpec = {}): Promise<string> {
    return inContainer(world, spec, async (container) => {
      try {
        await execIn(container, argv);
      } catch (error) {
        if (error instanceof ContainerStartError) return `${error.reason}: ${error.message}`;
        throw error;
      }
      return "started";
    });
  }

  test("runs beside process 1, in its namespaces, root, working directory and environment [N1]", async () => {
    const script = "for n in net ipc uts mnt pid; do readlink /proc/self/ns/$n; done; pwd; echo $A; ls /";
    const spec = { env: ["A=b c"], workingDir: "/srv/dir" };
    const [inside, process1] = await inContainer(world, { ...spec }, async (container) => [
      await finished(await execIn(container, ["sh", "-c", script])),
      ["net", "ipc", "uts", "mnt", "pid"].map((name) => linkOf(`/proc/${container.pid}/ns/${name}`)),
    ]);
    expect(inside.stdout.split("\n").slice(0, 7)).toEqual([...process1, "/srv/dir", "b c"]);
  });

  test("has the user, groups, capabilities and limits of process 1", async () => {
    const script =
      "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Umask|SigIgn|SigBlk)' /proc/$1/status; cat /proc/$1/oom_score_adj /proc/$1/cgroup";
    const spec: TestSpec = {
      user: world.ids.isUid(101)
        ? { user: "nginx", supplementalGroups: [103] }
        : { user: "0", supplementalGroups: [] },
      capabilities: { add: [], drop: ["NET_RAW"] },
      noNewPrivileges: true,
      oomScoreAdj: 900,
    };
    const [own, first] = await inContainer(world, spec, async (container) => [
      await finished(await execIn(container, ["sh", "-c", script, "sh", "self"])),
      await finished(await execIn(container, ["sh", "-c", script, "sh", "1"])),
    ]);
    expect(own).toEqual(first);
    expect(own.stdout).toContain("NoNewPrivs:\t1\n");
  });

  test.each([
    ["exit 0", { exitCode: 0 }],
    ["exit 3", { exitCode: 3 }],
    ["kill -TERM $$", { exitCode: 143, signal: 15 }],
    ["kill -9 $$", { exitCode: 137, signal: 9 }],
    ["nope", { exitCode: 127 }],
    ["/etc/passwd", { exitCode: 126 }],
  ])("tells how %j ended [S6]", async (script, ended) => {
    expect((await sh(script)).exit).toEqual(ended);
  });

  test("rejects with runc's words when the program cannot be run, and leaves nothing", async () => {
    const prefix = "StartError: OCI runtime exec failed: exec failed: unable to start container process: ";
    const before = openFiles();
    expect({
      name: await execError(["nope"]),
      path: await execError(["/nope"]),
      notExecutable: await execError(["/etc/passwd"]),
      nothing: await execError([]),
    }).toEqual({
      name: `${prefix}exec: "nope": executable file not found in $PATH: unknown`,
      path: `${prefix}exec: "/nope": stat /nope: no such file or directory: unknown`,
      notExecutable: `${prefix}exec: "/etc/passwd": permission denied: unknown`,
      nothing: `${prefix}no command specified: unknown`,
    });
    expect(children()).toBe(0);
    await filesClosed(before);
  });

  test("carries bytes both ways, and stdin.end() is end-of-file", async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const sent = Array.from({ length: 64 }, () => bytes);
    const got = await inContainer(world, {}, async (container) => {
      const process = await execIn(container, ["cat"], { stdin: true });
      const received = process.stdout === undefined ? undefined : bytesOf(process.stdout);
      for (const chunk of sent) await process.stdin?.write(chunk);
      process.stdin?.end();
      return { bytes: await received, exit: await process.exited };
    });
    expect(got.exit).toEqual({ exitCode: 0 });
    expect(Bun.hash(got.bytes ?? "")).toBe(Bun.hash(Buffer.concat(sent)));
  });

  describe("a terminal", () => {
    const SIZE = { width: 120, height: 40 };

    test("is one of the container's own, of the user, with the size that was asked for, and controls the program's session", async () => {
      const user = world.ids.isUid(101) ? "101" : "0";
      const script =
        'tty; stty size; stat -c "%u %a" $(tty); echo $TERM; ps -o tty=,stat= -p $$; echo error >&2';
      const { stdout, stderr, exit } = await inContainer(
        world,
        { user: { user, supplementalGroups: [] }, env: ["TERM=dumb"] },
        async (container) =>
          finished(await execIn(container, ["sh", "-c", script], { tty: true, size: SIZE })),
      );
      expect({ lines: stdout.split("\r\n"), stderr, exit }).toEqual({
        lines: ["/dev/pts/0", "40 120", `${user} 620`, "xterm", "pts/0    Ss+", "error", ""],
        stderr: "",
        exit: { exitCode: 0 },
      });
    });

    test("edits lines and has an end-of-file, also behind half a line", async () => {
      const { stdout, exit } = await inContainer(world, {}, async (container) => {
        const process = await execIn(container, ["sh", "-c", "stty -echo; echo up; exec cat"], {
          tty: true,
          stdin: true,
        });
        let stdout = "";
        for await (const chunk of process.stdout ?? noBytes()) {
          stdout += Buffer.from(chunk).toString();
          if (stdout !== "up\r\n") continue;
          await process.stdin?.write(Buffer.from("one\ntwx\u007fo"));
          process.stdin?.end();
        }
        return { stdout, exit: await process.exited };
      });
      expect({ stdout, exit }).toEqual({ stdout: "up\r\none\r\ntwo", exit: { exitCode: 0 } });
    });

    test("tells the program of another size", async () => {
      const script = "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.01; done";
      const text = await inContainer(world, {}, async (container) => {
        const process = await execIn(container, ["sh", "-c", script], { tty: true, size: SIZE });
        let seen = "";
        for await (const chunk of process.stdout ?? noBytes()) {
          seen += Buffer.from(chunk).toString();
          if (seen === "up\r\n") process.resize({ width: 70_000, height: 7 });
        }
        return seen;
      });
      expect(text).toBe("up\r\n7 65535\r\n");
    });

    test("hangs up when the client has gone", async () => {
      const exit = await inContainer(world, {}, async (container) => {
        const process = await execIn(container, ["sh", "-c", "echo up; exec sleep 1000"], {
          tty: true,
          stdin: true,
        });
        for await (const chunk of process.stdout ?? noBytes()) {
          if (chunk.length > 0) process.detach();
        }
        await process.stdin?.write(Buffer.from("nobody reads this"));
        return process.exited;
      });
      expect(exit).toEqual({ exitCode: 129, signal: 1 });
    });

    test("leaves nothing open when the program does not start", async () => {
      const before = openFiles();
      await inContainer(world, {}, async (container) => {
        await execIn(container, ["nope"], { tty: true, stdin: true }).catch(() => undefined);
      });
      expect(children()).toBe(0);
      await filesClosed(before);
    });
  });

  /** 0: there are some (the holder of the namespaces), and none has ended. */
  function children(): number {
    return world.launcher.tryCall("wait4", [-1, 0, 1, 0]);
  }
});

function linkOf(path: string): string {
  return readlinkSync(path);
}

import { describe, expect, test } from "bun:test";
import { ptr } from "bun:ffi";
import { closeSync, existsSync, readFileSync } from "node:fs";
import * as linux from "./linux-constants.ts";
import { decodeWaitStatus, LaunchError, loadLauncher, makeLauncher, SyscallError } from "./launcher.ts";
import { Program } from "./program.ts";

const SIGSTOP = 19;
const launcher = loadLauncher();

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("start()", () => {
  test("start() returns the pid at execve and wait() gives the exit code", () => {
    const pid = launcher.start(new Program().call("execve", ["/bin/sh", ["sh", "-c", "exit 7"], []]));
    expect(launcher.wait(pid, true)).toEqual({ exitCode: 7 });
  });

  test("start() names the call and the errno that stopped the program, and leaves no process", () => {
    const program = new Program()
      .call("chdir", ["/"])
      .call("mount", ["overlay", "/no such place", "overlay", 0, "lowerdir=/"]);
    const error = thrownBy(() => launcher.start(program));
    expect(error).toBeInstanceOf(LaunchError);
    expect(error).toMatchObject({
      call: "mount(overlay,/no such place)",
      errno: 2,
      errnoName: "ENOENT",
      index: 1,
    });
    expect(launcher.tryCall("wait4", [-1, 0, linux.WNOHANG, 0])).toBe(-10);
  });

  test("start() says which clone flags the kernel refused", () => {
    const error = thrownBy(() => launcher.start(new Program().exit(0), linux.CLONE_NEWUSER | 0x200));
    expect(error).toMatchObject({ call: "clone()", errnoName: "EINVAL", index: -1 });
  });

  test("start() gives the child default signal dispositions and an empty mask", () => {
    const program = new Program();
    const out = program.slot();
    const file = `/tmp/pillion-launcher-${process.pid}`;
    program
      .call("openat", [linux.AT_FDCWD, file, linux.O_CREAT | linux.O_WRONLY, 0o600], { save: out })
      .call("dup3", [out, 1, 0])
      .call("execve", ["/bin/cat", ["cat", "/proc/self/status"], []]);
    launcher.wait(launcher.start(program), true);
    const text = readFileSync(file, "utf8");
    launcher.call("unlinkat", [linux.AT_FDCWD, file, 0]);
    expect(text.match(/^Sig(Blk|Ign|Cgt):.*$/gm)).toEqual([
      "SigBlk:\t0000000000000000",
      "SigIgn:\t0000000000000000",
      "SigCgt:\t0000000000000000",
    ]);
  });

  test("start() leaves the engine's memory dumpable when the child changed its user", () => {
    const program = new Program().call("setresuid", [65534, 65534, 65534]).exit(0);
    // Rootless with one uid: EINVAL, and nothing to prove.
    try {
      launcher.run(program);
    } catch (error) {
      expect(error).toMatchObject({ errnoName: "EINVAL" });
    }
    expect(launcher.call("prctl", [3, 0, 0, 0, 0])).toBe(1);
  });

  test.each([false, true])(
    "start() lets a program go on in a second child (in a copy of the memory: %p)",
    (copiesMemory) => {
      const memory = new Uint8Array(8);
      const program = new Program().closeFiles().fork({ copiesMemory });
      // `prctl(PR_GET_CHILD_SUBREAPER)` writes an int.
      program.call("prctl", [36, 77, 0, 0, 0]).call("prctl", [37, ptr(memory), 0, 0, 0]);
      program.call("execve", ["/bin/sh", ["sh", "-c", "exit 9"], []]);
      expect(launcher.wait(launcher.start(program), true)).toEqual({ exitCode: 9 });
      expect(memory[0] === 0).toBe(copiesMemory);
    },
  );

  test.each([false, true])(
    "start() says what stopped a second child (a copy of the memory: %p)",
    (copiesMemory) => {
      const program = new Program().closeFiles().fork({ copiesMemory });
      const slot = program.slot();
      program.call("chdir", ["/no such place"], { save: slot, ignore: "all" }).call("chdir", ["/no/such"]);
      const error = thrownBy(() => launcher.start(program));
      expect(error).toMatchObject({ call: "chdir(/no/such)", errnoName: "ENOENT" });
      expect(error instanceof LaunchError && error.slot(slot)).toBe(-2);
      expect(launcher.tryCall("wait4", [-1, 0, linux.WNOHANG, 0])).toBe(-10);
    },
  );

  test.each([false, true])(
    "start() ends a program that somebody stops before its execve, instead of waiting with it (second child: %p)",
    (hasSecond) => {
      const program = new Program();
      const own = program.slot();
      if (hasSecond) program.closeFiles().fork();
      program.call("getpid", [], { save: own }).call("kill", [own, SIGSTOP]);
      program.call("execve", ["/bin/sh", ["sh", "-c", "exit 0"], []]);
      expect(thrownBy(() => launcher.start(program))).toMatchObject({ errnoName: "ECANCELED" });
      expect(launcher.tryCall("wait4", [-1, 0, linux.WNOHANG, 0])).toBe(-10);
    },
  );

  test("start() ends a program that waits for something for too long", () => {
    const program = new Program();
    const ends = new Int32Array(new ArrayBuffer(8));
    launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC]);
    program.call("read", [ends[0] ?? -1, new Uint8Array(1), 1]).exit(0);
    expect(thrownBy(() => makeLauncher(20).start(program))).toMatchObject({ errnoName: "ECANCELED" });
    for (const end of ends) closeSync(end);
  });

  test("start() keeps arguments alive and intact in a program of 2000 ops with 4 KiB of text each", () => {
    const program = new Program();
    const text = "é".repeat(1000);
    for (let i = 0; i < 2000; i++) program.call("chdir", [`/${text}${i}`], { ignore: "all" });
    program.call("execve", ["/bin/sh", ["sh", "-c", `[ "$1" = "$X" ] && exit 3`, "sh", text], [`X=${text}`]]);
    Bun.gc(true);
    expect(launcher.wait(launcher.start(program), true)).toEqual({ exitCode: 3 });
  });
});

describe("run()", () => {
  test("run() takes branches on errors and on success, and hands results on in slots", () => {
    const program = new Program();
    const [bad, good, fd] = [program.label(), program.label(), program.slot()];
    program
      .call("openat", [linux.AT_FDCWD, "/nope", 0, 0], { save: fd, ignore: 2 })
      .call("openat", [linux.AT_FDCWD, "/dev/null", linux.O_WRONLY, 0], { save: fd, onSuccess: good })
      .exit(1)
      .place(good)
      .call("write", [fd, "x", 1])
      .call("write", [-1, "x", 1], { ignore: 9, orElse: bad })
      .exit(2)
      .place(bad)
      .exit(5);
    expect(launcher.run(program)).toEqual({ exitCode: 5 });
  });

  test("run() refuses a program that could run for ever", () => {
    const program = new Program();
    const start = program.label();
    program.place(start).call("getpid", [], { onSuccess: start });
    expect(() => launcher.run(program)).toThrow(RangeError);
  });

  test("run() reports an errno that the op does not ignore, and slots stay readable", () => {
    const program = new Program();
    const [first, second] = [program.slot(), program.slot()];
    program
      .call("close", [-1], { save: first, ignore: "all" })
      .call("openat", [linux.AT_FDCWD, "/nope", 0, 0], { save: second, ignore: 13, name: "open the file" });
    const error = thrownBy(() => launcher.run(program));
    expect(error).toBeInstanceOf(LaunchError);
    if (!(error instanceof LaunchError)) return;
    expect([error.message, error.slot(first), error.slot(second)]).toEqual([
      "open the file: no such file or directory (ENOENT)",
      -9,
      -2,
    ]);
  });

  test("run() ends with 0 when the program runs off its end", () => {
    expect(launcher.run(new Program().call("chdir", ["/"]))).toEqual({ exitCode: 0 });
  });

  test("run() reports the signal of a child that was killed in its program", () => {
    const program = new Program();
    const pid = program.slot();
    program.call("getpid", [], { save: pid }).call("kill", [pid, 9]);
    expect(launcher.run(program)).toEqual({ exitCode: 137, signal: 9 });
  });
});

describe("call()", () => {
  test("call() throws the name and the errno, tryCall() answers it", () => {
    const error = thrownBy(() => launcher.call("umount2", ["/no such place", 0]));
    expect(error).toBeInstanceOf(SyscallError);
    expect(error).toMatchObject({ call: "umount2(/no such place)", errnoName: "ENOENT" });
    expect(launcher.tryCall("umount2", ["/no such place", 0])).toBe(-2);
  });

  test("call() refuses text with a NUL instead of cutting it", () => {
    expect(() => launcher.call("chdir", ["/tmp\0/x"])).toThrow("it holds a NUL");
  });

  test("wait() answers undefined while the child runs", () => {
    const pid = launcher.start(new Program().call("execve", ["/bin/sleep", ["sleep", "60"], []]));
    expect(launcher.wait(pid)).toBeUndefined();
    launcher.call("kill", [pid, 15]);
    expect(launcher.wait(pid, true)).toEqual({ exitCode: 143, signal: 15 });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test("netlink: an acknowledged request succeeds, a refused one fails with the kernel's errno", () => {
    const socket = launcher.call("socket", [16, 3 | linux.O_CLOEXEC, 0]);
    const request = (type: number, body: readonly number[]) => {
      const words = new Uint32Array(4 + body.length);
      words.set([words.byteLength, type | (5 << 16), 1, 0, ...body]);
      return new Uint8Array(words.buffer);
    };
    // RTM_SETLINK of interface 1 with no change; RTM_SETLINK of an interface that does not exist.
    const good = request(19, [0, 1, 0, 0]);
    const bad = request(19, [0, 999_999, 0, 0]);
    expect(launcher.tryCall("netlink", [socket, bad, bad.length])).toBeOneOf([-19, -1]);
    const answer = launcher.tryCall("netlink", [socket, good, good.length]);
    expect([0, -1]).toContain(answer);
    closeSync(socket);
  });
});

test("loadLauncher() says what to do when it cannot compile", () => {
  const script = `
    const { loadLauncher } = await import(${JSON.stringify(import.meta.resolve("./launcher.ts"))});
    try { loadLauncher(); } catch (error) { console.log(error.code, error.message, error.fix); }`;
  const run = Bun.spawnSync([process.execPath, "-e", script], { env: { TMPDIR: "/no/such/place" } });
  expect(run.stdout.toString()).toMatch(
    /^E_LAUNCHER Cannot start pods: Bun .* did not compile the launcher: .*ENOENT.* "\/no\/such\/place" can be written to\n$/,
  );
});

test("decodeWaitStatus() follows wait(2)", () => {
  expect([0, 0x0300, 9, 15, 0x8b].map(decodeWaitStatus)).toEqual([
    { exitCode: 0 },
    { exitCode: 3 },
    { exitCode: 137, signal: 9 },
    { exitCode: 143, signal: 15 },
    { exitCode: 139, signal: 11 },
  ]);
});

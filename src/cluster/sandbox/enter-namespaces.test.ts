import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ptr } from "bun:ffi";
import { namespaceCommand, type TryCommand } from "./enter-namespaces.ts";
import { loadLauncher } from "./launcher.ts";
import { AT_FDCWD, O_CREAT, O_WRONLY, PR_SET_NO_NEW_PRIVS } from "./linux-constants.ts";
import { type MachineFacts, readMachineFacts } from "./probe-facts.ts";
import { Program } from "./program.ts";
import { syscallNumber } from "./syscall-numbers.ts";

const FACTS: MachineFacts = {
  ...readMachineFacts(),
  uid: 1000,
  capabilities: 0n,
  unshare: "/usr/bin/unshare",
  newuidmap: true,
  subordinateIds: true,
  seccompFilter: false,
  inContainer: false,
};
const MOUNTS = ["--mount", "--propagation", "slave"];
const ONE_ID = ["/usr/bin/unshare", "--user", "--map-root-user", ...MOUNTS];
const RANGE = ["/usr/bin/unshare", "--user", "--map-root-user", "--map-auto", ...MOUNTS];

const works: TryCommand = () => ({ exitCode: 0, output: "" });
const refuses: TryCommand = () => ({
  exitCode: 1,
  output: "unshare: unshare failed: Operation not permitted\n",
});

describe("the way in", () => {
  test("root needs a mount namespace only", () => {
    const facts = { ...FACTS, uid: 0, capabilities: 0x1ff_ffff_ffffn };
    expect(namespaceCommand(["/bin/x", "a b"], facts, works)).toEqual([
      "/usr/bin/unshare",
      ...MOUNTS,
      "/bin/x",
      "a b",
    ]);
  });

  test("an ordinary user with a range of ids gets all of them", () => {
    expect(namespaceCommand(["/bin/x"], FACTS, works)).toEqual([...RANGE, "/bin/x"]);
  });

  test("an unshare without --map-auto, or a newuidmap that refuses, leaves one id", () => {
    const old: TryCommand = (argv) => (argv.includes("--map-auto") ? refuses(argv) : works(argv));
    expect(namespaceCommand(["/bin/x"], FACTS, old)).toEqual([...ONE_ID, "/bin/x"]);
  });

  test("without newuidmap or a range there is one id, and nothing else is tried", () => {
    for (const missing of [{ newuidmap: false }, { subordinateIds: false }]) {
      expect(namespaceCommand(["/bin/x"], { ...FACTS, ...missing }, works)).toEqual([...ONE_ID, "/bin/x"]);
    }
  });

  test("root of a container without CAP_SYS_ADMIN goes the way of ordinary users", () => {
    const facts = { ...FACTS, uid: 0, capabilities: 0xa804_25fbn, newuidmap: false };
    expect(namespaceCommand(["/bin/x"], facts, works)).toEqual([...ONE_ID, "/bin/x"]);
  });

  test("when every way is refused, the problem says why", () => {
    expect(() => namespaceCommand(["/bin/x"], { ...FACTS, maxUserNamespaces: 0 }, refuses)).toThrow(
      'Cannot run pods on this machine: "user.max_user_namespaces" is 0',
    );
    expect(() => namespaceCommand(["/bin/x"], { ...FACTS, unshare: undefined }, works)).toThrow(
      '"unshare" is not installed',
    );
    expect(() => namespaceCommand(["/bin/x"], { ...FACTS, platform: "darwin" }, works)).toThrow('"darwin"');
  });
});

/** argv that runs a command as an ordinary user of this machine. */
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
const ways: [string, string[]][] = [["as this user", namespaceCommand([])]];
if (process.geteuid?.() === 0) {
  const facts = { ...readMachineFacts(), uid: 65_534, capabilities: 0n, newuidmap: false };
  ways.push(["as an ordinary user", [...asNobody, ...namespaceCommand([], facts, works)]]);
}

describe.each(ways)("for real, %s", (_, prefix) => {
  test("argv is root in a mount namespace of its own and in the network namespace of the machine", async () => {
    const script = `id -u; readlink /proc/self/ns/mnt /proc/self/ns/net; mount -t tmpfs none /mnt && echo mounted`;
    const run = Bun.spawn([...prefix, "/bin/sh", "-c", script], { stdout: "pipe" });
    const [uid, mounts, network, mounted] = (await run.stdout.text()).split("\n");
    expect(uid).toBe("0");
    expect(mounts).not.toBe(linkOf("mnt"));
    expect(network).toBe(linkOf("net"));
    expect(mounted).toBe("mounted");
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toMatch(/ \/mnt .* - tmpfs none /);
  });

  test("argv keeps the pid, so that signals and its exit code pass without a process between", async () => {
    const script = "trap 'exit 5' TERM; echo $$; while :; do read line; done";
    const run = Bun.spawn([...prefix, "/bin/sh", "-c", script], { stdin: "pipe", stdout: "pipe" });
    const { value } = await run.stdout.getReader().read();
    expect(Number(new TextDecoder().decode(value))).toBe(run.pid);
    run.kill("SIGTERM");
    expect(await run.exited).toBe(5);
  });
});

function linkOf(namespace: string): string {
  return new TextDecoder().decode(Bun.spawnSync(["readlink", `/proc/self/ns/${namespace}`]).stdout).trim();
}

describe("where namespaces are forbidden", () => {
  const ask = [
    process.execPath,
    "-e",
    `import { namespaceCommand } from ${JSON.stringify(join(import.meta.dirname, "enter-namespaces.ts"))};
     try { namespaceCommand(["/bin/true"]); console.log("allowed"); }
     catch (problem) { console.log(problem.code + " " + problem.message + " " + problem.fix); }`,
  ];
  const env = [`PATH=${process.env["PATH"]}`];

  test("a limit of 0 user and mount namespaces is found out by the real kernel", async () => {
    const limits = "echo 0 >/proc/sys/user/max_user_namespaces; echo 0 >/proc/sys/user/max_mnt_namespaces";
    const [unshare = "", ...words] = ONE_ID;
    const run = Bun.spawn([unshare, ...words, "/bin/sh", "-c", `${limits}; exec "$@"`, "sh", ...ask], {
      stdout: "pipe",
    });
    const said = await run.stdout.text();
    expect(said).toContain(
      'E_NO_NAMESPACES Cannot run pods on this machine: "user.max_user_namespaces" is 0',
    );
    expect(said).toContain("sysctl -w user.max_user_namespaces=15000");
  });

  test("a seccomp filter against unshare(2), as Docker's, is found out by the real kernel", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pillion-seccomp-"));
    const launcher = loadLauncher();
    const program = new Program();
    const out = program.slot();
    const filter = seccompFilter(syscallNumber("unshare"));
    program
      .call("openat", [AT_FDCWD, join(folder, "out"), O_CREAT | O_WRONLY, 0o600], { save: out })
      .call("dup3", [out, 1, 0])
      .call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0])
      .call("prctl", [PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter.program, 0, 0])
      .call("execve", [process.execPath, ask, env]);
    try {
      launcher.wait(launcher.start(program), true);
      const said = readFileSync(join(folder, "out"), "utf8");
      expect(said).toContain(
        "E_NO_NAMESPACES Cannot run pods on this machine: the container that this runs in forbids",
      );
      expect(said).toContain("docker run --privileged");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;

/** A filter that answers EPERM to one system call; `program` is struct sock_fprog, `code` must outlive its use. */
function seccompFilter(number: number): { program: Uint8Array; code: Uint8Array } {
  const LOAD = 0x20;
  const JUMP_IF_EQUAL = 0x15;
  const RETURN = 0x06;
  const instructions = [
    { code: LOAD, skip: 0, value: 0 },
    { code: JUMP_IF_EQUAL, skip: 1, value: number },
    { code: RETURN, skip: 0, value: 0x0005_0001 },
    { code: RETURN, skip: 0, value: 0x7fff_0000 },
  ];
  const code = new Uint8Array(instructions.length * 8);
  const view = new DataView(code.buffer);
  for (const [index, { code: opcode, skip, value }] of instructions.entries()) {
    view.setUint16(index * 8, opcode, true);
    view.setUint8(index * 8 + 3, skip);
    view.setUint32(index * 8 + 4, value, true);
  }
  const program = new Uint8Array(16);
  const programView = new DataView(program.buffer);
  programView.setUint16(0, instructions.length, true);
  programView.setBigUint64(8, BigInt(ptr(code)), true);
  return { program, code };
}

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { namespaceCommand, type TryCommand } from "./enter-namespaces.ts";
import { type MachineFacts, readMachineFacts } from "./probe-facts.ts";

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

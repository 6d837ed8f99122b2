/** Puts the engine into namespaces of its own, so that what it mounts is seen by nobody else on this machine. */
import { readlinkSync } from "node:fs";
import { Problem } from "../../kernel/problem.ts";
import { type MachineFacts, readMachineFacts } from "./probe-facts.ts";
import { noNamespaces, platformProblem } from "./tier.ts";

/** CAP_CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_ADMIN 12, SYS_CHROOT 18, SYS_PTRACE 19, SYS_ADMIN 21, MKNOD 27. */
const NEEDED_CAPABILITIES = [0, 1, 3, 5, 6, 7, 12, 18, 19, 21, 27].reduce(
  (bits, bit) => bits | (1n << BigInt(bit)),
  0n,
);

/**
 * Mounts of the machine come and go inside too (`slave`), but ours never show outside. Were it `private`, a USB stick that
 * the user unmounts would stay busy until the engine ends.
 */
const OWN_MOUNTS = ["--mount", "--propagation", "slave"];

interface Attempt {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs a command to its end; the tests hand in another one. */
export type TryCommand = (argv: readonly string[]) => Attempt;

/**
 * The command that runs `argv` (absolute path first) in its own mount namespace, and for an ordinary user in a user namespace
 * in which that user is root; the network namespace stays the machine's. unshare(1) becomes `argv` without a process
 * between: pid, signals and exit code are those of `argv`. Tries it out first, 3 ms, and throws a Problem with
 * code E_UNSUPPORTED_PLATFORM or E_NO_NAMESPACES where it does not work.
 */
export function namespaceCommand(
  argv: readonly string[],
  facts: MachineFacts = readMachineFacts(),
  tryCommand: TryCommand = runToEnd,
): string[] {
  const unsupported = platformProblem(facts);
  if (unsupported !== undefined) throw unsupported;
  if (facts.unshare === undefined) throw noNamespaces(facts, "unshare: not found");
  let detail = "";
  for (const flags of waysIn(facts)) {
    const prefix = [facts.unshare, ...flags];
    const attempt = tryCommand([...prefix, "true"]);
    if (attempt.exitCode === 0) return [...prefix, ...argv];
    detail = attempt.output.trim().split("\n").at(-1) ?? "";
  }
  throw noNamespaces(facts, detail);
}

/**
 * The command that runs `argv` in the namespaces of a process that an earlier `namespaceCommand` has led to. nsenter(1)
 * becomes `argv` without a process between. The user keeps the id, which is root in there.
 */
export function joinCommand(pid: number, argv: readonly string[]): string[] {
  const nsenter = Bun.which("nsenter");
  if (nsenter === null) {
    throw new Problem({
      code: "E_PROGRAM_MISSING",
      message: 'Cannot go on with the pods that run: the program "nsenter" is not on PATH',
      fix: "Install util-linux, or add its folder to PATH; or end the pods with `kill` and start anew",
    });
  }
  const userOf = (name: string | number) => readlinkSync(`/proc/${name}/ns/user`);
  const user = userOf(pid) === userOf("self") ? [] : ["--user", "--preserve-credentials"];
  return [nsenter, "--target", String(pid), ...user, "--mount", "--", ...argv];
}

/**
 * Shows the program to itself through a read-only mount, in the mount namespace of `namespaceCommand`: a container whose
 * entrypoint is `/proc/self/exe` gets hold of the engine's own file, and must not write to it (CVE-2019-5736).
 * In a user namespace a mount keeps the restrictions it had, which have to be named again.
 */
export function readOnlyProgram([program = "", ...args]: readonly string[]): string[] {
  const script = `mount --bind "$0" "$0" &&
{ mount -o remount,bind,ro "$0" || mount -o remount,bind,ro,nosuid "$0" || mount -o remount,bind,ro,nosuid,nodev "$0"; } 2>/dev/null &&
exec "$0" "$@"`;
  return ["/bin/sh", "-c", script, program, ...args];
}

/** Flags of unshare(1), the way with the fewest limits first. */
function waysIn(facts: MachineFacts): readonly (readonly string[])[] {
  const asRoot = OWN_MOUNTS;
  const withOneId = ["--user", "--map-root-user", ...OWN_MOUNTS];
  const withRange = ["--user", "--map-root-user", "--map-auto", ...OWN_MOUNTS];
  const ways: (readonly string[])[] = [];
  if ((facts.capabilities & NEEDED_CAPABILITIES) === NEEDED_CAPABILITIES) ways.push(asRoot);
  if (facts.newuidmap && facts.subordinateIds) ways.push(withRange);
  // Root of a container that keeps back capabilities gets them in a user namespace like everybody else.
  ways.push(withOneId);
  return ways;
}

function runToEnd(argv: readonly string[]): Attempt {
  const { exitCode, stderr } = Bun.spawnSync([...argv], { stdio: ["ignore", "ignore", "pipe"] });
  return { exitCode, output: stderr.toString() };
}

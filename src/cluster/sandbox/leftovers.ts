/** Remembers every process of the cluster on disk, so that a killed engine leaves nothing that cannot be found again. */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, Problem } from "../../kernel/problem.ts";
import { hurryCgroups, reapCgroups, recordFile } from "./cgroups/cgroup-records.ts";
import { childrenOf } from "../../lib/process-children.ts";
import { isRunning, type ProcessIdentity, startTimeOf } from "../../lib/process-identity.ts";

/** How long a killed process may take to end before it is reported, milliseconds. */
const DEATH_TIMEOUT_MS = 5_000;
const POLL_MS = 2;

/** `PID-STARTTIME-PIDNAMESPACE-BOOTID`: the name says it all, so creating the file is the whole, atomic, record. */
const RECORD_NAME = /^(?<pid>[1-9]\d*)-(?<startTime>\d+)-(?<namespace>\d+)-(?<boot>[\da-f-]{36})$/;

export interface ProcessRecords {
  /**
   * Writes down a process before it counts as started; `what` is for people, `details` for the engine that adopts it. Returns
   * its identity, or undefined when it has ended already.
   */
  add(pid: number, what: string, details?: object): ProcessIdentity | undefined;
  /** Forgets a process that has ended and was waited for. */
  remove(identity: ProcessIdentity): void;
}

export interface Leftovers {
  /** Processes of an earlier engine that were still running and have been ended. */
  readonly killed: number;
}

export interface RecordedProcess {
  readonly identity: ProcessIdentity;
  readonly what: string;
  readonly details: unknown;
}

/** The folder of `stateDir` in which the sandbox writes; nobody else does. */
export function sandboxFolder(stateDir: string): string {
  return join(stateDir, "sandbox");
}

function recordFolder(stateDir: string): string {
  return join(sandboxFolder(stateDir), "processes");
}

/** Opens the records of `stateDir` for an engine. Call `reapLeftovers` first. */
export function openProcessRecords(stateDir: string): ProcessRecords {
  const folder = recordFolder(stateDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const era = currentEra();
  const pathOf = ({ pid, startTime }: ProcessIdentity) => join(folder, `${pid}-${startTime}-${era}`);
  return {
    add(pid, what, details) {
      const startTime = startTimeOf(pid);
      if (startTime === undefined) return undefined;
      const identity = { pid, startTime };
      const lines = details === undefined ? [what] : [what, JSON.stringify(details)];
      writeFileSync(pathOf(identity), lines.map((line) => `${line}\n`).join(""), { mode: 0o600 });
      return identity;
    },
    remove(identity) {
      rmSync(pathOf(identity), { force: true });
    },
  };
}

/**
 * Ends the processes that an engine which was killed has left, each by pid AND start time, waits until they are gone, and
 * removes the sandbox's folder. Call it only while no engine runs on `stateDir`, and before entering namespaces: only there may an
 * ordinary user end processes of other ids in a user namespace of theirs. Throws a Problem when the folder cannot be
 * read or a process cannot be ended.
 */
export async function reapLeftovers(stateDir: string): Promise<Leftovers> {
  const folder = recordFolder(stateDir);
  const era = currentEra();
  const running: ProcessIdentity[] = [];
  for (const name of recordNames(folder)) {
    const identity = identityFrom(name, era);
    // Another boot or pid namespace: the number means another process here, if any.
    if (identity !== undefined && isRunning(identity)) running.push(identity);
  }
  running.unshift(...inheritedBy(stateDir));
  hurryCgroups(stateDir, recordFile(sandboxFolder(stateDir)));
  for (const identity of running) kill(identity);
  await ended(running);
  await reapCgroups(stateDir, recordFile(sandboxFolder(stateDir)));
  rmSync(sandboxFolder(stateDir), { recursive: true, force: true });
  return { killed: running.length };
}

/** What keepers have: it may have been started in the moment before the engine was killed, and not be written down. */
function inheritedBy(stateDir: string): ProcessIdentity[] {
  const isKeeper = ({ identity, details }: RecordedProcess) =>
    typeof details === "object" &&
    details !== null &&
    "kind" in details &&
    details.kind === "keeper" &&
    isRunning(identity);
  const keepers = readProcessRecords(stateDir).filter(isKeeper);
  return childrenOf(keepers.map(({ identity }) => identity.pid)).flatMap((pid) => {
    const startTime = startTimeOf(pid);
    return startTime === undefined || pid === process.pid ? [] : [{ pid, startTime }];
  });
}

/** What `add` has written down in this boot and pid namespace, also of processes that have ended since. */
export function readProcessRecords(stateDir: string): readonly RecordedProcess[] {
  const folder = recordFolder(stateDir);
  const era = currentEra();
  return recordNames(folder).flatMap((name) => {
    const identity = identityFrom(name, era);
    if (identity === undefined) return [];
    const [what = "", details = ""] = readFileSync(join(folder, name), "utf8").split("\n");
    return [{ identity, what, details: parsed(details) }];
  });
}

/** Undefined for what an engine wrote half before it was killed. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function recordNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw new Problem({
      code: "E_STATE_UNREADABLE",
      message: `Cannot look for processes of an earlier cluster: ${messageOf(cause)}`,
      fix: `Run as the user who owns "${folder}", or remove that folder`,
      cause,
    });
  }
}

function identityFrom(name: string, era: string): ProcessIdentity | undefined {
  const { pid, startTime, namespace, boot } = RECORD_NAME.exec(name)?.groups ?? {};
  if (pid === undefined || startTime === undefined || `${namespace}-${boot}` !== era) return undefined;
  return { pid: Number(pid), startTime };
}

/** What a pid and a start time are relative to: the pid namespace and the boot. */
function currentEra(): string {
  const namespace = readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${namespace}-${boot}`;
}

function kill(identity: ProcessIdentity): void {
  // Between this check and the signal the pid would have to end and all pids wrap around: not in microseconds.
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, "SIGKILL");
  } catch (cause) {
    if (!isErrno(cause, "ESRCH")) throw stillRunning(identity, messageOf(cause), cause);
  }
}

async function ended(identities: readonly ProcessIdentity[]): Promise<void> {
  const deadline = performance.now() + DEATH_TIMEOUT_MS;
  for (const identity of identities) {
    while (isRunning(identity)) {
      if (performance.now() > deadline) throw stillRunning(identity, "it does not end");
      await Bun.sleep(POLL_MS);
    }
  }
}

function stillRunning({ pid }: ProcessIdentity, because: string, cause?: unknown): Problem {
  return new Problem({
    code: "E_LEFTOVER_PROCESS",
    message: `Cannot end process ${pid} of an earlier cluster: ${because}`,
    fix: `End it as the user who started it (\`kill -9 ${pid}\`), then try again`,
    cause,
  });
}

function isErrno(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === code;
}

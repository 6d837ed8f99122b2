/** Linux capabilities of containers: the set every container runtime gives, and what a pod adds and drops. */

/** By number (include/uapi/linux/capability.h). */
const NAMES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

/** What containerd, CRI-O and Docker give a container that asks for nothing. */
const DEFAULT: readonly string[] = [
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
];

/** Beyond the default set, what a container can have without power over the machine: its namespaces contain the effect. */
const CONTAINED: readonly string[] = [
  "IPC_LOCK",
  "IPC_OWNER",
  "LEASE",
  "NET_ADMIN",
  "NET_BROADCAST",
  "SYS_NICE",
  "SYS_PTRACE",
];

/**
 * Not refused, because `kubectl debug` asks for it everywhere, but not given either: who has it can look into a program that the
 * engine starts beside it, which is a part of the engine until its `execve`. Programs of the same user can be traced without.
 */
const WITHHELD = "SYS_PTRACE";

/** Highest capability number that is dropped: newer kernels may have some we do not know. */
const LAST = 63;

/**
 * Numbers of the capabilities that a container may have. The order is containerd's: `ALL` first (dropped beats added), then
 * what is added, then what is dropped by name. Unknown names are ignored, as runc does.
 */
export function boundingSet(add: readonly string[], drop: readonly string[]): ReadonlySet<number> {
  const kept = new Set<string>(drop.some(isAll) ? [] : add.some(isAll) ? NAMES : DEFAULT);
  for (const name of add) kept.add(name.toUpperCase());
  for (const name of drop) kept.delete(name.toUpperCase());
  return new Set(NAMES.flatMap((name, number) => (kept.has(name) ? [number] : [])));
}

/** The names of capabilities, without `CAP_`. */
export function capabilityNames(numbers: ReadonlySet<number>): readonly string[] {
  return NAMES.filter((_, number) => numbers.has(number));
}

/** Every capability number outside of `kept`, including those of kernels newer than this list. */
export function capabilitiesToDrop(kept: ReadonlySet<number>): readonly number[] {
  return Array.from({ length: LAST + 1 }, (_, number) => number).filter((number) => !kept.has(number));
}

/** The names in `add` that give power over this machine; a cluster without `--allow-privileged` must refuse them. */
export function dangerousCapabilities(add: readonly string[]): readonly string[] {
  return add.filter((name) => ![...DEFAULT, ...CONTAINED].includes(name.toUpperCase()));
}

/** What a container gets of `add` in a cluster without `--allow-privileged`. */
export function grantedCapabilities(add: readonly string[]): readonly string[] {
  return add.filter((name) => name.toUpperCase() !== WITHHELD);
}

function isAll(name: string): boolean {
  return name.toUpperCase() === "ALL";
}

/** What this machine says about itself, read from files only; explains why something is forbidden, never decides alone. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";

/** Which ids exist in this user namespace (user_namespaces(7)). */
export type HeldIds = "all" | "range" | "one";

export interface MachineFacts {
  /** `linux`, `darwin`, `win32`, ... */
  readonly platform: string;
  /** `x64`, `arm64`, ... */
  readonly arch: string;
  /** `uname -r`. */
  readonly kernel: string;
  /** Effective user id as the machine knows it, also from inside a user namespace. */
  readonly uid: number;
  /** Effective capabilities, one bit each (capabilities(7)). */
  readonly capabilities: bigint;
  readonly ids: HeldIds;
  /** A seccomp filter applies: container engines and some service managers set one. */
  readonly seccompFilter: boolean;
  /** Some container engine's marker file is there. */
  readonly inContainer: boolean;
  /** `user.max_user_namespaces`; undefined when the kernel has no user namespaces. */
  readonly maxUserNamespaces: number | undefined;
  /** `kernel.unprivileged_userns_clone` is 0 (older Debian kernels). */
  readonly usernsCloneForbidden: boolean;
  /** `kernel.apparmor_restrict_unprivileged_userns` is 1 (Ubuntu 23.10 and later). */
  readonly apparmorRestricts: boolean;
  /** Path of unshare(1). */
  readonly unshare: string | undefined;
  /** newuidmap(1) and newgidmap(1) are installed. */
  readonly newuidmap: boolean;
  /** The user has a range in /etc/subuid and in /etc/subgid. */
  readonly subordinateIds: boolean;
}

export function readMachineFacts(): MachineFacts {
  const status = readQuietly("/proc/self/status") ?? "";
  const uidMap = readQuietly("/proc/self/uid_map") ?? "";
  const uid = outsideId(uidMap, process.geteuid?.() ?? 0);
  const name = nameOfUser(readQuietly("/etc/passwd") ?? "", uid);
  return {
    platform: process.platform,
    arch: process.arch,
    kernel: release(),
    uid,
    capabilities: BigInt(`0x${/^CapEff:\s*([\da-f]+)$/m.exec(status)?.[1] ?? "0"}`),
    ids: heldIds(uidMap),
    seccompFilter: /^Seccomp:\s*2$/m.test(status),
    inContainer: existsSync("/.dockerenv") || existsSync("/run/.containerenv"),
    maxUserNamespaces: numberFrom("/proc/sys/user/max_user_namespaces"),
    usernsCloneForbidden: numberFrom("/proc/sys/kernel/unprivileged_userns_clone") === 0,
    apparmorRestricts: numberFrom("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === 1,
    unshare: Bun.which("unshare") ?? undefined,
    newuidmap: Bun.which("newuidmap") !== null && Bun.which("newgidmap") !== null,
    subordinateIds: ["/etc/subuid", "/etc/subgid"].every((file) =>
      hasSubordinateIds(readQuietly(file) ?? "", { name, uid }),
    ),
  };
}

interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** /proc/PID/uid_map: one range a line. */
function idRanges(uidMap: string): readonly IdRange[] {
  return uidMap.split("\n").flatMap((line) => {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
    return inside === undefined || outside === undefined || count === undefined
      ? []
      : [{ inside, outside, count }];
  });
}

/** Without a user namespace of one's own the map is one range that covers everything. */
export function heldIds(uidMap: string): HeldIds {
  const count = idRanges(uidMap).reduce((sum, range) => sum + range.count, 0);
  if (count >= 2 ** 32 - 1) return "all";
  return count > 1 ? "range" : "one";
}

/** The id by which the parent user namespace knows `id`; the id itself when the map does not hold it. */
export function outsideId(uidMap: string, id: number): number {
  const range = idRanges(uidMap).find(({ inside, count }) => id >= inside && id < inside + count);
  return range === undefined ? id : range.outside + (id - range.inside);
}

/** The login name of passwd(5). */
export function nameOfUser(passwd: string, uid: number): string | undefined {
  return passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(uid))?.[0];
}

/** True when /etc/subuid or /etc/subgid (`NAME-OR-UID:FIRST:COUNT`) grants the user a range that is not empty. */
export function hasSubordinateIds(
  text: string,
  user: { readonly name: string | undefined; readonly uid: number },
): boolean {
  return text.split("\n").some((line) => {
    const [owner = "", first = "", count = ""] = line.trim().split(":");
    const isOwn = owner !== "" && (owner === user.name || owner === String(user.uid));
    return isOwn && /^\d+$/.test(first) && Number(count) > 0;
  });
}

function numberFrom(path: string): number | undefined {
  const text = readQuietly(path);
  return text === undefined ? undefined : Number(text);
}

/** A file that is missing or forbidden says nothing. */
function readQuietly(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

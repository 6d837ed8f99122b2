/** Gives up the engine's power: user, groups and capabilities become those of the container. */
import { boundingSet, capabilitiesToDrop } from "./capabilities.ts";
import type { ContainerUser } from "./container-user.ts";
import * as linux from "./linux-constants.ts";
import type { Program } from "./program.ts";
import type { ContainerSpec } from "./sandbox.ts";
import { installFilter } from "./seccomp/install-filter.ts";

const EINVAL = 22;
/** `_LINUX_CAPABILITY_VERSION_3`: two halves of 32 bits. */
const CAPABILITY_VERSION = 0x20080522;

export interface UserParts {
  readonly spec: ContainerSpec;
  readonly user: ContainerUser;
  /** Capabilities of the engine, one bit each: a container cannot have others. */
  readonly permitted: bigint;
}

/** What an exec in the container repeats. */
export function becomeUser(program: Program, { spec, user, permitted }: UserParts): void {
  const kept = boundingSet(
    spec.privileged ? ["ALL"] : spec.capabilities.add,
    spec.privileged ? [] : spec.capabilities.drop,
  );
  for (const number of capabilitiesToDrop(kept)) {
    // EINVAL: the kernel has no capability with this number.
    program.call("prctl", [linux.PR_CAPBSET_DROP, number, 0, 0, 0], { ignore: EINVAL });
  }
  installFilter(program, spec);
  if (user.groups !== undefined) {
    program.call("setgroups", [user.groups.length, new Uint8Array(Uint32Array.from(user.groups).buffer)]);
  }
  program
    .call("setresgid", [user.gid, user.gid, user.gid], { name: `setgid(${user.gid})` })
    .call("setresuid", [user.uid, user.uid, user.uid], { name: `setuid(${user.uid})` });
  program.call("umask", [0o022]);
  // Inheritable and, with it, ambient capabilities go: a program run by root would get them back.
  const effective = user.uid === 0 ? permitted & bits(kept) : 0n;
  program.call("capset", [capabilityHeader(), capabilityData(effective)]);
  if (spec.noNewPrivileges) program.call("prctl", [linux.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
}

/** SIGKILL when the engine's thread ends. After the change of user, which resets it, and in the process that stays. */
export function dieWithEngine(program: Program): void {
  program.call("prctl", [linux.PR_SET_PDEATHSIG, linux.SIGKILL, 0, 0, 0]);
}

function bits(numbers: ReadonlySet<number>): bigint {
  return [...numbers].reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
}

function capabilityHeader(): Uint8Array {
  return new Uint8Array(Uint32Array.of(CAPABILITY_VERSION, 0).buffer);
}

/** Effective, permitted, inheritable for the low half, then for the high half. */
function capabilityData(effective: bigint): Uint8Array {
  const [low, high] = [Number(effective & 0xffff_ffffn), Number(effective >> 32n)];
  return new Uint8Array(Uint32Array.of(low, low, 0, high, high, 0).buffer);
}

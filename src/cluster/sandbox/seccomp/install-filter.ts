/** Puts a system call filter on the process that a program starts, for good: nothing it runs can take it off again. */
import { ptr } from "bun:ffi";
import { boundingSet, capabilityNames } from "../capabilities.ts";
import type { Program } from "../program.ts";
import type { ContainerSpec } from "../sandbox.ts";
import { assemble, type Instruction } from "./bpf.ts";
import { keepCgroups } from "./keep-cgroups.ts";
import { type Processor, runtimeDefault } from "./runtime-default.ts";

const SECCOMP_SET_MODE_FILTER = 1;
/** Leaves it to programs to protect themselves from speculation, which costs them half of their speed. */
const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;

/** Filters by what they depend on. Programs hold only their address: they must never be freed. */
const filters = new Map<string, Uint8Array>();

/** While the process still has the right to: with CAP_SYS_ADMIN, no `no_new_privs` is needed. Privileged containers have no filter. */
export function installFilter(program: Program, { seccomp, privileged, capabilities }: ContainerSpec): void {
  if (privileged) return;
  const names = capabilityNames(boundingSet(capabilities.add, capabilities.drop));
  const isUnconfined = seccomp !== "RuntimeDefault";
  // It can mount what it likes.
  if (isUnconfined && names.includes("SYS_ADMIN")) return;
  const filter = isUnconfined
    ? filterFor("Unconfined", keepCgroups)
    : filterFor(names.join(), (processor) => runtimeDefault(processor, names));
  // `struct sock_fprog`: how many instructions, and where.
  const words = BigUint64Array.of(BigInt(filter.length / 8), BigInt(ptr(filter)));
  const flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  program.call("seccomp", [SECCOMP_SET_MODE_FILTER, flags, new Uint8Array(words.buffer)], {
    name: `seccomp(${seccomp ?? "Unconfined"})`,
  });
}

function filterFor(key: string, build: (processor: Processor) => readonly Instruction[]): Uint8Array {
  const known = filters.get(key);
  if (known !== undefined) return known;
  const filter = assemble(build(process.arch === "arm64" ? "arm64" : "x64"));
  filters.set(key, filter);
  return filter;
}

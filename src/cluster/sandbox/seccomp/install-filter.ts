/** Puts a system call filter on the process that a program starts, for good: nothing it runs can take it off again. */
import { ptr } from "bun:ffi";
import { boundingSet, capabilityNames } from "../capabilities.ts";
import type { Program } from "../program.ts";
import type { ContainerSpec } from "../sandbox.ts";
import { assemble } from "./bpf.ts";
import { runtimeDefault } from "./runtime-default.ts";

const SECCOMP_SET_MODE_FILTER = 1;
/** Leaves it to programs to protect themselves from speculation, which costs them half of their speed. */
const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;

/** Filters by what they depend on. Programs hold only their address: they must never be freed. */
const filters = new Map<string, Uint8Array>();

/** While the process still has the right to: with CAP_SYS_ADMIN, no `no_new_privs` is needed. Privileged containers have no filter. */
export function installFilter(program: Program, { seccomp, privileged, capabilities }: ContainerSpec): void {
  if (seccomp !== "RuntimeDefault" || privileged) return;
  const names = capabilityNames(boundingSet(capabilities.add, capabilities.drop));
  const filter = filterFor(names);
  // `struct sock_fprog`: how many instructions, and where.
  const words = BigUint64Array.of(BigInt(filter.length / 8), BigInt(ptr(filter)));
  const flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  program.call("seccomp", [SECCOMP_SET_MODE_FILTER, flags, new Uint8Array(words.buffer)], {
    name: "seccomp(RuntimeDefault)",
  });
}

function filterFor(capabilities: readonly string[]): Uint8Array {
  const key = capabilities.join();
  const known = filters.get(key);
  if (known !== undefined) return known;
  const filter = assemble(runtimeDefault(process.arch === "arm64" ? "arm64" : "x64", capabilities));
  filters.set(key, filter);
  return filter;
}

/** Knows in which process namespaces somebody may trace others: a program that starts there must not share the engine's memory. */
import { readlinkSync } from "node:fs";
import { boundingSet } from "./capabilities.ts";
import type { ContainerSpec } from "./sandbox.ts";

const SYS_PTRACE = 19;

/** Containers with CAP_SYS_PTRACE (`kubectl debug` gives it by default), by the process namespace they are in. */
export class Tracers {
  readonly #ids = new Map<string, Set<string>>();

  /** Returns what takes the container out again. */
  add(pid: number, spec: ContainerSpec): () => void {
    const namespace = mayTrace(spec) ? processNamespaceOf(`/proc/${pid}/ns/pid`) : undefined;
    if (namespace === undefined) return () => {};
    const ids = this.#ids.get(namespace) ?? new Set();
    this.#ids.set(namespace, ids.add(spec.id));
    return () => {
      ids.delete(spec.id);
      if (ids.size === 0 && this.#ids.get(namespace) === ids) this.#ids.delete(namespace);
    };
  }

  /** Whether there is one in the namespace at `path` (/proc/PID/ns/pid). */
  areIn(path: string): boolean {
    const namespace = processNamespaceOf(path);
    return namespace !== undefined && this.#ids.has(namespace);
  }
}

function mayTrace({ privileged, capabilities }: ContainerSpec): boolean {
  return privileged || boundingSet(capabilities.add, capabilities.drop).has(SYS_PTRACE);
}

/** Undefined when the process has ended. */
function processNamespaceOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

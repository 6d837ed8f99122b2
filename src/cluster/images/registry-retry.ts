/** What a registry refuses, and how long it is asked again. */
import { sleep } from "../../lib/sleep.ts";
import { RegistryUnreachable } from "./registry-http.ts";
import type { HttpOptions } from "./registry-http.ts";

export type RefusalKind = "not found" | "denied" | "rate limit" | "unexpected";

/** The registry answered, with a refusal. `message` goes on after "cannot pull …: ". */
export class RegistryRefused extends Error {
  readonly kind: RefusalKind;

  constructor(kind: RefusalKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RegistryRefused";
    this.kind = kind;
  }
}

const ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;
/** A registry that wants us to wait longer than this is reported, not waited for. */
const LONGEST_WAIT_MS = 60_000;
/** The answer asks to come back later. */
export class RetryLater extends RegistryRefused {
  readonly afterMs: number | undefined;

  constructor(kind: RefusalKind, message: string, afterMs: number | undefined) {
    super(kind, message);
    this.afterMs = afterMs;
  }
}

/** Runs `attempt` again after a transient failure: 0.5 s, 1 s, 2 s, 4 s, or when the registry says. */
export async function retrying<Result>(
  attempt: () => Promise<Result>,
  { clock, signal }: HttpOptions,
  hasProgressed: () => boolean = () => false,
): Promise<Result> {
  for (let failures = 0; ;) {
    try {
      return await attempt();
    } catch (because) {
      failures = hasProgressed() ? 1 : failures + 1;
      const wait = waitAfter(because, failures);
      if (wait === undefined || failures >= ATTEMPTS || wait > LONGEST_WAIT_MS) throw because;
      if (!(await sleep(wait, clock, signal))) signal?.throwIfAborted();
    }
  }
}

function waitAfter(because: unknown, failures: number): number | undefined {
  const backoff = FIRST_WAIT_MS * 2 ** (failures - 1);
  if (because instanceof RetryLater) return because.afterMs ?? backoff;
  return because instanceof RegistryUnreachable && because.isTransient ? backoff : undefined;
}

/** Turns whatever hinders a sidecar into what people and scripts get to see of it. */
import { messageOf, Problem } from "../kernel/problem.ts";
import type { Cause } from "./view.ts";

/** Longer messages are cut: they go into `/status`, logs and the termination message. */
const MAX_MESSAGE = 1_000;

/** Code, message and fix of a `Problem`; of anything else its words. */
export function causeOf(because: unknown): Cause {
  const message = shorten(messageOf(because));
  if (because instanceof Problem) return { code: because.code, message, fix: because.fix };
  return { code: typeof because === "string" ? "E_UNHEALTHY" : "E_UNEXPECTED", message };
}

function shorten(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 1)}…`;
}

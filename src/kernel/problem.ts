/** The one kind of error a user is meant to act on: a stable code, what is so, and what to do next. */

export interface ProblemDetails<Code extends string> {
  /** Stable identifier, `E_` and upper case; tests and scripts switch on it. */
  readonly code: Code;
  /** `Cannot <do what>: <what is so>`, no final period, values in double quotes, never a secret. */
  readonly message: string;
  /** The next thing to do, in the imperative. */
  readonly fix: string;
  readonly cause?: unknown;
}

/** An expected failure. Everything that is not a `Problem` is a bug of ours and ends with exit code 70. */
export class Problem<Code extends string = string> extends Error {
  readonly code: Code;
  readonly fix: string;

  constructor({ code, message, fix, cause }: ProblemDetails<Code>) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "Problem";
    this.code = code;
    this.fix = fix;
  }
}

/** The two lines every door prints for a problem: `error[CODE]: message` and `  fix: …`. */
export function formatProblem({ code, message, fix }: Problem): string {
  return `error[${code}]: ${message}\n  fix: ${fix}`;
}

/** The message of anything that was thrown, for a sentence that goes on. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

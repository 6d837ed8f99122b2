/** A program beside process 1 of a fake container: `true`, `false`, or `hang`, which ends when a test says so. */
import type { ExecProcess, ExecSpec } from "../../sandbox/process-io.ts";

export class FakeExec implements ExecProcess {
  readonly argv: readonly string[];
  readonly exited: Promise<{ readonly exitCode: number }>;
  hasEnded = false;
  readonly #resolve: (status: { readonly exitCode: number }) => void;

  constructor({ argv }: ExecSpec) {
    const { promise, resolve } = Promise.withResolvers<{ readonly exitCode: number }>();
    this.argv = argv;
    this.exited = promise;
    this.#resolve = resolve;
    if (argv[0] !== "hang") this.exit(argv[0] === "false" ? 1 : 0);
  }

  exit(exitCode: number): void {
    this.hasEnded = true;
    this.#resolve({ exitCode });
  }

  kill(signal: number): void {
    this.exit(128 + signal);
  }

  resize(): void {}

  detach(): void {}
}

/** Runs a real `pillion run` for tests: a folder of its own, a configuration as text, and its control socket. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuntimeStatus, SidecarStatus } from "../runtime/view.ts";
import { type Finished, followProcess, type Running } from "./pillion.ts";

const MAIN = join(import.meta.dirname, "../bin/main.ts");
/** The program with the kind `example`, and no other. */
export const EXAMPLE_MAIN = Bun.fileURLToPath(import.meta.resolve("./example-main.ts"));

/** A folder in which sidecar processes run one after the other; `await using` ends the last and removes it. */
export class SidecarHome implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "pillion-run-"));
  readonly socket = join(this.path, "control.sock");
  readonly config = join(this.path, "pillion.yaml");
  readonly state = join(this.path, "state");
  readonly #main: string;
  #running: Running | undefined;

  constructor(main = MAIN) {
    this.#main = main;
  }

  /** Writes the configuration: what stands under `sidecars:` as JSON, which is YAML too. */
  configure(sidecars: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}): void {
    const file = { state: this.state, admin: { port: 0, socket: this.socket }, ...more, sidecars };
    writeFileSync(this.config, JSON.stringify(file, null, 2));
  }

  /** Starts the process; resolves at once. */
  start(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Running {
    this.#running = this.#spawn(["run", "-c", this.config, ...args], env);
    return this.#running;
  }

  /** Asks the running process, as probes, hooks and people do: `ready`, `status`, `quit`. */
  async ask(...args: readonly string[]): Promise<Finished> {
    return await this.command(...args, "--socket", this.socket);
  }

  /** Runs any command to its end. */
  async command(...args: readonly string[]): Promise<Finished> {
    return await this.#spawn(args, {}).exited;
  }

  #spawn(args: readonly string[], env: Readonly<Record<string, string>>): Running {
    const child = Bun.spawn([process.execPath, this.#main, ...args], {
      cwd: this.path,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", HOME: this.path, TMPDIR: this.path, ...env },
    });
    return followProcess(child);
  }

  /** Runs it to its end, for `--once` and `--check`. */
  async run(args: readonly string[]): Promise<Finished> {
    return await this.start(args).exited;
  }

  /** What the control socket says; undefined while nobody answers. */
  async status(): Promise<RuntimeStatus | undefined> {
    try {
      const answer = await fetch("http://pillion/status", { unix: this.socket });
      return answer.ok ? ((await answer.json()) as RuntimeStatus) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Resolves with a sidecar's status as soon as it fits; the test's own time limit is the only one. */
  async until(name: string, fits: (status: SidecarStatus) => boolean): Promise<SidecarStatus> {
    for (;;) {
      const status = (await this.status())?.sidecars.find((sidecar) => sidecar.name === name);
      if (status !== undefined && fits(status)) return status;
      await Bun.sleep(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running?.kill("SIGKILL");
    await this.#running?.exited;
    rmSync(this.path, { recursive: true, force: true });
  }
}

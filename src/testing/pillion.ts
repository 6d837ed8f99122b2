/** Runs the real program for tests: a state folder of its own, and clusters that end with the test. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "../bin/main.ts");

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A command that is still running. */
export interface Running {
  readonly pid: number;
  readonly exited: Promise<Finished>;
  /** Resolves with the first line of both streams that matches, also one from before the call. Rejects when it ends. */
  line(pattern: RegExp): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** One state folder; `await using` ends every cluster in it. */
export class PillionHome implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "pillion-test-"));
  readonly #clusters = new Set(["default"]);

  /** Environment for the program and for kubectl: nothing of this user's own configuration. */
  get env(): Record<string, string> {
    return {
      PATH: process.env["PATH"] ?? "",
      HOME: this.path,
      PILLION_HOME: join(this.path, "state"),
      KUBECACHEDIR: join(this.path, "kube-cache"),
      TMPDIR: this.path,
    };
  }

  kubeconfig(cluster = "default"): string {
    return join(this.path, "state", cluster, "kubeconfig");
  }

  /** Of the engine that runs now, or ran last. */
  enginePid(cluster = "default"): number {
    const record = readFileSync(join(this.path, "state", cluster, "engine.json"), "utf8");
    return (JSON.parse(record) as { readonly pid: number }).pid;
  }

  start(args: readonly string[], { stdin, env, cwd }: RunOptions = {}): Running {
    const name = args[args.indexOf("--name") + 1];
    if (args.includes("--name") && name !== undefined) this.#clusters.add(name);
    const child = Bun.spawn([process.execPath, MAIN, ...args], {
      stdio: [stdin === undefined ? "ignore" : new Blob([stdin]), "pipe", "pipe"],
      env: { ...this.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    return followProcess(child);
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], options?: RunOptions): Promise<Finished> {
    return await this.start(args, options).exited;
  }

  /** Like `run`, and fails the test with both streams when the exit code is not 0. */
  async mustRun(args: readonly string[], options?: RunOptions): Promise<Finished> {
    const finished = await this.run(args, options);
    if (finished.code === 0) return finished;
    throw new Error(
      `pillion ${args.join(" ")} ended with ${finished.code}\n${finished.stderr}${finished.stdout}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cluster of this.#clusters) await this.run(["down", "--name", cluster]);
    rmSync(this.path, { recursive: true, force: true });
  }
}

type PipedProcess = Bun.Subprocess<"ignore" | Blob, "pipe", "pipe">;

/** Collects both streams of a process and lets tests wait for lines. */
export function followProcess(child: PipedProcess): Running {
  const texts = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  const collect = async (name: keyof typeof texts) => {
    const decoder = new TextDecoder();
    for await (const chunk of child[name]) {
      texts[name] += decoder.decode(chunk, { stream: true });
      for (const check of waiting) check();
    }
  };
  const read = Promise.all([collect("stdout"), collect("stderr")]);
  const exited = Promise.all([child.exited, read]).then(([code]) => ({ code, ...texts }));
  const find = (pattern: RegExp) =>
    `${texts.stdout}\n${texts.stderr}`.split("\n").find((line) => pattern.test(line));
  return {
    pid: child.pid,
    exited,
    kill: (signal) => child.kill(signal),
    async line(pattern) {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const check = () => {
        const line = find(pattern);
        if (line !== undefined) resolve(line);
      };
      waiting.add(check);
      check();
      const rejectAtEnd = async () => {
        const { code } = await exited;
        check();
        reject(
          new Error(`ended with ${code} before a line matched ${pattern}\n${texts.stderr}${texts.stdout}`),
        );
      };
      void rejectAtEnd();
      try {
        return await promise;
      } finally {
        waiting.delete(check);
      }
    },
  };
}

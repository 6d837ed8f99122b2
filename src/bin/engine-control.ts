/** Starts the engine as a process of its own, inside namespaces of its own, and hears from it when it is ready. */
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { joinCommand, namespaceCommand, readOnlyProgram } from "../cluster/sandbox/enter-namespaces.ts";
import { findKeptPods, prepareStart } from "../cluster/sandbox/kept-pods.ts";
import { reapLeftovers } from "../cluster/sandbox/leftovers.ts";
import type { EngineControl, EngineOptions, ImageCall, StartedEngine } from "../cli/engine-control.ts";
import { ApiClient } from "../cli/api-client.ts";
import { EXIT } from "../cli/command.ts";
import { runningEngine, type StateFolder } from "../cli/state-folder.ts";
import { Problem } from "../kernel/problem.ts";
import { offerProgram } from "./own-program.ts";

/** What the engine says once on its first pipe: ready, or why not. */
export type EngineReport =
  | {
      readonly ready: true;
      readonly port: number;
      readonly tier: string;
      readonly limits: readonly string[];
      readonly adopted: number;
    }
  | {
      readonly ready: false;
      readonly problem: { readonly code: string; readonly message: string; readonly fix: string };
    };

/** This program once more. */
export const ENGINE = [
  process.execPath,
  "--smol",
  fileURLToPath(new URL("main.ts", import.meta.url)),
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** `env` is handed to the engine without the launcher's own variables. */
export function createEngineControl(env: Environment): EngineControl {
  const program = (words: readonly string[]) => readOnlyProgram([...ENGINE, ...words]);
  const internal = (words: readonly string[]) => namespaceCommand(program(words));
  return {
    async start(options) {
      const { folder, keep } = options;
      const kept = await prepareStart(folder.path);
      offerProgram(folder.ownImage);
      const words = keep ? ["engine", "keep", folder.cluster] : ["engine", "run"];
      const argv = kept === undefined ? internal(words) : joinCommand(kept, program(words));
      return await startEngine(argv, innerEnv(env, folder), options);
    },
    hasKeptPods: (folder) => Promise.resolve((findKeptPods(folder.path)?.pods.length ?? 0) > 0),
    async clean(folder, { keepState }) {
      // Here, outside, because a container of another id is out of reach for the user that we are inside.
      await reapLeftovers(folder.path);
      const words = ["engine", "clean", folder.cluster, ...(keepState ? ["--keep-state"] : [])];
      await runToEnd(internal(words), innerEnv(env, folder));
    },
    async *callImages(folder, call) {
      if (runningEngine(folder) !== undefined) yield* callRunning(folder, call);
      else yield* callOffline(internal(["engine", "images", folder.cluster]), innerEnv(env, folder), call);
    },
  };
}

/** Without the launcher's own variables, and with Bun's own files inside the state folder. */
function innerEnv(env: Environment, folder: StateFolder): Environment {
  const tmp = join(folder.path, "tmp");
  mkdirSync(tmp, { recursive: true, mode: 0o700 });
  return {
    ...env,
    PILLION_LIFELINE_FD: undefined,
    // Most of the engine's code runs rarely: compiling later saves 12 MB with 50 pods and costs no time (bench/pod-start).
    BUN_JSC_thresholdForJITAfterWarmUp: "3000",
    BUN_TMPDIR: tmp,
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: join(tmp, "transpiled"),
  };
}

async function startEngine(
  argv: readonly string[],
  env: Environment,
  options: EngineOptions,
): Promise<StartedEngine> {
  const log = openSync(options.folder.engineLog, "a", 0o600);
  // stdin carries the options and then stays open: when it ends, a foreground engine knows that its command is gone.
  const child = Bun.spawn([...argv], {
    stdio: ["pipe", "pipe", log],
    env: { ...env },
    detached: true,
  });
  closeSync(log);
  void child.stdin.write(`${JSON.stringify(options)}\n`);
  await child.stdin.flush();
  if (options.detached) await child.stdin.end();
  const { report, ended } = readOutput(child.stdout);
  // Of a kept cluster the child is the keeper, which stays; its engine has ended when its output has.
  const exited = options.keep ? ended.then(() => codeOf(options.folder)) : child.exited;
  const first = await report;
  if (!first?.ready) {
    if (options.keep) child.kill("SIGKILL");
    const code = await child.exited;
    throw first === undefined ? endedEarly(options.folder, code) : new Problem(first.problem);
  }
  if (options.detached || options.keep) child.unref();
  const { port, tier, limits, adopted } = first;
  return { port, tier, limits, adopted, exited };
}

/** An engine that ends in order takes its record away. */
function codeOf(folder: StateFolder): number {
  return existsSync(folder.engineRecord) ? EXIT.problem : EXIT.done;
}

/** The first line, undefined when there is none, and the end of the stream. */
function readOutput(stdout: ReadableStream<Uint8Array>): {
  readonly report: Promise<EngineReport | undefined>;
  readonly ended: Promise<void>;
} {
  const { promise: report, resolve } = Promise.withResolvers<EngineReport | undefined>();
  const read = async (): Promise<void> => {
    let text = "";
    for await (const chunk of stdout) {
      text += new TextDecoder().decode(chunk);
      const end = text.indexOf("\n");
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)) as EngineReport);
    }
    resolve(undefined);
  };
  return { report, ended: read() };
}

function endedEarly(folder: StateFolder, code: number): Problem {
  return new Problem({
    code: "E_ENGINE_ENDED",
    message: `Cannot start cluster "${folder.cluster}": its engine ended with exit code ${code} before it was ready`,
    fix: `Read the end of "${folder.engineLog}"; if the cause is not yours, report it as a bug of Pillion's`,
  });
}

async function runToEnd(argv: readonly string[], env: Environment): Promise<void> {
  const child = Bun.spawn([...argv], { stdio: ["ignore", "pipe", "inherit"], env: { ...env } });
  const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
  if (code === 0) return;
  throw problemOf(text, code);
}

/** The problem that an inner command printed as JSON, or a plain one. */
function problemOf(text: string, code: number): Problem {
  try {
    return new Problem(JSON.parse(text.trim().split("\n").at(-1) ?? "") as Problem);
  } catch {
    return new Problem({
      code: "E_ENGINE_ENDED",
      message: `Cannot reach the cluster's files: the inner command ended with exit code ${code}`,
      fix: "Read what it printed above; if the cause is not yours, report it as a bug of Pillion's",
    });
  }
}

async function* callRunning(folder: StateFolder, { method, path, body }: ImageCall): AsyncGenerator<string> {
  const api = new ApiClient(folder.kubeconfig);
  const response = await api.open(`/pillion/v1/${path}`, { method, ...(body === undefined ? {} : { body }) });
  yield* api.linesOf(response, new AbortController().signal);
}

async function* callOffline(
  argv: readonly string[],
  env: Environment,
  call: ImageCall,
): AsyncGenerator<string> {
  const stdin = new Blob([JSON.stringify(call)]);
  const child = Bun.spawn([...argv], { stdio: [stdin, "pipe", "inherit"], env: { ...env } });
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  const code = await child.exited;
  if (code !== 0) throw problemOf(rest, code);
}

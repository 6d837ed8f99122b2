/** Commands the program gives to itself, inside the cluster's namespaces. */
import { rmSync, writeSync } from "node:fs";
import { type Command, EXIT, type Terminal } from "../cli/command.ts";
import type { EngineOptions, ImageCall } from "../cli/engine-control.ts";
import { STOP_GRACE_SECONDS } from "../cli/stop-engine.ts";
import { type StateFolder, stateFolderOf } from "../cli/state-folder.ts";
import { messageOf, Problem, type ProblemDetails } from "../kernel/problem.ts";
import type { EngineReport } from "./engine-control.ts";
import type { StopOptions } from "./engine.ts";

const inner = {
  summary: "",
  usage: "",
  options: {},
  examples: [],
  internal: true,
  passThrough: true,
} as const;

/** `engine run`, `engine clean`, `engine images`; the heavy imports happen when one of them runs. */
export function engineCommands(): readonly Command[] {
  return [
    { ...inner, name: "engine run", run: (_, terminal) => runEngine(terminal) },
    {
      ...inner,
      name: "engine keep",
      run: ({ raw: [cluster] }, { env }) => keepEngine(stateFolderOf(env, cluster), env),
    },
    {
      ...inner,
      name: "engine clean",
      async run({ raw: [cluster, flag] }, { env }) {
        const { deleteState } = await import("./engine.ts");
        const { reapLeftovers } = await import("../cluster/sandbox/leftovers.ts");
        const folder = stateFolderOf(env, cluster);
        return await reportingProblems(async () => {
          await reapLeftovers(folder.path);
          if (flag === "--keep-state") rmSync(folder.engineRecord, { force: true });
          else deleteState(folder);
        });
      },
    },
    {
      ...inner,
      name: "engine images",
      async run({ raw: [cluster] }, { env, readStdin, out }) {
        const { openClusterImages } = await import("./engine.ts");
        const { handleImageCall } = await import("./image-admin.ts");
        const { keptImages } = await import("../cluster/sandbox/kept-pods.ts");
        const call = JSON.parse(await readStdin()) as ImageCall;
        return await reportingProblems(async () => {
          const folder = stateFolderOf(env, cluster);
          const inUse = keptImages(folder.path);
          const admin = openClusterImages(folder, { usesRootfs: (path) => inUse.has(path) });
          for await (const answer of handleImageCall(admin, call)) out(`${JSON.stringify(answer)}\n`);
        });
      },
    },
  ];
}

/** Prints a problem as one line of JSON, for the command outside. */
async function reportingProblems(work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    writeSync(1, `${JSON.stringify({ code: error.code, message: error.message, fix: error.fix })}\n`);
    return EXIT.problem;
  }
}

async function runEngine({ stop, stopNow }: Terminal): Promise<number> {
  const { promise: stopRequested, resolve: requestStop } = Promise.withResolvers<StopOptions>();
  const { startEngine } = await import("./engine.ts");
  const input = readOptions();
  const options = await input.options;
  const { keep } = options;
  const byDefault = { keepState: keep, leavePods: keep, graceSeconds: STOP_GRACE_SECONDS };
  stop.addEventListener("abort", () => requestStop(byDefault));
  // A foreground engine ends with the command that started it, however that ends.
  if (!options.detached) void input.ended.then(() => requestStop(byDefault));
  try {
    const engine = await startEngine(options, requestStop);
    const { port, tier, limits, adopted } = engine;
    report({ ready: true, port, tier, limits, adopted });
    const wanted = await stopRequested;
    stopNow.addEventListener("abort", () => void engine.stop({ ...wanted, graceSeconds: 0 }));
    await engine.stop(wanted);
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof Problem)) {
      report({ ready: false, problem: engineBug(options, error) });
      throw error;
    }
    const { code, message, fix } = error;
    report({ ready: false, problem: { code, message, fix } });
    return EXIT.problem;
  }
}

/** Becomes the keeper of an engine, which does the rest. */
async function keepEngine({ path }: StateFolder, env: Terminal["env"]): Promise<number> {
  const { becomeKeeper } = await import("../cluster/sandbox/keeper.ts");
  const { loadLauncher } = await import("../cluster/sandbox/launcher.ts");
  const { ENGINE } = await import("./engine-control.ts");
  return await reportingProblems(async () => {
    await Promise.resolve();
    becomeKeeper({ launcher: loadLauncher(), stateDir: path, engine: [...ENGINE, "engine", "run"], env });
  });
}

function engineBug({ folder }: EngineOptions, error: unknown): ProblemDetails<string> {
  return {
    code: "E_BUG",
    message: `Cannot start cluster "${folder.cluster}": ${messageOf(error)}`,
    fix: `Report this as a bug of Pillion's, with the end of "${folder.engineLog}"`,
  };
}

/** Standard output is a pipe that the command reads one line from; afterwards nobody may be there. */
function report(line: EngineReport): void {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`);
  } catch {
    // The command has gone; a detached engine goes on, a foreground one learns it from its standard input.
  }
}

/** The options are the first line of standard input; its end is the end of the command. */
function readOptions(): { readonly options: Promise<EngineOptions>; readonly ended: Promise<void> } {
  const { promise: options, resolve, reject } = Promise.withResolvers<EngineOptions>();
  const ended = (async () => {
    let text = "";
    let isRead = false;
    for await (const chunk of Bun.stdin.stream().pipeThrough(new TextDecoderStream())) {
      if (isRead) continue;
      text += chunk;
      const end = text.indexOf("\n");
      if (end < 0) continue;
      isRead = true;
      resolve(JSON.parse(text.slice(0, end)) as EngineOptions);
    }
    if (!isRead) reject(new Error("the engine got no options"));
  })();
  return { options, ended };
}

/** `up` in the foreground: shows what the pods do until the user or the engine ends it, and leaves no cluster behind. */
import { Problem } from "../kernel/problem.ts";
import type { ApiClient } from "./api-client.ts";
import { EXIT, type Terminal } from "./command.ts";
import type { EngineControl, StartedEngine } from "./engine-control.ts";
import { followPods } from "./follow-pods.ts";
import { followServices } from "./follow-services.ts";
import type { StateFolder } from "./state-folder.ts";
import { stopEngine } from "./stop-engine.ts";

export interface Foreground {
  readonly terminal: Terminal;
  readonly folder: StateFolder;
  readonly control: EngineControl;
  readonly engine: Pick<StartedEngine, "exited">;
  /** The pods go on when the cluster ends. */
  readonly keep: boolean;
  /** What is to be done first. When it rejects, the cluster ends too. */
  readonly apply: () => Promise<unknown>;
}

/** Resolves with the exit code when the cluster has ended. */
export async function runForeground(api: ApiClient, foreground: Foreground): Promise<number> {
  const { terminal, folder, control, engine, keep, apply } = foreground;
  const view = new AbortController();
  let isEnding = false;
  const follow = () =>
    Promise.all([followPods(api, terminal, view.signal), followServices(api, terminal, view.signal)]);
  const following = follow().catch(async (error: unknown) => {
    if (isEnding) return;
    // Nobody answers any more: how the engine ended says why.
    if (!(error instanceof Problem)) throw error;
    await engine.exited;
  });
  // It may end before anybody waits for it.
  void following.catch(() => {});
  try {
    await apply();
    terminal.err(
      keep
        ? "press Ctrl-C to end the cluster; its pods go on\n"
        : "press Ctrl-C to end the pods and remove them\n",
    );
    const code = await Promise.race([
      engine.exited,
      aborted(terminal.stop).then(() => EXIT.done),
      following.then(() => engine.exited),
    ]);
    if (code !== EXIT.done)
      terminal.err(
        `the engine ended by itself, with exit code ${code}; the end of "${folder.engineLog}" may say why\n`,
      );
    return code;
  } finally {
    isEnding = true;
    await stopEngine({ folder, control, terminal, api, keepState: keep, leavePods: keep });
    view.abort();
    await following.catch(() => {});
    terminal.err(`cluster "${folder.cluster}" has ended\n`);
    if (keep) await sayWhatGoesOn(control, folder, terminal);
  }
}

async function sayWhatGoesOn(control: EngineControl, folder: StateFolder, { err }: Terminal): Promise<void> {
  const name = folder.cluster === "default" ? "" : ` --name ${folder.cluster}`;
  if (await control.hasKeptPods(folder))
    err(
      `the pods of cluster "${folder.cluster}" go on: \`pillion up --keep${name}\` takes them over, \`pillion down${name}\` ends them\n`,
    );
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((done) => signal.addEventListener("abort", () => done(), { once: true }));
}

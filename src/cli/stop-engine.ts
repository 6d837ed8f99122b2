/** Ends a cluster: asks the engine, waits for it, insists when the user does, and clears what is left. */
import type { ApiClient, ListResponse } from "./api-client.ts";
import type { Terminal } from "./command.ts";
import type { EngineControl } from "./engine-control.ts";
import { runningEngine, type StateFolder } from "./state-folder.ts";

/** How long pods may take altogether; a laptop's user waits for `down`, so it is shorter than Kubernetes' 30 s. */
export const STOP_GRACE_SECONDS = 10;
const POLL_MS = 20;
const SAY_AFTER_MS = 1000;
const ANSWER_MS = 2000;

type Api = Pick<ApiClient, "request">;

/** Resolves when no process of the cluster is left, unless its pods are to stay. With `keepState`, objects and volumes stay for the next `up`. */
export async function stopEngine({
  folder,
  control,
  terminal,
  api,
  keepState,
  leavePods = false,
}: {
  readonly folder: StateFolder;
  readonly control: EngineControl;
  readonly terminal: Terminal;
  readonly api: Api | undefined;
  readonly keepState: boolean;
  /** The engine ends, and its pods go on for the next one; only with `--keep`. */
  readonly leavePods?: boolean;
}): Promise<void> {
  const engine = runningEngine(folder);
  if (engine !== undefined) {
    const endsPods = !leavePods && (await mayHavePods(api));
    const asked = await askToStop(api, { keepState, leavePods, graceSeconds: STOP_GRACE_SECONDS });
    if (!asked) signalEngine(engine.pid, "SIGTERM");
    await waitForEnd({ folder, terminal, pid: engine.pid, endsPods });
  }
  if (!leavePods) await control.clean(folder, { keepState });
}

/** Also when nobody can tell. */
async function mayHavePods(api: Api | undefined): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const pods = await api?.request<ListResponse>("/api/v1/pods?limit=1", { signal });
    return pods?.items.length !== 0;
  } catch {
    return true;
  }
}

async function askToStop(api: Api | undefined, body: object): Promise<boolean> {
  try {
    await api?.request("/pillion/v1/stop", { method: "POST", body, signal: AbortSignal.timeout(ANSWER_MS) });
    return api !== undefined;
  } catch {
    return false; // An engine that does not answer is told by signal.
  }
}

async function waitForEnd({
  folder,
  terminal,
  pid,
  endsPods,
}: {
  readonly folder: StateFolder;
  readonly terminal: Terminal;
  readonly pid: number;
  readonly endsPods: boolean;
}): Promise<void> {
  const startedAt = performance.now();
  const insist = () => signalEngine(pid, "SIGKILL");
  terminal.stopNow.addEventListener("abort", insist);
  let said = !endsPods;
  while (runningEngine(folder)?.pid === pid) {
    const waited = performance.now() - startedAt;
    if (!said && waited > SAY_AFTER_MS) {
      said = true;
      terminal.err(`ending the pods, ${STOP_GRACE_SECONDS} s at most; Ctrl-C again ends them now\n`);
    }
    if (terminal.stopNow.aborted || waited > (STOP_GRACE_SECONDS + 5) * 1000) insist();
    await Bun.sleep(POLL_MS);
  }
  terminal.stopNow.removeEventListener("abort", insist);
}

function signalEngine(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended, which is what was wanted.
  }
}

/** `pillion run`, wired: the file and the command line's choices, the doors, and what only this process knows of itself. */
import type { Terminal } from "../cli/command.ts";
import type { RunOptions } from "../cli/commands/run.ts";
import { type Catalogue, readSidecarFile, type SidecarFile } from "../config/sidecar-file.ts";
import type { RuntimeSettings } from "../config/sidecar-schema.ts";
import { systemClock } from "../kernel/clock.ts";
import { formatProblem, messageOf, Problem } from "../kernel/problem.ts";
import { startAdminServer } from "../runtime/admin-server.ts";
import { startControlSocket } from "../runtime/control-socket.ts";
import { isTerminal } from "../lib/is-terminal.ts";
import { dropProgramPages } from "../lib/program-pages.ts";
import { podIdentity } from "../runtime/pod-identity.ts";
import { type Doors, runSidecars } from "../runtime/run-sidecars.ts";
import type { RuntimeView } from "../runtime/view.ts";
import { VERSION } from "./version.ts";

/** After the doors are open: when the sidecars have begun, are at work, and when the compilers have seen enough, milliseconds. */
const TIDY_AFTER_MS = [150, 1_000, 3_000, 30_000];

export interface SidecarProcess {
  readonly catalogue: Catalogue;
  readonly options: RunOptions;
  readonly terminal: Terminal;
}

/** Resolves with the exit code when every sidecar has ended. Throws `Problem` when it cannot begin. */
export async function runSidecarProcess({ catalogue, options, terminal }: SidecarProcess): Promise<number> {
  const { env, stop, stopNow } = terminal;
  const read = async () => withChoices(await readSidecarFile(options.file, catalogue), options);
  const { exitCode, problems } = await runSidecars({
    file: await read(),
    read,
    configPath: options.file,
    once: options.once,
    version: VERSION,
    clock: systemClock,
    env,
    pod: podIdentity(env),
    stop,
    stopNow,
    isTerminal: isTerminal(2),
    open: openDoors,
    watchUncaught,
  });
  for (const problem of problems) terminal.err(`${textOf(problem)}\n`);
  return exitCode;
}

/** What the command line says wins over the file, also when the file is read again. */
function withChoices(file: SidecarFile, { state, socket, port }: RunOptions): SidecarFile {
  const { settings } = file;
  return {
    ...file,
    settings: {
      ...settings,
      state: state ?? settings.state,
      admin: { port: port ?? settings.admin.port, socket: socket ?? settings.admin.socket },
    },
  };
}

async function openDoors(view: RuntimeView, { admin }: RuntimeSettings): Promise<Doors> {
  const server = startAdminServer(view, admin.port);
  try {
    const control = await startControlSocket(view, admin.socket);
    // What only a start does is behind us (`sidecar-main.ts`).
    Bun.unsafe.setJITPolicy(1);
    for (const ms of TIDY_AFTER_MS) systemClock.schedule(ms, dropProgramPages);
    return {
      port: server.port,
      async stop() {
        await Promise.all([server.stop(), control.stop()]);
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function watchUncaught(listener: (thrown: unknown) => void): () => void {
  process.on("uncaughtException", listener).on("unhandledRejection", listener);
  return () => void process.off("uncaughtException", listener).off("unhandledRejection", listener);
}

function textOf(problem: unknown): string {
  return problem instanceof Problem ? formatProblem(problem) : `error[E_UNEXPECTED]: ${messageOf(problem)}`;
}

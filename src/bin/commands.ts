/** The list of commands, each with the part of the house it needs. */
import type { Command, Terminal } from "../cli/command.ts";
import { downCommand } from "../cli/commands/down.ts";
import { envCommand, kubectlCommand } from "../cli/commands/env.ts";
import { imageCommands } from "../cli/commands/images.ts";
import { eventsCommand, logsCommand, psCommand } from "../cli/commands/inspect.ts";
import { upCommand } from "../cli/commands/up.ts";
import type { EngineControl } from "../cli/engine-control.ts";
import type { ToolResult } from "../cli/tools.ts";
import { engineCommands } from "./engine-commands.ts";
import { sidecarCommands } from "./sidecar-commands.ts";

/** Cheap: nothing heavy is imported before a command runs. */
export function createCommands(terminal: Terminal): readonly Command[] {
  const control = lazyEngineControl(terminal.env);
  return [
    upCommand(control, runTool),
    downCommand(control),
    psCommand,
    logsCommand,
    eventsCommand,
    envCommand,
    kubectlCommand(runProgram),
    ...imageCommands(control),
    ...sidecarCommands(),
    ...engineCommands(),
  ];
}

/** Loads what starts engines when one is to be started: it takes longer than most commands. */
function lazyEngineControl(env: Terminal["env"]): EngineControl {
  const load = async () => (await import("./engine-control.ts")).createEngineControl(env);
  return {
    start: async (options) => await (await load()).start(options),
    hasKeptPods: async (folder) => await (await load()).hasKeptPods(folder),
    clean: async (folder, options) => await (await load()).clean(folder, options),
    async *callImages(folder, call) {
      yield* (await load()).callImages(folder, call);
    },
  };
}

async function runTool(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ToolResult | undefined> {
  const [program = "", ...rest] = argv;
  const path = Bun.which(program);
  if (path === null) return undefined;
  const child = Bun.spawn([path, ...rest], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

async function runProgram(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number | undefined> {
  const [program = "", ...rest] = argv;
  const path = Bun.which(program);
  if (path === null) return undefined;
  const child = Bun.spawn([path, ...rest], {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  return await child.exited;
}

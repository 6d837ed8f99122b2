/** The commands that work inside a pod, beside an application: all that the published image has. */
import { sidecars } from "../../generated/sidecars.ts";
import type { Command } from "../cli/command.ts";
import { deadLetterCommands } from "../cli/commands/dead-letters.ts";
import { prestopCommand } from "../cli/commands/prestop.ts";
import { quitCommand } from "../cli/commands/quit.ts";
import { readyCommand } from "../cli/commands/ready.ts";
import { type RunOptions, runCommand } from "../cli/commands/run.ts";
import { schemaCommand } from "../cli/commands/schema.ts";
import { statusCommand } from "../cli/commands/status.ts";
import { versionCommand } from "../cli/commands/version.ts";
import type { Catalogue } from "../config/sidecar-file.ts";
import { VERSION } from "./version.ts";

/**
 * Part of the whole program's list, so that both know the same commands. Imports nothing of the local cluster, and nothing
 * heavy before a command runs: probes come every few seconds.
 */
export function sidecarCommands(catalogue: Catalogue = sidecars): readonly Command[] {
  return [
    runCommand(catalogue, async (options: RunOptions, terminal) => {
      const { runSidecarProcess } = await import("./sidecar-process.ts");
      return await runSidecarProcess({ catalogue, options, terminal });
    }),
    readyCommand,
    statusCommand,
    prestopCommand,
    quitCommand,
    ...deadLetterCommands,
    schemaCommand(catalogue),
    versionCommand(VERSION),
  ];
}

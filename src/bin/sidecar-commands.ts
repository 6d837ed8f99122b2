/** The commands that work inside a pod, beside an application: all that the published image has. */
import type { Command } from "../cli/command.ts";
import { versionCommand } from "../cli/commands/version.ts";
import { VERSION } from "./version.ts";

/** Part of the whole program's list, so that both know the same commands. Imports nothing of the local cluster. */
export function sidecarCommands(): readonly Command[] {
  return [versionCommand(VERSION)];
}

/** `pillion down`: ends the pods and the cluster. */
import { ApiClient } from "../api-client.ts";
import { type Command, EXIT, nameOption, stringOption } from "../command.ts";
import type { EngineControl } from "../engine-control.ts";
import { runningEngine, stateFolderOf } from "../state-folder.ts";
import { stopEngine } from "../stop-engine.ts";
import { existsSync } from "node:fs";

/** The command; also clears what a killed engine has left. */
export function downCommand(control: EngineControl): Command {
  return {
    name: "down",
    summary: "End the pods and the cluster; objects and volumes are deleted, images stay",
    usage: "[--name NAME] [--keep-state]",
    options: {
      name: nameOption,
      "keep-state": {
        type: "boolean",
        description: "Keep objects and volumes; the next `up` starts the pods again.",
      },
    },
    examples: ["pillion down", "pillion down --name ci --keep-state"],
    async run(invocation, terminal) {
      const folder = stateFolderOf(terminal.env, stringOption(invocation, "name"));
      if (!existsSync(folder.path)) {
        terminal.err(`cluster "${folder.cluster}" does not exist\n`);
        return EXIT.done;
      }
      const wasRunning = runningEngine(folder) !== undefined;
      const api = wasRunning ? new ApiClient(folder.kubeconfig) : undefined;
      const keepState = invocation.options["keep-state"] === true;
      await stopEngine({ folder, control, terminal, api, keepState });
      terminal.err(`cluster "${folder.cluster}" ${wasRunning ? "has ended" : "was not running"}\n`);
      return EXIT.done;
    },
  };
}

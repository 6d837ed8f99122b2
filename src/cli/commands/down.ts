/** `pillion down`: ends the pods and the cluster. */
import { ApiClient } from "../api-client.ts";
import { messageOf } from "../../kernel/problem.ts";
import { type Command, EXIT, nameOption, stringOption, type Terminal } from "../command.ts";
import type { EngineControl } from "../engine-control.ts";
import { runningEngine, type StateFolder, stateFolderOf } from "../state-folder.ts";
import { stopEngine } from "../stop-engine.ts";
import { existsSync } from "node:fs";

/** Pods without an engine get one once more: it knows their hooks, their order and their grace. */
async function adoptInOrderToEnd(
  control: EngineControl,
  folder: StateFolder,
  terminal: Terminal,
): Promise<void> {
  try {
    const options = { port: 0, imageMaps: [], hostPaths: [], allowPrivileged: false };
    await control.start({ folder, detached: true, keep: false, ...options });
  } catch (error) {
    terminal.err(`${messageOf(error)}; the pods are ended by force\n`);
  }
}

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
      const keepState = invocation.options["keep-state"] === true;
      const hadPods = runningEngine(folder) === undefined && (await control.hasKeptPods(folder));
      if (hadPods) await adoptInOrderToEnd(control, folder, terminal);
      const wasRunning = runningEngine(folder) !== undefined;
      const api = wasRunning ? new ApiClient(folder.kubeconfig) : undefined;
      await stopEngine({ folder, control, terminal, api, keepState });
      terminal.err(`cluster "${folder.cluster}" ${wasRunning ? "has ended" : "was not running"}\n`);
      return EXIT.done;
    },
  };
}

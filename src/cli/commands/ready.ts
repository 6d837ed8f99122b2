/** `pillion ready`: a probe that needs no port, and says why not. */
import type { ProbeAnswer } from "../../runtime/view.ts";
import { type Command, EXIT } from "../command.ts";
import { ControlClient, socketOption } from "../control-client.ts";
import { printable } from "../printable.ts";

export const readyCommand: Command = {
  name: "ready",
  summary: "Tell whether the sidecars are ready: exit code 0 or 1, for exec probes",
  usage: "[--started] [--socket PATH]",
  options: {
    started: { type: "boolean", description: "Ask whether they have started, as a startup probe does." },
    socket: socketOption,
  },
  examples: ["pillion ready", "pillion ready --started"],
  async run(invocation, terminal) {
    const started = invocation.options["started"] === true;
    const word = started ? "started" : "ready";
    const route = started ? "/startupz" : "/readyz";
    const { isOk, because } = await ControlClient.of(invocation).call<ProbeAnswer>(route);
    if (isOk) {
      terminal.out(`${word}\n`);
      return EXIT.done;
    }
    terminal.err(`not ${word}\n${because.map((line) => `  ${printable(line)}\n`).join("")}`);
    return EXIT.problem;
  },
};

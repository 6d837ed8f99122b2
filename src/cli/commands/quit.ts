/** `pillion quit`: ends the sidecar process from inside the pod, for Jobs whose sidecar is a plain container. */
import { type Command, EXIT } from "../command.ts";
import { ControlClient, socketOption } from "../control-client.ts";

export const quitCommand: Command = {
  name: "quit",
  summary: "Let the sidecars finish and the process exit with code 0, as SIGTERM does",
  usage: "[--socket PATH]",
  options: { socket: socketOption },
  examples: ["pillion quit", "pillion quit --socket /run/pillion/control.sock"],
  async run(invocation) {
    await ControlClient.of(invocation).call("/quit", { method: "POST" });
    return EXIT.done;
  },
};

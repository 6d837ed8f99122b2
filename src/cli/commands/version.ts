/** `pillion version`, which is also `pillion --version`. */
import { type Command, EXIT, outputOption, wantsJson } from "../command.ts";

/** The command, given the program's version. */
export function versionCommand(version: string): Command {
  return {
    name: "version",
    summary: "Print the version of this program, as --version does",
    usage: "[-o json]",
    options: { output: outputOption },
    examples: ["pillion version", "pillion version -o json"],
    run(invocation, terminal) {
      terminal.out(wantsJson(invocation) ? `${JSON.stringify({ version })}\n` : `pillion ${version}\n`);
      return Promise.resolve(EXIT.done);
    },
  };
}

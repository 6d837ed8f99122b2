/** `pillion env` and `pillion kubectl`: other people's tools against this cluster. */
import {
  type Command,
  EXIT,
  nameOption,
  outputOption,
  stringOption,
  UsageError,
  wantsJson,
} from "../command.ts";
import { Problem } from "../../kernel/problem.ts";
import { requireEngine, stateFolderOf } from "../state-folder.ts";

export const envCommand: Command = {
  name: "env",
  summary: "Print the shell line that points kubectl and helm at this cluster",
  usage: "[--name NAME] [-o json]",
  options: { name: nameOption, output: outputOption },
  examples: ['eval "$(pillion env)"', "pillion env --name ci -o json"],
  async run(invocation, terminal) {
    const folder = stateFolderOf(terminal.env, stringOption(invocation, "name"));
    requireEngine(folder);
    const quoted = `'${folder.kubeconfig.replaceAll("'", String.raw`'\''`)}'`;
    terminal.out(
      wantsJson(invocation)
        ? `${JSON.stringify({ KUBECONFIG: folder.kubeconfig })}\n`
        : `export KUBECONFIG=${quoted}\n`,
    );
    return EXIT.done;
  },
};

/** Runs a program with this terminal's streams; resolves with its exit code, undefined when there is no such program. */
export type RunProgram = (
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
) => Promise<number | undefined>;

/** `pillion kubectl …`: kubectl from PATH. `--name` must come first, since the rest is kubectl's. */
export function kubectlCommand(runProgram: RunProgram): Command {
  return {
    name: "kubectl",
    summary: "Run the kubectl from PATH against this cluster",
    usage: "[--name NAME] ARGUMENTS...",
    options: {},
    passThrough: true,
    examples: ["pillion kubectl get pods -o wide", "pillion kubectl --name ci describe pod web"],
    async run({ raw }, terminal) {
      const named = raw[0] === "--name" ? raw[1] : raw[0]?.match(/^--name=(.*)$/)?.[1];
      const rest = named === undefined ? raw : raw.slice(raw[0] === "--name" ? 2 : 1);
      if (raw[0] === "--name" && named === undefined) {
        throw new UsageError({
          code: "E_USAGE",
          message: 'Cannot run kubectl: "--name" has no value',
          fix: "Write `pillion kubectl --name NAME get pods`",
        });
      }
      const folder = stateFolderOf(terminal.env, named);
      requireEngine(folder);
      const code = await runProgram(["kubectl", ...rest], { KUBECONFIG: folder.kubeconfig });
      if (code !== undefined) return code;
      throw new Problem({
        code: "E_NO_KUBECTL",
        message: "Cannot run kubectl: it is not on PATH",
        fix: "Install kubectl 1.29 or newer, or use `pillion ps`, `pillion logs` and `pillion events`",
      });
    },
  };
}

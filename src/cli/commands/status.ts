/** `pillion status`: how every sidecar is, and what to do about those that are not well. */
import { formatProblem, Problem } from "../../kernel/problem.ts";
import type { Cause, RuntimeStatus, SidecarStatus } from "../../runtime/view.ts";
import { type Command, EXIT, outputOption, wantsJson } from "../command.ts";
import { ControlClient, socketOption } from "../control-client.ts";
import { printable } from "../printable.ts";
import { formatColumns } from "../table.ts";

export const statusCommand: Command = {
  name: "status",
  summary: "Show how the sidecars of a running process are, with causes and fixes",
  usage: "[-o json] [--socket PATH]",
  options: { output: outputOption, socket: socketOption },
  examples: ["pillion status", "pillion status -o json"],
  async run(invocation, terminal) {
    const json = wantsJson(invocation);
    const status = await ControlClient.of(invocation).call<RuntimeStatus>("/status");
    terminal.out(json ? `${JSON.stringify(status, undefined, 2)}\n` : formatStatus(status));
    return EXIT.done;
  },
};

/** For people: one line per sidecar, then one paragraph for everything that needs care. */
export function formatStatus({ version, phase, startedAt, config, sidecars }: RuntimeStatus): string {
  const rows = sidecars.map((sidecar) => [
    sidecar.name,
    sidecar.kind,
    sidecar.state,
    sidecar.health,
    String(sidecar.restarts),
    undeliveredText(sidecar),
    sidecar.cause?.code ?? "",
  ]);
  const heading = ["SIDECAR", "KIND", "STATE", "HEALTH", "RESTARTS", "UNDELIVERED", "CAUSE"];
  const paragraphs = sidecars.flatMap(({ name, health, since, cause }) =>
    cause === undefined ? [] : [`${name} is ${health} since ${since}\n${causeText(cause)}`],
  );
  const { rejected, needRestart } = config;
  if (rejected !== undefined)
    paragraphs.push(
      `the configuration file was refused at ${rejected.at}; the one of ${config.loadedAt} is in use\n${causeText(rejected)}`,
    );
  if (needRestart.length > 0) {
    const keys = needRestart.map((key) => `"${key}"`).join(", ");
    paragraphs.push(`changes of ${keys} wait for a restart of the process`);
  }
  return [
    `pillion ${version}, ${phase}, since ${startedAt}\n`,
    formatColumns([heading, ...rows]),
    ...paragraphs.map((paragraph) => `${paragraph}\n`),
  ].join("\n");
}

function undeliveredText({ undelivered }: SidecarStatus): string {
  return undelivered === undefined ? "" : String(undelivered.records);
}

function causeText({ code, message, fix }: Cause): string {
  const lines = message.split("\n").map((line) => line.replaceAll(/\p{Cc}/gu, "\u{FFFD}"));
  if (fix === undefined) return `error[${code}]: ${lines.join("\n")}`;
  return formatProblem(new Problem({ code, message: lines.join("\n"), fix: printable(fix) }));
}

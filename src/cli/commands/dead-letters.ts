/** `pillion dead-letters`: records that a receiver refuses for good, and another try when the cause is mended. */
import type { DeadLetter } from "../../kernel/dead-letters.ts";
import {
  type Command,
  EXIT,
  type Option,
  outputOption,
  stringOption,
  UsageError,
  wantsJson,
} from "../command.ts";
import { ControlClient, socketOption } from "../control-client.ts";
import { printable } from "../printable.ts";
import { formatColumns } from "../table.ts";

const sidecarOption: Option = {
  type: "string",
  value: "NAME",
  description: "Only those of this sidecar.",
};

/** A reason may be a receiver's whole error page. */
const REASON_WIDTH = 80;

type Line = DeadLetter & { readonly sidecar: string };

const list: Command = {
  name: "dead-letters ls",
  summary: "List the records that could not be delivered, with the receiver's reason",
  usage: "[--sidecar NAME] [-o json] [--socket PATH]",
  options: { sidecar: sidecarOption, output: outputOption, socket: socketOption },
  examples: ["pillion dead-letters ls", "pillion dead-letters ls --sidecar access-log -o json"],
  async run(invocation, terminal) {
    const json = wantsJson(invocation);
    const sidecar = stringOption(invocation, "sidecar");
    const query = sidecar === undefined ? "" : `?sidecar=${encodeURIComponent(sidecar)}`;
    const letters = ControlClient.of(invocation).lines<Line>(`/dead-letters${query}`);
    if (json) {
      let separator = "[\n";
      for await (const letter of letters) {
        terminal.out(`${separator}${JSON.stringify(letter)}`);
        separator = ",\n";
      }
      terminal.out(separator === "[\n" ? "[]\n" : "\n]\n");
      return EXIT.done;
    }
    const rows: string[][] = [];
    for await (const { sidecar: name, id, at, sink, reason, origin } of letters)
      rows.push([name, id, at, sink, shortened(reason), origin].map((cell) => printable(cell)));
    if (rows.length === 0) terminal.err("no dead letters\n");
    else terminal.out(formatColumns([["SIDECAR", "ID", "SINCE", "SINK", "REASON", "ORIGIN"], ...rows]));
    return EXIT.done;
  },
};

const replay: Command = {
  name: "dead-letters replay",
  summary: "Send dead letters again, when their cause is mended",
  usage: "[--sidecar NAME] ID...|--all [-o json] [--socket PATH]",
  options: {
    all: { type: "boolean", description: "All of them." },
    sidecar: sidecarOption,
    output: outputOption,
    socket: socketOption,
  },
  examples: ["pillion dead-letters replay --all", "pillion dead-letters replay --sidecar access-log 17 18"],
  async run(invocation, terminal) {
    const json = wantsJson(invocation);
    const { positionals: ids } = invocation;
    const all = invocation.options["all"] === true;
    if (all === ids.length > 0) {
      throw new UsageError({
        code: "E_USAGE",
        message: `Cannot tell which dead letters to send: give ids or --all, and not both`,
        fix: "See `pillion dead-letters ls` for the ids",
      });
    }
    const sidecar = stringOption(invocation, "sidecar");
    const body = { ids: all ? "all" : ids, ...(sidecar === undefined ? {} : { sidecar }) };
    const { queued } = await ControlClient.of(invocation).call<{ readonly queued: number }>(
      "/dead-letters/replay",
      { method: "POST", body, timeoutMs: 600_000 },
    );
    if (json) terminal.out(`${JSON.stringify({ queued })}\n`);
    else terminal.out(`${queued === 1 ? "1 record is" : `${queued} records are`} on the way again\n`);
    return EXIT.done;
  },
};

export const deadLetterCommands: readonly Command[] = [list, replay];

function shortened(text: string): string {
  return text.length <= REASON_WIDTH ? text : `${text.slice(0, REASON_WIDTH - 1)}…`;
}

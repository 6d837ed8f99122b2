/** `pillion prestop`: the pod's early warning, for `lifecycle.preStop`. */
import { Problem } from "../../kernel/problem.ts";
import type { RuntimeStatus } from "../../runtime/view.ts";
import { type Command, EXIT, type Invocation, stringOption, type Terminal, UsageError } from "../command.ts";
import { ControlClient, socketOption } from "../control-client.ts";

const POLL_MS = 50;
/** Far below the 30 seconds that a pod has by default: what comes after the hook needs time as well. */
const WAIT_MS = 10_000;
const DURATION = /^(\d{1,6})(ms|s|m)$/;
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

export const prestopCommand: Command = {
  name: "prestop",
  summary: "Tell the sidecars that the pod ends soon, so that they hurry; for preStop hooks",
  usage: "[--wait] [--timeout DURATION] [--grace DURATION] [--socket PATH]",
  options: {
    wait: { type: "boolean", description: "Return when everything that is known so far has been delivered." },
    timeout: {
      type: "string",
      value: "DURATION",
      description: "How long `--wait` waits at most; it is no failure then (default: 10s).",
    },
    grace: {
      type: "string",
      value: "DURATION",
      description: "The pod's `terminationGracePeriodSeconds`, to plan with.",
    },
    socket: socketOption,
  },
  examples: ["pillion prestop", "pillion prestop --wait --timeout 5s", "pillion prestop --grace 30s"],
  async run(invocation, terminal) {
    const client = ControlClient.of(invocation);
    const graceMs = durationOption(invocation, "grace");
    const waitMs = durationOption(invocation, "timeout") ?? WAIT_MS;
    await client.call("/prestop", { method: "POST", body: graceMs === undefined ? {} : { graceMs } });
    if (invocation.options["wait"] === true) await waitForDelivery(client, waitMs, terminal);
    return EXIT.done;
  },
};

async function waitForDelivery(client: ControlClient, waitMs: number, terminal: Terminal): Promise<void> {
  const end = performance.now() + waitMs;
  while (!terminal.stop.aborted) {
    const left = await undelivered(client);
    if (left === 0) return;
    if (performance.now() >= end) {
      terminal.err(`${left} records are not delivered yet\n`);
      return;
    }
    await Bun.sleep(POLL_MS);
  }
}

/** Records, or 0 where there is nobody any more to ask. */
async function undelivered(client: ControlClient): Promise<number> {
  try {
    const { sidecars } = await client.call<RuntimeStatus>("/status");
    return sidecars.reduce((sum, { undelivered }) => sum + (undelivered?.records ?? 0), 0);
  } catch (error) {
    if (error instanceof Problem && error.code === "E_NOT_RUNNING") return 0;
    throw error;
  }
}

function durationOption(invocation: Invocation, name: string): number | undefined {
  const text = stringOption(invocation, name);
  if (text === undefined) return undefined;
  const [, number = "", unit = ""] = DURATION.exec(text) ?? [];
  if (number !== "") return Number(number) * (MS[unit] ?? 1);
  throw new UsageError({
    code: "E_USAGE",
    message: `Cannot use "${text}" for --${name}: it is no duration`,
    fix: "Write a number and a unit, for example `5s` or `500ms`",
  });
}

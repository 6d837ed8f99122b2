/** `pods/exec` and `pods/attach`: checks the request in the words of the real server, then serves its streams. */
import { StatusError } from "../../../k8s/status-error.ts";
import type { ContainerPlace } from "../../kubelet/port.ts";
import { chooseContainer } from "../choose-container.ts";
import { asBoolean } from "../request-options.ts";
import type { ByteConnection } from "./byte-connection.ts";
import type { StreamChoice } from "./command-channels.ts";
import { COMMAND_SPDY_PROTOCOLS, spdyChannels } from "./command-spdy.ts";
import { COMMAND_WEB_SOCKET_PROTOCOLS, webSocketChannels } from "./command-web-socket.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { type Command, internalError, runCommand } from "./run-command.ts";
import { refuseUnscheduled, type StreamContext, type StreamPlan } from "./stream-context.ts";
import { type Agreement, agreeOn, NodeRefusal } from "./upgrade-protocol.ts";
import { WebSocketConnection } from "./web-socket.ts";

/** Throws `StatusError` and `NodeRefusal`. */
export function execPlan(context: StreamContext): StreamPlan {
  const argv = context.query.getAll("command");
  return commandPlan(context, ({ at, wanted }) => {
    if (argv.length === 0 || argv[0] === "") {
      throw new StatusError("BadRequest", "you must specify at least 1 command for the container");
    }
    const { stdin, tty } = wanted;
    return {
      start: () => context.kubelet.exec(at, { argv, stdin, tty }),
      failure: "error executing command in container",
      reportsExitCode: true,
    };
  });
}

/** Throws `StatusError` and `NodeRefusal`. */
export function attachPlan(context: StreamContext): StreamPlan {
  return commandPlan(context, ({ at, wanted }) => ({
    start: () => context.kubelet.attach(at, wanted),
    failure: "error attaching to container",
    reportsExitCode: false,
  }));
}

interface Target {
  readonly at: ContainerPlace;
  readonly wanted: StreamChoice;
}

function commandPlan(context: StreamContext, commandFor: (target: Target) => Command): StreamPlan {
  const { pod, query, headers } = context;
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const at = { namespace, name, container: chooseContainer(pod, query.get("container") ?? "") };
  refuseUnscheduled(pod);
  const wanted = streamChoice(query);
  const command = commandFor({ at, wanted });
  const agreement = agreeOn(headers, {
    webSocket: COMMAND_WEB_SOCKET_PROTOCOLS,
    spdy: COMMAND_SPDY_PROTOCOLS,
  });
  const refusal = nodeRefusal(context, { at, wanted });
  // The API server of Kubernetes speaks v5 itself and hears of the node's refusal only after the upgrade.
  if (refusal !== undefined && agreement.protocol !== "v5.channel.k8s.io") throw refusal;
  const failing = refusal === undefined ? {} : { refusal };
  return {
    headers: agreement.headers,
    serve: (connection) => serveCommand(connection, { agreement, wanted, command, context, ...failing }),
  };
}

function streamChoice(query: URLSearchParams): StreamChoice {
  const asked = (name: string) => query.has(name) && asBoolean(query.get(name) ?? "");
  const tty = asked("tty");
  // A terminal has one output.
  return { stdin: asked("stdin"), stdout: asked("stdout"), stderr: asked("stderr") && !tty, tty };
}

function nodeRefusal({ kubelet }: StreamContext, { at, wanted }: Target): NodeRefusal | undefined {
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr) {
    return new NodeRefusal(400, "you must specify at least 1 of stdin, stdout, stderr");
  }
  if (kubelet.isRunning(at)) return undefined;
  return new NodeRefusal(500, `container not found (${JSON.stringify(at.container)})`);
}

interface ServedCommand {
  readonly agreement: Agreement;
  readonly wanted: StreamChoice;
  readonly command: Command;
  readonly context: StreamContext;
  readonly refusal?: NodeRefusal;
}

async function serveCommand(
  connection: ByteConnection,
  { agreement, wanted, command, context: { clock }, refusal }: ServedCommand,
): Promise<void> {
  if (agreement.transport === "SPDY") {
    const opened = await spdyChannels(connection, { protocol: agreement.protocol, wanted, clock });
    if (opened === undefined) return;
    startHeartbeat(connection, clock, () => opened.beat());
    await Promise.all([runCommand(opened.channels, command), opened.received]);
    return;
  }
  const socket = new WebSocketConnection(connection);
  const { channels, received } = webSocketChannels(socket, wanted);
  startHeartbeat(connection, clock, () => socket.beat());
  const answer =
    refusal === undefined
      ? runCommand(channels, command)
      : channels.finish(internalError(`unable to upgrade connection: ${refusal.message}`));
  await Promise.all([answer, received]);
}

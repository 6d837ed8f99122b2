/** `pillion run`: the sidecar process itself. */
import { resolve } from "node:path";
import type { Catalogue } from "../../config/sidecar-file.ts";
import {
  type Command,
  EXIT,
  type Invocation,
  type Option,
  stringOption,
  type Terminal,
  UsageError,
} from "../command.ts";

/** What the command line says; each of `state`, `socket` and `port` wins over the file. */
export interface RunOptions {
  /** The configuration file, an absolute path. */
  readonly file: string;
  /** End when there is nothing left to do. */
  readonly once: boolean;
  readonly state: string | undefined;
  readonly socket: string | undefined;
  readonly port: number | undefined;
}

/** Runs the sidecars of a file until the terminal says stop; resolves with the exit code. */
export type RunSidecars = (options: RunOptions, terminal: Terminal) => Promise<number>;

const options: Readonly<Record<string, Option>> = {
  config: { type: "string", short: "c", value: "FILE", description: "The configuration, a YAML file." },
  once: {
    type: "boolean",
    description: "Do what there is to do, then exit, as an init container does.",
  },
  check: { type: "boolean", description: "Only check the configuration; say every mistake." },
  state: {
    type: "string",
    value: "DIR",
    description: "Folder for what must survive a restart; wins over `state` in the file.",
  },
  socket: {
    type: "string",
    value: "PATH",
    description: "Control socket; wins over `admin.socket` in the file.",
  },
  port: {
    type: "string",
    value: "N",
    description: "Port of probes and metrics, 0 for any free one; wins over `admin.port` in the file.",
  },
};

/** The command, given the kinds of sidecar and the way to run them. */
export function runCommand(catalogue: Catalogue, runSidecars: RunSidecars): Command {
  return {
    name: "run",
    summary: "Run the sidecars of a configuration file in this process, until SIGTERM",
    usage: "-c FILE [--once] [--check] [--state DIR] [--socket PATH] [--port N]",
    options,
    examples: [
      "pillion run -c /etc/pillion/pillion.yaml",
      "pillion run -c pillion.yaml --check",
      "pillion run -c pillion.yaml --state ./state --socket ./control.sock --port 0   # without root",
    ],
    async run(invocation, terminal) {
      const wanted = optionsOf(invocation, terminal);
      if (invocation.options["check"] !== true) return await runSidecars(wanted, terminal);
      const { readSidecarFile } = await import("../../config/sidecar-file.ts");
      const { sidecars } = await readSidecarFile(wanted.file, catalogue);
      const names = sidecars.map(({ name, sidecar }) => `${name} (${sidecar.kind})`).join(", ");
      terminal.out(`"${wanted.file}" is fine: ${names}\n`);
      return EXIT.done;
    },
  };
}

function optionsOf(invocation: Invocation, { cwd }: Terminal): RunOptions {
  const file = stringOption(invocation, "config");
  const [extra] = invocation.positionals;
  if (file === undefined || extra !== undefined) {
    throw new UsageError({
      code: "E_USAGE",
      message:
        extra === undefined
          ? `Cannot run sidecars: no configuration is given`
          : `Cannot use "${extra}": "pillion run" takes options only`,
      fix: `Give the configuration with \`-c ${extra ?? "FILE"}\``,
    });
  }
  const path = (name: string) => {
    const given = stringOption(invocation, name);
    return given === undefined ? undefined : resolve(cwd, given);
  };
  return {
    file: resolve(cwd, file),
    once: invocation.options["once"] === true,
    state: path("state"),
    socket: path("socket"),
    port: portOf(stringOption(invocation, "port")),
  };
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new UsageError({
    code: "E_USAGE",
    message: `Cannot listen on port "${text}": it is no port number`,
    fix: "Use a number from 1 to 65535, or 0 for any free port",
  });
}

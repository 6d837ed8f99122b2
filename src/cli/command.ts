/** One contract for every command: what it is called, what it takes, what it does; help and parsing follow from it. */
import { parseArgs } from "node:util";
import { messageOf, Problem } from "../kernel/problem.ts";

export interface Option {
  readonly type: "string" | "boolean";
  /** One letter, without the dash. */
  readonly short?: string;
  readonly multiple?: boolean;
  /** Placeholder in the help text, for example `FILE`. */
  readonly value?: string;
  readonly description: string;
}

/** Where a command's text goes, and what it learns of its surroundings. Only `src/bin` makes one. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly isInteractive: boolean;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the user asks to stop (Ctrl-C, SIGTERM, SIGHUP, or nobody is left to read the output). */
  readonly stop: AbortSignal;
  /** Aborts when the user insists (a second Ctrl-C). */
  readonly stopNow: AbortSignal;
  readonly readStdin: () => Promise<string>;
}

export interface Invocation {
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly positionals: readonly string[];
  /** Arguments as they were given, for commands that hand them on. */
  readonly raw: readonly string[];
}

export interface Command {
  /** Words that select it, for example `images pull`. */
  readonly name: string;
  readonly summary: string;
  /** What follows the name, for example `[-f FILE|DIR]... [-d]`. */
  readonly usage: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Shell lines that work as they stand. */
  readonly examples: readonly string[];
  /** Hands every argument to `run` unparsed (`pillion kubectl`). */
  readonly passThrough?: boolean;
  /** Not listed in the help: the program calls itself. */
  readonly internal?: boolean;
  /** Resolves with the exit code. */
  run(invocation: Invocation, terminal: Terminal): Promise<number>;
}

export const EXIT = { done: 0, problem: 1, usage: 2, bug: 70 } as const;

/** Thrown for wrong words on the command line; exit code 2. */
export class UsageError extends Problem<"E_USAGE"> {}

/** Parses what follows the command's name. Unknown options name the nearest help. */
export function parseInvocation(command: Command, args: readonly string[]): Invocation {
  if (command.passThrough) return { options: {}, positionals: args, raw: args };
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: Object.fromEntries(
        Object.entries(command.options).map(([name, { type, short, multiple }]) => [
          name,
          { type, ...(short === undefined ? {} : { short }), ...(multiple ? { multiple } : {}) },
        ]),
      ),
      allowPositionals: true,
    });
    return { options: values as Invocation["options"], positionals, raw: args };
  } catch (cause) {
    const message = `Cannot run "pillion ${command.name}": ${messageOf(cause).split(". ")[0]}`;
    throw new UsageError({
      code: "E_USAGE",
      message,
      fix: `See \`pillion ${command.name} --help\``,
      cause,
    });
  }
}

export function helpOf(command: Command): string {
  const rows = Object.entries(command.options).map(([name, { short, value, description }]) => {
    const flag = `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
    return [flag, description] as const;
  });
  const width = Math.max(0, ...rows.map(([flag]) => flag.length));
  const lines = [
    command.summary,
    "",
    `Usage: pillion ${`${command.name} ${command.usage}`.trim()}`,
    ...(rows.length === 0 ? [] : ["", "Options:"]),
    ...rows.map(([flag, description]) => `  ${flag.padEnd(width)}  ${description}`),
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** What `pillion images --help` prints: the commands whose names begin with that word. */
export function groupHelpOf(group: string, commands: readonly Command[]): string {
  const lines = [
    `Usage: pillion ${group} COMMAND [OPTIONS]`,
    "",
    "Commands:",
    ...summariesOf(commands),
    "",
    `Every command explains itself: pillion ${group} COMMAND --help`,
  ];
  return `${lines.join("\n")}\n`;
}

function summariesOf(commands: readonly Command[]): string[] {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
}

/** The overview that `pillion --help` prints. */
export function overviewOf(commands: readonly Command[]): string {
  const lines = [
    "Pillion runs Kubernetes pods and their sidecars on this machine.",
    "",
    "Usage: pillion COMMAND [OPTIONS]",
    "",
    "Commands:",
    ...summariesOf(commands.filter(({ internal }) => !internal)),
    "",
    "Every command explains itself: pillion COMMAND --help",
    "Exit codes: 0 done, 1 problem, 2 usage, 70 a bug of Pillion's",
  ];
  return `${lines.join("\n")}\n`;
}

export function stringOption({ options }: Invocation, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

export function listOption({ options }: Invocation, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}

/** `-o json` or nothing; anything else is a usage error. */
export function wantsJson(invocation: Invocation): boolean {
  const output = stringOption(invocation, "output");
  if (output === undefined || output === "json") return output === "json";
  throw new UsageError({
    code: "E_USAGE",
    message: `Cannot print the output as "${output}": the formats are "json" and the default text`,
    fix: "Use `-o json`, or leave `-o` out",
  });
}

export const outputOption: Option = {
  type: "string",
  short: "o",
  value: "json",
  description: "Print data instead of text.",
};

export const nameOption: Option = {
  type: "string",
  value: "NAME",
  description: "Which cluster, when there are several (default: default).",
};

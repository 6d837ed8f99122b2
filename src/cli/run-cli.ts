/** From words to an exit code: finds the command, prints help, turns everything thrown into the text people act on. */
import { formatProblem, Problem } from "../kernel/problem.ts";
import { StatusError } from "../k8s/status-error.ts";
import {
  type Command,
  EXIT,
  groupHelpOf,
  helpOf,
  overviewOf,
  parseInvocation,
  type Terminal,
  UsageError,
} from "./command.ts";
import { nearest } from "../lib/nearest.ts";

/** Runs one command line. Never throws. */
export async function runCli(
  args: readonly string[],
  commands: readonly Command[],
  terminal: Terminal,
): Promise<number> {
  try {
    return await dispatch(args, commands, terminal);
  } catch (thrown) {
    return explain(thrown, terminal);
  }
}

async function dispatch(
  args: readonly string[],
  commands: readonly Command[],
  terminal: Terminal,
): Promise<number> {
  const [first = "", ...after] = args;
  if (first === "--version") return await dispatch(["version", ...after], commands, terminal);
  if (args.length === 0 || first === "help" || asksForHelp([first])) {
    terminal.out(helpFor(after, commands));
    return args.length === 0 ? EXIT.usage : EXIT.done;
  }
  const found = findCommand(args, commands);
  if (found === undefined) {
    if (!asksForHelp(after) || groupOf(first, commands).length === 0) throw unknownCommand(args, commands);
    terminal.out(helpFor(args, commands));
    return EXIT.done;
  }
  const { command, rest } = found;
  const beforeDashes = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (!command.passThrough && asksForHelp(beforeDashes)) {
    terminal.out(helpOf(command));
    return EXIT.done;
  }
  return await command.run(parseInvocation(command, rest), terminal);
}

function asksForHelp(args: readonly string[]): boolean {
  return args.includes("--help") || args.includes("-h");
}

/** Of a command, of a group of commands, or of everything. */
function helpFor(args: readonly string[], commands: readonly Command[]): string {
  const found = findCommand(args, commands);
  if (found !== undefined) return helpOf(found.command);
  const [group = ""] = args;
  const members = groupOf(group, commands);
  return members.length > 0 ? groupHelpOf(group, members) : overviewOf(commands);
}

/** Commands of several words that begin with this one. */
function groupOf(word: string, commands: readonly Command[]): readonly Command[] {
  return commands.filter(({ name, internal }) => !internal && name.startsWith(`${word} `));
}

function findCommand(
  args: readonly string[],
  commands: readonly Command[],
): { readonly command: Command; readonly rest: readonly string[] } | undefined {
  const matching = commands
    .filter(({ name }) => name.split(" ").every((word, index) => args[index] === word))
    .toSorted((a, b) => b.name.length - a.name.length);
  const [command] = matching;
  return command && { command, rest: args.slice(command.name.split(" ").length) };
}

function unknownCommand(args: readonly string[], commands: readonly Command[]): UsageError {
  const names = commands.filter(({ internal }) => !internal).map(({ name }) => name);
  const family = groupOf(args[0] ?? "", commands).map(({ name }) => name);
  const given = args.slice(0, family.length > 0 ? 2 : 1).join(" ");
  const guess = nearest(given, names);
  return new UsageError({
    code: "E_USAGE",
    message: `Cannot run "pillion ${given}": there is no such command`,
    fix:
      family.length > 0
        ? `Use one of: ${family.map((name) => `pillion ${name}`).join(", ")}`
        : guess === undefined
          ? "See `pillion --help` for the list"
          : `Did you mean \`pillion ${guess}\`? See \`pillion --help\` for the list`,
  });
}

function explain(thrown: unknown, terminal: Terminal): number {
  if (thrown instanceof Problem) {
    terminal.err(`${formatProblem(thrown)}\n`);
    return thrown instanceof UsageError ? EXIT.usage : EXIT.problem;
  }
  if (thrown instanceof StatusError) {
    terminal.err(`error[E_API_${thrown.reason.toUpperCase()}]: ${thrown.message}\n`);
    return EXIT.problem;
  }
  const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  terminal.err(`error[E_BUG]: Pillion failed in a way it should not:\n${detail}\n`);
  terminal.err("  fix: report this text, and what you ran, as a bug of Pillion's\n");
  return EXIT.bug;
}

/** The command line's contract: exit codes, help, and what wrong words get. */
import { describe, expect, test } from "bun:test";
import { Problem } from "../kernel/problem.ts";
import { type Command, EXIT, type Terminal } from "./command.ts";
import { versionCommand } from "./commands/version.ts";
import { runCli } from "./run-cli.ts";

function fakeTerminal(): Terminal & { readonly text: { out: string; err: string } } {
  const text = { out: "", err: "" };
  return {
    text,
    out: (more) => void (text.out += more),
    err: (more) => void (text.err += more),
    isInteractive: false,
    cwd: "/",
    env: {},
    stop: new AbortController().signal,
    stopNow: new AbortController().signal,
    readStdin: () => Promise.resolve(""),
  };
}

function command(name: string, run: Command["run"]): Command {
  return {
    name,
    summary: `Does ${name}`,
    usage: "[--name NAME]",
    options: { name: { type: "string", value: "NAME", description: "Which." } },
    examples: [`pillion ${name}`],
    run,
  };
}

const commands = [
  command("up", () => Promise.resolve(EXIT.done)),
  command("images pull", () => Promise.resolve(EXIT.done)),
  command("images ls", () => Promise.resolve(EXIT.done)),
  command("fail", () =>
    Promise.reject(new Problem({ code: "E_SAMPLE", message: "Cannot do it: it is late", fix: "Come back" })),
  ),
  command("crash", () => Promise.reject(new TypeError("boom"))),
];

describe("runCli()", () => {
  test.each([
    ["a command that works", ["up"], EXIT.done, /^$/],
    [
      "a problem",
      ["fail"],
      EXIT.problem,
      /^error\[E_SAMPLE\]: Cannot do it: it is late\n {2}fix: Come back\n$/,
    ],
    ["a bug of ours", ["crash"], EXIT.bug, /E_BUG.*\nTypeError: boom/],
    ["an unknown command", ["upp"], EXIT.usage, /Did you mean `pillion up`/],
    ["an unknown sub-command", ["images", "pul"], EXIT.usage, /pillion images pull, pillion images ls/],
    [
      "an unknown option",
      ["up", "--nane", "x"],
      EXIT.usage,
      /Unknown option '--nane'.*\n {2}fix: See `pillion up --help`/,
    ],
    ["no command", [], EXIT.usage, /^$/],
  ] as const)("answers %s", async (_, args, code, err) => {
    const terminal = fakeTerminal();
    expect(await runCli(args, commands, terminal)).toBe(code);
    expect(terminal.text.err).toMatch(err);
  });

  test("prints the members of a group of commands for every form of asking", async () => {
    for (const args of [
      ["images", "--help"],
      ["images", "-h"],
      ["help", "images"],
      ["images", "pul", "--help"],
    ]) {
      const terminal = fakeTerminal();
      expect(await runCli(args, commands, terminal)).toBe(EXIT.done);
      expect(terminal.text).toEqual({
        err: "",
        out: expect.stringContaining(
          "Usage: pillion images COMMAND [OPTIONS]\n\nCommands:\n  images pull  Does images pull\n  images ls    Does images ls\n",
        ),
      });
    }
  });

  test("prints the version for both forms of asking", async () => {
    for (const args of [["version"], ["--version"]]) {
      const terminal = fakeTerminal();
      expect(await runCli(args, [...commands, versionCommand("1.2.3")], terminal)).toBe(EXIT.done);
      expect(terminal.text).toEqual({ err: "", out: "pillion 1.2.3\n" });
    }
  });

  test("prints help for every form of asking", async () => {
    for (const args of [
      ["up", "--help"],
      ["help", "up"],
      ["up", "-h"],
    ]) {
      const terminal = fakeTerminal();
      expect(await runCli(args, commands, terminal)).toBe(EXIT.done);
      expect(terminal.text.out).toContain("Usage: pillion up [--name NAME]");
      expect(terminal.text.out).toContain("Examples:\n  pillion up\n");
    }
  });
});

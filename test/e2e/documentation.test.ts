/** What the documents tell people to type exists. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sidecars } from "../../generated/sidecars.ts";
import { createCommands } from "../../src/bin/commands.ts";
import { type Command, helpOf, parseInvocation, type Terminal } from "../../src/cli/command.ts";
import { parseSidecarFile } from "../../src/config/sidecar-file.ts";

const root = join(import.meta.dirname, "../..");
const documents = [
  "README.md",
  "CONTRIBUTING.md",
  "bench/README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, "examples")).map((name) => `examples/${name}/README.md`),
];

const terminal: Terminal = {
  out: () => {},
  err: () => {},
  isInteractive: false,
  cwd: root,
  env: {},
  stop: new AbortController().signal,
  stopNow: new AbortController().signal,
  readStdin: () => Promise.resolve(""),
};
const commands = createCommands(terminal);

function linesOfShell(text: string): string[] {
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = ""]) => block.trim().split("\n"));
}

/** Words after `pillion` in a shell line, without comments, prompts and what follows a pipe or `&&`. */
function pillionWords(line: string): string[][] {
  return [...line.replace(/\s#.*$/, "").matchAll(/(?:^|[\s("])(?:npx )?pillion ([^|&)"]+)/g)].map(
    ([, rest = ""]) => rest.trim().split(/\s+/),
  );
}

function parse(words: readonly string[]): Command {
  const command = commands
    .filter(({ name }) => name.split(" ").every((word, index) => words[index] === word))
    .toSorted((a, b) => b.name.length - a.name.length)[0];
  if (command === undefined) throw new Error(`there is no command "pillion ${words.join(" ")}"`);
  parseInvocation(command, words.slice(command.name.split(" ").length));
  return command;
}

describe.each(documents)("%s", (document) => {
  const text = readFileSync(join(root, document), "utf8");

  test("names commands and options that exist", () => {
    for (const line of linesOfShell(text)) for (const words of pillionWords(line)) parse(words);
  });

  test("shows configurations that are valid", async () => {
    for (const [, block = ""] of text.matchAll(/```yaml\n([\s\S]*?)```/g)) {
      if (/^sidecars:$/m.test(block)) await parseSidecarFile(document, block, sidecars);
    }
  });

  test("links to files that exist", () => {
    for (const [, target = ""] of text.matchAll(/\]\(([^)#]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      expect({ target, exists: existsSync(join(root, dirname(document), target)) }).toEqual({
        target,
        exists: true,
      });
    }
  });
});

describe.each(
  commands.filter(({ internal }) => !internal).map((command) => [command.name, command] as const),
)("pillion %s --help", (_, command) => {
  test("has examples that parse", () => {
    expect(command.examples.length).toBeGreaterThan(0);
    for (const example of command.examples) for (const words of pillionWords(example)) parse(words);
  });

  test("describes every option in a sentence", () => {
    for (const { description } of Object.values(command.options)) expect(description).toMatch(/[.)]$/);
    expect(helpOf(command)).toContain(`Usage: pillion ${command.name}`);
  });
});

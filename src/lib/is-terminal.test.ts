import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { isTerminal } from "./is-terminal.ts";

function isTerminalAt(path: string): boolean {
  const fd = openSync(path, "r");
  try {
    return isTerminal(fd);
  } finally {
    closeSync(fd);
  }
}

test("isTerminal() tells a terminal from files, /dev/null and pipes", () => {
  expect([isTerminalAt("/dev/null"), isTerminalAt(import.meta.path), isTerminalAt("/")]).toEqual([
    false,
    false,
    false,
  ]);
  const program = `process.stdout.write(String((await import(${JSON.stringify(import.meta.resolve("./is-terminal.ts"))})).isTerminal(1)))`;
  const piped = Bun.spawnSync([process.execPath, "-e", program]);
  expect(piped.stdout.toString()).toBe("false");
});

test("isTerminal() is false for a descriptor that is not open", () => {
  expect(isTerminal(1_000_000)).toBe(false);
});

test("isTerminal() knows a pseudo-terminal", async () => {
  let text = "";
  const program = `process.stdout.write(String((await import(${JSON.stringify(import.meta.resolve("./is-terminal.ts"))})).isTerminal(1)))`;
  const child = Bun.spawn([process.execPath, "-e", program], {
    terminal: { cols: 80, rows: 24, data: (_, bytes) => void (text += Buffer.from(bytes).toString()) },
  });
  await child.exited;
  expect(text.trim()).toBe("true");
});

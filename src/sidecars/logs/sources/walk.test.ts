import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseGlob } from "./glob.ts";
import { walk } from "./walk.ts";

function visit(pattern: string): { files: string[]; refused: string[] } {
  const files: string[] = [];
  const refused: string[] = [];
  for (const one of parseGlob(pattern)) {
    const steps = walk(one, {
      file: (path) => void files.push(path),
      folder: () => undefined,
      refused: (path, error) => void refused.push(`${path}: ${String(error)}`),
    });
    for (const _ of steps);
  }
  return { files, refused };
}

test("links that lead to the kernel's files are refused with their place, those to logs are followed", () => {
  const folder = mkdtempSync(join(tmpdir(), "pillion-walk-"));
  try {
    mkdirSync(join(folder, "elsewhere"));
    writeFileSync(join(folder, "elsewhere", "real.log"), "a line\n");
    mkdirSync(join(folder, "logs"));
    symlinkSync(join(folder, "elsewhere", "real.log"), join(folder, "logs", "good.log"));
    symlinkSync("/proc/version", join(folder, "logs", "bad.log"));
    symlinkSync("/proc/self", join(folder, "logs", "deep"));
    const byPattern = visit(join(folder, "logs", "*.log"));
    expect(byPattern.files).toEqual([join(folder, "logs", "good.log")]);
    expect(byPattern.refused).toEqual([
      `${join(folder, "logs", "bad.log")}: Error: it is a link to "/proc/version", where no logs are`,
    ]);
    expect(visit(join(folder, "logs", "bad.log")).files).toEqual([]);
    expect(visit(join(folder, "logs", "**", "status")).files).toEqual([]);
    expect(visit(join(folder, "logs", "deep", "status")).files).toEqual([]);
    expect(visit("/proc/self/status").files).toEqual(["/proc/self/status"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

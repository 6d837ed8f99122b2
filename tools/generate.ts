/**
 * Runs every generator (`tools/gen-*.ts`). With `--check` it says which generated files are out of date,
 * leaves them as they were, and ends with exit code 1.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
/** Folders in which everything is written by a generator. */
const FOLDERS = ["generated", "docs/reference"];

/** Everything that is generated, relative to the root. */
function generatedFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  ).toSorted();
}

function runGenerators(): void {
  const names = readdirSync(import.meta.dirname).filter((name) => /^gen-.*(?<!\.test)\.ts$/.test(name));
  for (const name of names.toSorted()) {
    const run = Bun.spawnSync([process.execPath, join(import.meta.dirname, name)], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (run.exitCode !== 0) throw new Error(`${name} ended with exit code ${run.exitCode}`);
  }
}

function readGenerated(): Map<string, string> {
  return new Map(generatedFiles().map((name) => [name, readFileSync(join(root, name), "utf8")]));
}

function restore(before: ReadonlyMap<string, string>): void {
  for (const name of generatedFiles()) {
    if (!before.has(name)) rmSync(join(root, name));
  }
  for (const [name, text] of before) {
    const file = join(root, name);
    if (!existsSync(file) || readFileSync(file, "utf8") !== text) writeFileSync(file, text);
  }
}

function check(): string[] {
  const before = readGenerated();
  try {
    runGenerators();
    const after = readGenerated();
    const names = new Set([...before.keys(), ...after.keys()]);
    return [...names].filter((name) => before.get(name) !== after.get(name));
  } finally {
    restore(before);
  }
}

if (process.argv.includes("--check")) {
  const drifted = check();
  for (const name of drifted) console.error(`${name} is out of date\n  fix: bun run generate`);
  process.exitCode = drifted.length === 0 ? 0 : 1;
} else {
  runGenerators();
}

#!/usr/bin/env node
// Starts Pillion on the Bun that npm installed beside it, so that `npx pillion` works where Bun is not on PATH.
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const main = join(dirname(fileURLToPath(import.meta.url)), "../src/bin/main.ts");
const SMALLEST_BUN_BYTES = 1_000_000;

/** The real binary is in the `bun` package, or, where npm skipped its install script, only in the platform's own package. */
function findBun() {
  const platform = { x64: "x64", arm64: "aarch64" }[process.arch] ?? process.arch;
  const places = [
    ["bun/package.json", "bin/bun.exe"],
    [`@oven/bun-${process.platform}-${platform}/package.json`, "bin/bun"],
    [`@oven/bun-${process.platform}-${platform}-baseline/package.json`, "bin/bun"],
  ];
  for (const [manifest, program] of places) {
    try {
      const path = join(dirname(require.resolve(manifest)), program);
      if (existsSync(path) && statSync(path).size > SMALLEST_BUN_BYTES) return path;
    } catch {
      continue; // Not installed for this platform.
    }
  }
  return undefined;
}

/** Bun keeps translated sources somewhere in the home folder; Pillion writes to its state folder only (src/cli/state-folder.ts). */
function transpilerCache({ BUN_RUNTIME_TRANSPILER_CACHE_PATH, PILLION_HOME, XDG_STATE_HOME, HOME }) {
  if (BUN_RUNTIME_TRANSPILER_CACHE_PATH !== undefined) return BUN_RUNTIME_TRANSPILER_CACHE_PATH;
  const home =
    PILLION_HOME ||
    (XDG_STATE_HOME && join(XDG_STATE_HOME, "pillion")) ||
    (HOME && join(HOME, ".local/state/pillion"));
  // No name of a cluster begins with a dot. "0" keeps nothing.
  return home ? join(home, ".transpiled") : "0";
}

const bun = findBun();
if (bun === undefined) {
  const platform = `${process.platform} ${process.arch}`;
  console.error(`error[E_NO_BUN]: Cannot start Pillion: no Bun for ${platform} is installed beside it`);
  console.error("  fix: run `npm install` in Pillion's folder, on the machine that is to run it");
  process.exit(1);
}

// A pipe that ends with this process tells the child that nobody is waiting for it any more.
const child = spawn(bun, [main, ...process.argv.slice(2)], {
  stdio: ["inherit", "inherit", "inherit", "pipe"],
  env: {
    ...process.env,
    PILLION_LIFELINE_FD: "3",
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: transpilerCache(process.env),
  },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
  process.on(signal, () => {
    // A terminal sends SIGINT to the child as well; the others come to this process alone.
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("error", (error) => {
  console.error(`error[E_NO_BUN]: Cannot start Pillion: ${error.message}`);
  console.error("  fix: run `npm install` in Pillion's folder again");
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));

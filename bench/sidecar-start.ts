/**
 * How soon `pillion run` is ready, what it needs when idle, and what a probe by command costs: from its image's bundle, and
 * from source. Run: `bun bench/sidecar-start.ts`. Prints a table and writes nothing that stays.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownProgram } from "../src/bin/own-program.ts";

const ROUNDS = 20;
const IDLE_MS = 2000;
const GIVE_UP_MS = 5000;
const MAIN = join(import.meta.dirname, "../src/bin/main.ts");

const folder = mkdtempSync(join(tmpdir(), "pillion-start-"));
const logs = join(folder, "logs");
const socket = join(folder, "control.sock");
const config = join(folder, "pillion.yaml");

interface Started {
  readonly child: Bun.Subprocess<"ignore", "ignore", "ignore">;
  readonly readyMs: number;
}

/** Time from exec to the first 200 of `/readyz`. Asking costs up to half a millisecond of it. */
async function start(program: readonly string[], port: number): Promise<Started> {
  const options = ["--port", String(port), "--socket", socket, "--state", join(folder, "state")];
  const begun = Bun.nanoseconds();
  const child = Bun.spawn([...program, "run", "-c", config, ...options], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  const passed = () => (Bun.nanoseconds() - begun) / 1e6;
  while (!(await isReady(port))) {
    if (child.exitCode !== null || passed() > GIVE_UP_MS)
      throw new Error(`${program.join(" ")} is not ready`);
    await Bun.sleep(0);
  }
  return { child, readyMs: passed() };
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200;
  } catch {
    return false;
  }
}

async function end({ child }: Started): Promise<void> {
  child.kill("SIGTERM");
  await child.exited;
}

/** MiB by the names of /proc/PID/smaps_rollup. */
function memoryOf(pid: number): (name: "Rss" | "Pss") => string {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return (name) => (Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]) / 1024).toFixed(1);
}

function commandMs(program: readonly string[], words: readonly string[]): number {
  const begun = Bun.nanoseconds();
  Bun.spawnSync([...program, ...words], { stdio: ["ignore", "ignore", "ignore"] });
  return (Bun.nanoseconds() - begun) / 1e6;
}

function spread(figures: readonly number[]): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `${at(0.5)} (${at(0)}–${at(0.9)})`;
}

async function measure(name: string, program: readonly string[]): Promise<string> {
  const ready: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = await start(program, freePort());
    ready.push(started.readyMs);
    await end(started);
  }
  const idle = await start(program, freePort());
  await Bun.sleep(IDLE_MS);
  const memory = memoryOf(idle.child.pid);
  const probes = Array.from({ length: ROUNDS }, () => commandMs(program, ["ready", "--socket", socket]));
  const hooks = Array.from({ length: ROUNDS }, () => commandMs(program, ["prestop", "--socket", socket]));
  await end(idle);
  return `| ${name} | ${spread(ready)} | ${memory("Rss")} / ${memory("Pss")} | ${spread(probes)} | ${spread(hooks)} |`;
}

/** One that was free a moment ago. */
function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() });
  const { port = 0 } = server;
  void server.stop(true);
  return port;
}

try {
  for (const path of [logs, join(folder, "bundle")]) mkdirSync(path);
  writeFileSync(join(logs, "app.log"), "a line\n");
  writeFileSync(
    config,
    `sidecars: { app: { kind: logs, files: [${JSON.stringify(join(logs, "*.log"))}], to: [{ stdout: {} }] } }\n`,
  );
  const begun = Bun.nanoseconds();
  await ownProgram(folder).bundle(join(folder, "bundle"));
  console.log(`bundled in ${((Bun.nanoseconds() - begun) / 1e6).toFixed(0)} ms`);
  console.log("| program | ready after ms (min–p90) | RSS / PSS MiB | `ready` ms | `prestop` ms |");
  console.log("| --- | --- | --- | --- | --- |");
  console.log(await measure("image", [process.execPath, join(folder, "bundle/pillion.js")]));
  console.log(await measure("source", [process.execPath, MAIN]));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a program of tests inside an engine's namespaces: as this user and, as root, also as an ordinary one. */
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaceCommand } from "../cluster/sandbox/enter-namespaces.ts";
import { reapLeftovers } from "../cluster/sandbox/leftovers.ts";
import { readMachineFacts } from "../cluster/sandbox/probe-facts.ts";

/** `nobody`, an ordinary user of every machine. */
const USER = 65_534;
const AS_USER = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--"];
const isRoot = process.geteuid?.() === 0;

export interface EngineWay {
  /** For the names of tests: `as this user`. */
  readonly name: string;
  readonly tier: "root" | "rootless" | "rootless-1-id";
  /** What stands before a program and its arguments. */
  readonly prefix: readonly string[];
  /** Who has to own the folders; absent = this user. */
  readonly owner?: number;
}

/** Without the ordinary user where this checkout is closed to others, as one in /root is: `npm test` runs those from a copy. */
export const engineWays: readonly EngineWay[] = findWays();

function findWays(): EngineWay[] {
  const own: EngineWay = {
    name: "as this user",
    tier: isRoot ? "root" : "rootless",
    prefix: namespaceCommand([]),
  };
  const isOpenToUser = isRoot && Bun.spawnSync([...AS_USER, "test", "-r", import.meta.path]).exitCode === 0;
  if (!isOpenToUser) return [own];
  const facts = { ...readMachineFacts(), uid: USER, capabilities: 0n, newuidmap: false };
  const enter = namespaceCommand([], facts, () => ({ exitCode: 0, output: "" }));
  const other = { name: "as an ordinary user", tier: "rootless-1-id", owner: USER } as const;
  return [own, { ...other, prefix: [...AS_USER, ...enter] }];
}

/** Folders for one engine; at the end of their scope what the engine has left is ended and they are removed. */
export class EngineFolder implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "pillion-engine-"));
  readonly stateDir = join(this.path, "state");
  readonly #way: EngineWay;

  constructor(way: EngineWay) {
    this.#way = way;
    const folders = [this.path, this.stateDir, join(this.path, "tmp"), join(this.path, "bun")];
    for (const folder of folders.slice(1)) mkdirSync(folder);
    if (way.owner !== undefined) for (const folder of folders) chownSync(folder, way.owner, way.owner);
  }

  /** Standard error is the test's own. */
  start(argv: readonly string[]): Bun.Subprocess<"ignore", "pipe", "inherit"> {
    return Bun.spawn([...this.#way.prefix, ...argv], {
      stdio: ["ignore", "pipe", "inherit"],
      // Bun keeps headers of its C compiler in BUN_TMPDIR for good; nothing else may stay in TMPDIR.
      env: {
        PATH: process.env["PATH"] ?? "",
        TMPDIR: join(this.path, "tmp"),
        BUN_TMPDIR: join(this.path, "bun"),
      },
    });
  }

  /** Runs a program to its end; it prints one JSON object. */
  async result(argv: readonly string[]): Promise<Record<string, unknown>> {
    const child = this.start(argv);
    const [text] = await Promise.all([child.stdout.text(), child.exited]);
    return JSON.parse(text) as Record<string, unknown>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await reapLeftovers(this.stateDir);
    rmSync(this.path, { recursive: true, force: true });
  }
}

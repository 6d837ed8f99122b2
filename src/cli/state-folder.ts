/** Where everything lives: one folder per cluster, the only place on the machine that Pillion writes to. */
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, Problem } from "../kernel/problem.ts";
import { isRunning } from "../lib/process-identity.ts";

const CLUSTER_NAME = /^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/;

export interface StateFolder {
  /** Cluster name, a DNS label of at most 40 letters. */
  readonly cluster: string;
  readonly path: string;
  readonly engineRecord: string;
  readonly engineLog: string;
  /** Port of the API, for the next start with the same state. */
  readonly lastPort: string;
  readonly kubeconfig: string;
  readonly pki: string;
  readonly database: string;
  readonly images: string;
  /** What the image of Pillion itself is made into. */
  readonly ownImage: string;
}

/** What a running engine says of itself in `engine.json`. */
export interface EngineRecord {
  readonly pid: number;
  readonly startTime: string;
  readonly port: number;
  readonly version: string;
  /** True when it was started with `-d`. */
  readonly detached: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `$PILLION_HOME`, else `$XDG_STATE_HOME/pillion`, else `~/.local/state/pillion`. */
export function stateHome(env: Environment): string {
  if (env["PILLION_HOME"]) return env["PILLION_HOME"];
  if (env["XDG_STATE_HOME"]) return join(env["XDG_STATE_HOME"], "pillion");
  if (env["HOME"]) return join(env["HOME"], ".local/state/pillion");
  throw new Problem({
    code: "E_NO_HOME",
    message:
      "Cannot find a folder for the cluster's state: neither PILLION_HOME, XDG_STATE_HOME nor HOME is set",
    fix: "Set PILLION_HOME to a folder of your own, for example `export PILLION_HOME=/var/tmp/pillion`",
  });
}

/** Paths of one cluster. Makes nothing. `E_CLUSTER_NAME` when the name cannot be used. */
export function stateFolderOf(env: Environment, cluster = "default"): StateFolder {
  if (!CLUSTER_NAME.test(cluster)) {
    throw new Problem({
      code: "E_CLUSTER_NAME",
      message: `Cannot name a cluster "${cluster}": it takes lower-case letters, digits and dashes, 40 at most`,
      fix: "Choose a name such as `--name demo`",
    });
  }
  const path = join(stateHome(env), cluster);
  return {
    cluster,
    path,
    engineRecord: join(path, "engine.json"),
    engineLog: join(path, "engine.log"),
    lastPort: join(path, "last-port"),
    kubeconfig: join(path, "kubeconfig"),
    pki: join(path, "pki"),
    database: join(path, "store.db"),
    images: join(path, "images"),
    ownImage: join(path, "pillion-image"),
  };
}

/** Makes the folder, mode 0700, and proves that it can be used. `E_STATE_UNREADABLE` with the fix when not. */
export function openStateFolder(folder: StateFolder): void {
  try {
    mkdirSync(folder.path, { recursive: true, mode: 0o700 });
    chmodSync(folder.path, 0o700);
    accessSync(folder.path, constants.R_OK | constants.W_OK | constants.X_OK);
    readdirSync(folder.path);
  } catch (cause) {
    throw new Problem({
      code: "E_STATE_UNREADABLE",
      message: `Cannot use the state folder "${folder.path}": ${messageOf(cause)}`,
      fix: "Give this user the folder (`chown -R`), or set PILLION_HOME to a folder of your own",
      cause,
    });
  }
}

/** The engine that is running now, if any. A record whose process is gone counts as none. */
export function runningEngine(folder: StateFolder): EngineRecord | undefined {
  if (!existsSync(folder.engineRecord)) return undefined;
  let record: EngineRecord;
  try {
    record = JSON.parse(readFileSync(folder.engineRecord, "utf8")) as EngineRecord;
  } catch {
    return undefined; // Half a record is what a kill -9 during start leaves: nothing is running.
  }
  return typeof record.pid === "number" && isRunning(record) ? record : undefined;
}

/** The running engine, or `E_NOT_RUNNING`. */
export function requireEngine(folder: StateFolder): EngineRecord {
  const engine = runningEngine(folder);
  if (engine !== undefined) return engine;
  const name = folder.cluster === "default" ? "" : ` --name ${folder.cluster}`;
  throw new Problem({
    code: "E_NOT_RUNNING",
    message: `Cannot reach cluster "${folder.cluster}": it is not running`,
    fix: `Start it with \`pillion up -d${name}\``,
  });
}

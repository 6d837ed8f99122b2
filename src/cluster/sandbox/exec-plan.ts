/** The end of a container's program: finds the executable in the container and becomes it, or says why not as runc does. */
import { errnoText } from "./errno.ts";
import type { LaunchError } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import type { Program, Slot } from "./program.ts";
import { ContainerStartError, type ContainerSpec } from "./sandbox.ts";

/** What containerd sets when the image has none. */
const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const X_OK = 1;
const ENOENT = 2;
const ENOMEM = 12;
const EACCES = 13;
const ECANCELED = 125;
const PREFIX = "unable to start container process";

interface Candidate {
  readonly path: string;
  /** Results of `access` and of `execve`: 0 is success, and also "never tried". */
  readonly access: Slot;
  readonly exec: Slot;
}

export interface ExecPlan {
  /** Index of the first op that belongs to it. */
  readonly first: number;
  readonly argv0: string;
  readonly candidates: readonly Candidate[];
}

/** Adds one attempt per folder of PATH; the last op fails, so that a program without an executable is an error. */
export function addExec(
  program: Program,
  { argv, env }: Pick<ContainerSpec, "argv" | "env">,
  home: string,
): ExecPlan {
  const [argv0 = ""] = argv;
  const full = completeEnv(env, home);
  const first = program.length;
  const candidates = candidatePaths(argv0, full).map((path) => ({
    path,
    access: program.slot(),
    exec: program.slot(),
  }));
  for (const { path, access, exec } of candidates) {
    const next = program.label();
    program
      .call("faccessat", [linux.AT_FDCWD, path, X_OK], { save: access, ignore: "all", orElse: next })
      .call("execve", [path, argv, full], { save: exec, ignore: "all" })
      .place(next);
  }
  program.call("close", [-1], { name: "execve" });
  return { first, argv0, candidates };
}

/** The environment with PATH and HOME, which every runtime sets. */
export function completeEnv(env: readonly string[], home: string): readonly string[] {
  const has = (name: string) => env.some((entry) => entry.startsWith(`${name}=`));
  return [...(has("PATH") ? [] : [DEFAULT_PATH]), ...(has("HOME") ? [] : [`HOME=${home}`]), ...env];
}

function candidatePaths(argv0: string, env: readonly string[]): readonly string[] {
  if (argv0 === "") return [];
  if (argv0.includes("/")) return [argv0];
  // The last entry wins, as in a shell.
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  return path
    .split(":")
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => `${folder}/${argv0}`);
}

/** The error of a program that stopped, with the reason and the text the kubelet passes on. */
export function explainLaunch(
  error: LaunchError,
  { first, argv0, candidates }: ExecPlan,
): ContainerStartError {
  if (error.errno === ECANCELED) {
    const why = "it was stopped, or had to wait for a file, before its program began, and was ended";
    return new ContainerStartError("StartError", `${PREFIX}: exec: "${argv0}": ${why}`, { cause: error });
  }
  const isOutOfMemory = error.errno === ENOMEM;
  const step = isOutOfMemory
    ? `container init was OOM-killed (memory limit too low?): ${error.message}`
    : error.message;
  const detail = error.index >= first ? explainExec(error, { argv0, candidates }) : step;
  return new ContainerStartError("StartError", `${PREFIX}: ${detail}`, { cause: error });
}

function explainExec(error: LaunchError, { argv0, candidates }: Omit<ExecPlan, "first">): string {
  if (argv0 === "") return "no command specified";
  const results = candidates.map(({ path, access, exec }) => ({
    path,
    access: -error.slot(access),
    exec: -error.slot(exec),
  }));
  const refused = results.find(({ access }) => access === 0);
  if (refused !== undefined && refused.exec === EACCES) return `exec: "${argv0}": permission denied`;
  if (refused !== undefined) return `exec ${refused.path}: ${errnoText(refused.exec)}`;
  if (!argv0.includes("/")) return `exec: "${argv0}": executable file not found in $PATH`;
  const errno = results[0]?.access ?? ENOENT;
  return `exec: "${argv0}": ${errno === ENOENT ? `stat ${argv0}: ` : ""}${errnoText(errno)}`;
}

/** What the tests of containers share: a pod's namespaces, a small image, and a way to ask a container what it sees. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import type { RootFs } from "../images/image.ts";
import { createContainerRuntime, namespacesOf } from "./container.ts";
import type { Surroundings } from "./container-context.ts";
import { watchExits } from "./exits.ts";
import { readIdMap, type IdMap } from "./id-map.ts";
import { loadLauncher, type Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { Program } from "./program.ts";
import type { ContainerSpec, Mount, RunningContainer } from "./sandbox.ts";

const SIGKILL = 9;
const CAP_SYS_ADMIN = 1n << 21n;

/** True as root and in an engine's user namespace; rootless.test.ts brings ordinary users there. */
export function canRunContainers(): boolean {
  const hex = /^CapEff:\s*([\da-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return (BigInt(`0x${hex}`) & CAP_SYS_ADMIN) !== 0n;
}

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

export type TestSpec = Partial<Omit<ContainerSpec, "logPath" | "id">> & Pick<Surroundings, "cgroup">;

export interface TestWorld {
  readonly launcher: Launcher;
  readonly ids: IdMap;
  /** All files of the world are in here. */
  readonly folder: string;
  /** What the runtime believes to be the cluster's folder. */
  readonly stateDir: string;
  /** The runtime's own folder. */
  readonly runFolder: string;
  /** An image without programs of its own: `/usr` is empty until `usr` is mounted. */
  readonly image: RootFs;
  /** The machine's /usr, read-only. */
  readonly usr: Mount;
  readonly host: RootFs;
  /** A new empty folder. */
  newFolder(): string;
  start(spec: TestSpec): Promise<{ container: RunningContainer; logPath: string }>;
  /** Runs a shell script to its end. */
  sh(script: string, spec?: TestSpec): Promise<Outcome>;
  close(): Promise<void>;
}

/** `stateDir` is made where the caller says, else in the world's folder. */
export function openWorld(stateFolder?: string): TestWorld {
  const launcher = loadLauncher();
  const exits = watchExits(launcher, systemClock);
  const folder = mkdtempSync(join(tmpdir(), "containers-"));
  const stateDir = stateFolder ?? join(folder, "state");
  const runFolder = join(stateDir, "run");
  const holder = startHolder(launcher);
  const runtime = createContainerRuntime({
    launcher,
    exits,
    clock: systemClock,
    folder: runFolder,
    stateDir,
    diesWithEngine: true,
  });
  const image: RootFs = { kind: "image", path: makeImage(join(folder, "image")) };
  const usr: Mount = { source: "/usr", target: "/usr", kind: "bind", readOnly: true };
  let count = 0;
  const start: TestWorld["start"] = async ({ cgroup, ...spec }) => {
    count += 1;
    const logPath = join(folder, "logs", `${count}.log`);
    const isImage = (spec.rootfs ?? image).kind === "image";
    const mounts = [...(isImage ? [usr] : []), ...(spec.mounts ?? [])];
    const id = String(count).padStart(64, "0");
    const container = await runtime.start(
      { ...DEFAULT_SPEC, rootfs: image, ...spec, mounts, id, logPath },
      { namespaces: namespacesOf(holder), ...(cgroup === undefined ? {} : { cgroup }) },
    );
    return { container, logPath };
  };
  return {
    launcher,
    ids: readIdMap(),
    folder,
    stateDir,
    runFolder,
    image,
    usr,
    host: { kind: "host", folders: [], copies: [] },
    newFolder: () => mkdtempSync(join(folder, "f-")),
    start,
    async sh(script, spec = {}) {
      const { container, logPath } = await start({ ...spec, argv: ["sh", "-c", script] });
      const { exitCode } = await container.exited;
      return { exitCode, ...readLog(logPath) };
    },
    async close() {
      await runtime.close();
      launcher.call("kill", [holder, SIGKILL]);
      launcher.wait(holder, true);
      exits.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const DEFAULT_SPEC: Omit<ContainerSpec, "id" | "logPath" | "rootfs" | "mounts"> = {
  name: "main",
  argv: ["true"],
  env: [],
  workingDir: "/",
  user: { user: "", supplementalGroups: [] },
  capabilities: { add: [], drop: [] },
  noNewPrivileges: false,
  readOnlyRootFilesystem: false,
  privileged: false,
};

/** Texts of the two streams, without the columns of the log format. */
export function readLog(logPath: string): Pick<Outcome, "stdout" | "stderr"> {
  const lines = readFileSync(logPath, "utf8").split("\n").slice(0, -1);
  const texts = (stream: string): string[] =>
    lines.filter((line) => line.split(" ")[1] === stream).map((line) => line.split(" ").slice(3).join(" "));
  return { stdout: texts("stdout"), stderr: texts("stderr") };
}

function startHolder(launcher: Launcher): number {
  const program = new Program()
    .call("prctl", [linux.PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0])
    .call("sethostname", ["pod", 3])
    .call("execve", ["/bin/sleep", ["sleep", "100000"], []]);
  return launcher.start(program, linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS);
}

function makeImage(path: string): string {
  for (const name of ["usr", "etc", "tmp", "var", "data"]) mkdirSync(join(path, name), { recursive: true });
  chmodSync(join(path, "tmp"), 0o1777);
  for (const name of ["bin", "lib", "lib64", "sbin"]) symlinkSync(`usr/${name}`, join(path, name));
  writeFileSync(
    join(path, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102::/var/cache/nginx:/bin/false\n",
  );
  writeFileSync(join(path, "etc/group"), "root:x:0:\nnginx:x:102:\nlogs:x:103:nginx,other\n");
  return path;
}

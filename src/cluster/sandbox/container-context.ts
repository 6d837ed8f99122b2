/** What every container of a runtime is started with, and what each is put into. */
import type { Clock } from "../../kernel/clock.ts";
import type { ContainerCgroup } from "./cgroups/open-cgroups.ts";
import type { MeasureContainer } from "./cgroups/process-usage.ts";
import type { ContainerMembers } from "./container-members.ts";
import type { PodNamespaces } from "./container-program.ts";
import type { ExecPause } from "./exec-pause.ts";
import type { Exits } from "./exits.ts";
import type { FdStore } from "./fd-store.ts";
import type { IdMap } from "./id-map.ts";
import type { KeptLogTools } from "./kept-log.ts";
import type { Launcher } from "./launcher.ts";
import type { OwnedFolders } from "./owned-folders.ts";
import type { Tracers } from "./tracers.ts";

export interface ContainerRuntimeOptions {
  readonly launcher: Launcher;
  readonly exits: Exits;
  readonly clock: Clock;
  /** A folder of the runtime's own, made 0700: the pipes of logs, and a place where children mount. */
  readonly folder: string;
  /** The cluster's folder, which no container may see. */
  readonly stateDir: string;
  /** Containers get SIGKILL when the engine's main thread ends, however it ends. */
  readonly diesWithEngine: boolean;
  /** For containers that do not, and for those that are adopted. */
  readonly keptLogs?: KeptLogTools | undefined;
  /** Told when lines of a container's log cannot be written, once per outage. */
  readonly onLogLost?: ((containerId: string, error: unknown) => void) | undefined;
}

/** What a container is put into. */
export interface Surroundings {
  readonly namespaces: PodNamespaces;
  /** Absent where control groups cannot be used. The runtime removes it once the container has ended. */
  readonly cgroup?: ContainerCgroup;
  /** The pod's /dev/shm, on the engine's side. */
  readonly sharedMemory?: string;
  /** Holds its pipes when the engine is gone. */
  readonly store?: FdStore | undefined;
}

/** What containers of one runtime share. */
export interface ContainerContext extends ContainerRuntimeOptions {
  readonly mountPoint: string;
  readonly ids: IdMap;
  readonly permitted: bigint;
  readonly members: ContainerMembers;
  readonly tracers: Tracers;
  readonly pause: ExecPause;
  readonly measure: MeasureContainer;
  /** Made when the first container needs them, kept for the others. */
  readonly ownedFolders: () => Promise<OwnedFolders>;
}

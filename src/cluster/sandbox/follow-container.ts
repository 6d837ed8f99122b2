/** A container that runs: what can be done with it, and what has to be when it ends. */
import { statfsSync } from "node:fs";
import type { ContainerCgroup } from "./cgroups/open-cgroups.ts";
import type { ContainerContext } from "./container-context.ts";
import { startExec } from "./container-exec.ts";
import type { ContainerIo } from "./container-io.ts";
import type { Membership } from "./container-members.ts";
import type { ContainerUser } from "./container-user.ts";
import type { ProcessExit } from "./exits.ts";
import type { ContainerDetails } from "./kept-details.ts";
import * as linux from "./linux-constants.ts";
import { ContainerStartError, type ContainerSpec, type RunningContainer } from "./sandbox.ts";

export interface StartedContainer extends RunningContainer {
  /** For the engine that adopts it. */
  readonly details: Omit<ContainerDetails, "kind" | "podUid">;
}

interface Started {
  readonly spec: ContainerSpec;
  readonly pid: number;
  readonly io: ContainerIo;
  readonly user: ContainerUser;
  readonly cgroup: ContainerCgroup | undefined;
  /** Where others have processes in the same namespace: what the container's own are known by. */
  readonly shared: Membership | undefined;
  readonly startedAt: number;
  readonly startTime: string;
  readonly ended: Promise<ProcessExit>;
}

export function followContainer(
  context: ContainerContext,
  { spec, pid, io, user, cgroup, shared, startedAt, startTime, ended }: Started,
): StartedContainer {
  const { exits, launcher, clock } = context;
  const forgetTracer = context.tracers.add(pid, spec);
  const endMembers = shared === undefined ? async () => {} : context.members.track(pid, shared);
  io.started();
  const exited = ended.then(async (exit) => {
    const oomKilled = cgroup?.hasOomKills() ?? false;
    // In a process namespace that others share, what it has started lives on.
    cgroup?.kill();
    await endMembers();
    forgetTracer();
    context.pause.forget(pid);
    cgroup?.remove();
    await io.drained();
    return { ...exit, oomKilled };
  });
  return {
    details: { spec, user, startedAt, ...(shared === undefined ? {} : { shared }) },
    id: spec.id,
    pid,
    startTime,
    startedAt,
    exited,
    user: { uid: user.uid, gid: user.gid, supplementalGroups: user.groups ?? [] },
    exec: async (program) =>
      startExec(context, { pid, spec, user, cgroup, isRunning: () => exits.isRunning(pid) }, program),
    attach(wanted) {
      if (exits.isRunning(pid)) return io.attach(wanted);
      throw new ContainerStartError("RunContainerError", "container is in CONTAINER_EXITED state");
    },
    writtenBytes: () => (exits.isRunning(pid) ? writtenBytes(pid) : undefined),
    usage() {
      const use = exits.isRunning(pid) ? (cgroup?.usage() ?? context.measure(pid)) : undefined;
      return use === undefined ? undefined : { ...use, measuredAt: clock.now() };
    },
    kill(signal) {
      if (!exits.isRunning(pid)) return;
      if (signal === linux.SIGKILL) cgroup?.hurry();
      launcher.tryCall("kill", [pid, signal]);
    },
  };
}

/** What is in the tmpfs that holds everything a container changes; it shows through the container's root. */
function writtenBytes(pid: number): number | undefined {
  try {
    const { blocks, bfree, bsize } = statfsSync(`/proc/${pid}/root/`);
    return (blocks - bfree) * bsize;
  } catch {
    // It has ended just now.
    return undefined;
  }
}

/** Gets a container ready on the engine's side: its user, its root, what is mounted into it, its terminal. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { accountFiles } from "./account-files.ts";
import { prepareCgroups } from "./container-cgroups.ts";
import type { ContainerContext, Surroundings } from "./container-context.ts";
import { prepareDev, TTY_GROUP } from "./container-dev.ts";
import type { ContainerIoOptions } from "./container-io.ts";
import { openMounts } from "./container-mounts.ts";
import type { ContainerParts } from "./container-program.ts";
import { resolveUser } from "./container-user.ts";
import { detachedTerminals, detachedTmpfs } from "./detached-mount.ts";
import type { MountPoint } from "./host-mount-points.ts";
import { prepareHostRoot } from "./host-root.ts";
import { prepareImageRoot } from "./image-root.ts";
import type { Root, Scratch } from "./root-layers.ts";
import type { ContainerSpec } from "./sandbox.ts";
import { openTerminal } from "./terminal.ts";

export type LaunchParts = Omit<ContainerParts, "permitted" | "diesWithEngine" | "joins"> &
  Pick<Surroundings, "cgroup">;
type Prepared = Omit<LaunchParts, "spec" | "namespaces" | "cgroup" | "streams" | "mountNamespace"> &
  Pick<ContainerIoOptions, "terminal">;

interface PrepareInput {
  readonly spec: ContainerSpec;
  readonly surroundings: Surroundings;
  /** Gets what has to be closed. */
  readonly fds: number[];
}

export async function prepareContainer(
  context: ContainerContext,
  { spec, surroundings, fds }: PrepareInput,
): Promise<Prepared> {
  const { launcher, ids } = context;
  const user = resolveUser(spec.user, accountFiles(launcher, spec), ids);
  // Not `nodev`: the nodes of /dev are in it. What the container sees of it is bound `nodev`.
  const mount = detachedTmpfs(launcher, { mode: 0o755, nodev: false });
  fds.push(mount);
  const scratch: Scratch = { path: `/proc/self/fd/${mount}`, isUserNamespace: ids.isUserNamespace };
  for (const name of ["root", "upper", "work"]) mkdirSync(join(scratch.path, name));
  const mounts = openMounts(launcher, spec);
  fds.push(...mounts.fds);
  const cgroups = prepareCgroups(launcher, scratch, surroundings.cgroup?.views ?? []);
  fds.push(...cgroups.fds);
  const root = await prepareRoot(context, { spec, scratch, mountPoints: mounts.attachments });
  const hasTtyGroup = ids.isGid(TTY_GROUP);
  const terminals =
    spec.tty === true ? detachedTerminals(launcher, hasTtyGroup ? TTY_GROUP : undefined) : undefined;
  if (terminals !== undefined) fds.push(terminals);
  return {
    user,
    scratch: { mount, folder: context.mountPoint },
    root,
    mountDev: prepareDev(scratch, {
      privileged: spec.privileged,
      hasTtyGroup,
      terminals,
      sharedMemory: surroundings.sharedMemory,
    }),
    mountCgroups: cgroups.mount,
    attachments: mounts.attachments,
    // The last: it is the first that somebody has to close.
    terminal:
      terminals === undefined
        ? undefined
        : openTerminal(launcher, { root: terminals, path: "ptmx", uid: user.uid }),
  };
}

interface RootParts {
  readonly spec: ContainerSpec;
  readonly scratch: Scratch;
  readonly mountPoints: readonly MountPoint[];
}

async function prepareRoot(
  context: ContainerContext,
  { spec, scratch, mountPoints }: RootParts,
): Promise<Root> {
  const nodev = !spec.privileged;
  if (spec.rootfs.kind === "image") return prepareImageRoot(scratch, { path: spec.rootfs.path, nodev });
  const owned = scratch.isUserNamespace ? await context.ownedFolders() : new Map<string, string>();
  return prepareHostRoot(scratch, spec.rootfs, { stateDir: context.stateDir, nodev, mountPoints, owned });
}

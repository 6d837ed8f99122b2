/** The /proc and /sys of a container, with what tells about or steers the machine hidden or read-only. */
import { MOUNT_ATTRIBUTES_BYTES, mountAttributes } from "./detached-mount.ts";
import * as linux from "./linux-constants.ts";
import type { Program } from "./program.ts";

const QUIET = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC;
const ENOENT = 2;

/** `MaskedPaths` of containerd, CRI-O and Docker, taken together. */
const HIDDEN_FILES = [
  "interrupts",
  "kcore",
  "keys",
  "latency_stats",
  "sched_debug",
  "timer_list",
  "timer_stats",
];
const HIDDEN_FOLDERS = [
  "proc/acpi",
  "proc/asound",
  "proc/scsi",
  "sys/devices/virtual/powercap",
  "sys/firmware",
  "sys/fs/cgroup",
];
/** `ReadonlyPaths` of the same. */
const READ_ONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/** Mounts at `root/proc` and `root/sys`, after `root/dev`; the child is in the pid and network namespace they show. */
export function mountPseudo(program: Program, { privileged }: { privileged: boolean }): void {
  program.call("mount", ["proc", "root/proc", "proc", QUIET, 0]);
  mountSys(program, privileged);
  if (privileged) return;
  for (const name of READ_ONLY) bindReadOnly(program, `root/proc/${name}`);
  for (const name of HIDDEN_FILES) {
    const path = `root/proc/${name}`;
    program.call("mount", ["root/dev/null", path, 0, linux.MS_BIND, 0], {
      name: `mount(hide,/proc/${name})`,
      ignore: ENOENT,
    });
  }
  for (const path of HIDDEN_FOLDERS) {
    program.call("mount", ["tmpfs", `root/${path}`, "tmpfs", QUIET | linux.MS_RDONLY, "size=0,nr_inodes=1"], {
      name: `mount(hide,/${path})`,
      ignore: ENOENT,
    });
  }
}

/** Own sysfs; where the kernel refuses it (the pod is in a network namespace that is not the engine's), the machine's. */
function mountSys(program: Program, privileged: boolean): void {
  const [refused, done] = [program.label(), program.label()];
  const flags = QUIET | (privileged ? 0 : linux.MS_RDONLY);
  program
    .call("mount", ["sysfs", "root/sys", "sysfs", flags, 0], {
      ignore: "all",
      orElse: refused,
      onSuccess: done,
    })
    .place(refused);
  const tree = program.slot();
  program.call(
    "open_tree",
    [linux.AT_FDCWD, "/sys", linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_RECURSIVE],
    {
      save: tree,
    },
  );
  setAttributes(
    program,
    tree,
    privileged ? linux.MOUNT_ATTR_NODEV : linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_RDONLY,
  );
  program
    .call("move_mount", [tree, "", linux.AT_FDCWD, "root/sys", linux.MOVE_MOUNT_F_EMPTY_PATH], {
      name: "mount(bind,/sys)",
    })
    .place(done);
}

function bindReadOnly(program: Program, path: string): void {
  const tree = program.slot();
  const missing = program.label();
  const shown = path.slice("root".length);
  program.call("open_tree", [linux.AT_FDCWD, path, linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC], {
    save: tree,
    name: `mount(read-only,${shown})`,
    ignore: ENOENT,
    orElse: missing,
  });
  setAttributes(program, tree, linux.MOUNT_ATTR_RDONLY);
  program
    .call("move_mount", [tree, "", linux.AT_FDCWD, path, linux.MOVE_MOUNT_F_EMPTY_PATH], {
      name: `mount(read-only,${shown})`,
    })
    .place(missing);
}

function setAttributes(program: Program, tree: { readonly slot: number }, attributes: number): void {
  program.call("mount_setattr", [
    tree,
    "",
    linux.AT_EMPTY_PATH | linux.AT_RECURSIVE,
    mountAttributes(attributes),
    MOUNT_ATTRIBUTES_BYTES,
  ]);
}

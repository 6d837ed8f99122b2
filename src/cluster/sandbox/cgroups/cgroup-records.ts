/** Finds the control groups that a killed engine has left, by what it wrote down before it made them. */
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { processesIn } from "./cgroup-driver.ts";
import { kernelCgroupFiles } from "./cgroup-files.ts";
import { cgroupMounts } from "./cgroup-mounts.ts";
import { removeTree } from "./remove-tree.ts";

const PREFIX = "pillion-";
/** How long killed processes may take to leave their groups, milliseconds. */
const DEATH_TIMEOUT_MS = 5_000;
const POLL_MS = 2;
/** Versions 1 and 2. */
const UNLIMITED = [
  ["cpu.cfs_quota_us", "-1"],
  ["cpu.max", "max"],
] as const;

/** `pillion-<cluster>-<digits>`: the digits tell clusters of the same name in different folders apart, also after a move. */
export function cgroupName(stateDir: string): string {
  const cluster = basename(stateDir)
    .replaceAll(/[^A-Za-z0-9-]/g, "")
    .slice(0, 40);
  return `${PREFIX}${cluster}-${identityOf(stateDir)}`;
}

function identityOf(stateDir: string): string {
  const { dev, ino } = statSync(stateDir);
  return createHash("sha256").update(`${dev}:${ino}`).digest("hex").slice(0, 8);
}

/** To be called before the groups are made. */
export function recordCgroups(file: string, folders: readonly string[]): void {
  writeFileSync(file, folders.map((folder) => `${folder}\n`).join(""), { mode: 0o600 });
}

/** File in the sandbox's folder. */
export function recordFile(sandboxFolder: string): string {
  return join(sandboxFolder, "cgroups");
}

/**
 * Ends what is left in the groups of an earlier engine and removes them; what cannot be removed stays. Call it only while no
 * engine runs on `stateDir`. Never touches a group that is not named after this very folder.
 */
export async function reapCgroups(stateDir: string, file: string): Promise<void> {
  const files = kernelCgroupFiles();
  const deadline = performance.now() + DEATH_TIMEOUT_MS;
  for (const folder of recordedGroups(stateDir, file)) {
    const everywhere = () => [folder, ...below(folder)].flatMap((one) => processesIn(files, one));
    for (let left = everywhere(); left.length > 0 && performance.now() < deadline; left = everywhere()) {
      for (const pid of left) kill(pid);
      await Bun.sleep(POLL_MS);
    }
    removeTree(files, folder);
  }
}

/** Takes the limits of processor time away, for what is to be killed: a fork bomb would die of them for minutes. */
export function hurryCgroups(stateDir: string, file: string): void {
  const files = kernelCgroupFiles();
  for (const folder of recordedGroups(stateDir, file))
    for (const group of [folder, ...below(folder)])
      for (const [name, value] of UNLIMITED)
        if (files.isWritable(`${group}/${name}`)) lift(`${group}/${name}`, value);

  function lift(path: string, value: string): void {
    try {
      files.write(path, value);
    } catch {
      // The group has gone meanwhile.
    }
  }
}

function below(folder: string): string[] {
  return kernelCgroupFiles()
    .folders(folder)
    .flatMap((name) => [`${folder}/${name}`, ...below(`${folder}/${name}`)]);
}

function recordedGroups(stateDir: string, file: string): readonly string[] {
  const files = kernelCgroupFiles();
  const mounts = cgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
  const isOurs = (folder: string) =>
    folder.startsWith("/") &&
    !folder.split("/").includes("..") &&
    basename(folder).startsWith(PREFIX) &&
    basename(folder).endsWith(`-${identityOf(stateDir)}`) &&
    mounts.some((mount) => folder.startsWith(`${mount.folder}/`));
  return (files.read(file)?.split("\n") ?? []).filter(isOurs);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile, or is somebody else's: then its group stays.
  }
}

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupMounts } from "./cgroup-mounts.ts";

const mounts = cgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
const memory = mounts.find(({ controllers }) => controllers.includes("memory"))?.folder;
const pids = mounts.find(({ controllers }) => controllers.includes("pids"))?.folder;
const isRoot = process.geteuid?.() === 0;

let stateDir = "";
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "pillion-cgroups-"));
  mkdirSync(join(stateDir, "sandbox"));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

/** Opens the groups of a cluster behind a change to the machine's mounts that nobody else sees, and closes them. */
function startBehind(change: string): { kind: string; limits: string[]; left: string[] } {
  const script = `import { startCgroups } from ${JSON.stringify(join(import.meta.dir, "start-cgroups.ts"))};
    import { loadLauncher } from ${JSON.stringify(join(import.meta.dir, "../launcher.ts"))};
    const [stateDir] = process.argv.slice(1);
    const cgroups = startCgroups({ launcher: loadLauncher(), stateDir, sandboxFolder: stateDir + "/sandbox" });
    cgroups.close();
    console.log(JSON.stringify({ kind: cgroups.kind, limits: cgroups.limits }));`;
  const command = ["unshare", "--mount", "sh", "-c", `${change} && exec "$@"`, "sh"];
  const run = Bun.spawnSync([...command, process.execPath, "-e", script, stateDir], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect(run.stderr.toString()).toBe("");
  const file = join(stateDir, "sandbox/cgroups");
  const folders = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  const found = JSON.parse(run.stdout.toString()) as { kind: string; limits: string[] };
  return { ...found, left: folders.filter((folder) => existsSync(folder)) };
}

describe.skipIf(!isRoot || memory === undefined || pids === undefined)("control groups of version 1", () => {
  const NONE = /^Memory and CPU limits of containers are not enforced: .+\. To have them, .+\.$/;

  test("are used, and gone afterwards", () => {
    expect(startBehind("true")).toEqual({ kind: "cgroup-v1", limits: [], left: [] });
  });

  test.each([
    ["read-only", `mount -o remount,bind,ro ${memory}`, "read-only"],
    ["a controller that is hidden", `mount -t tmpfs t ${memory}`, ""],
    ["nothing mounted at all", "umount -l /sys/fs/cgroup", ""],
    ["one hierarchy that refuses", `mkdir -p $TMPDIR/x && mount --bind /proc/sys ${pids}`, ""],
  ])("%s: no limits, or fewer, with a sentence, and never an error", (_, change, why) => {
    const { kind, limits, left } = startBehind(change.replaceAll("$TMPDIR", stateDir));
    expect(left).toEqual([]);
    if (kind === "none") expect(limits).toEqual([expect.stringMatching(NONE)]);
    else expect(limits).toEqual([expect.stringContaining('the controller "pids"')]);
    expect(limits.join()).toContain(why);
  });
});

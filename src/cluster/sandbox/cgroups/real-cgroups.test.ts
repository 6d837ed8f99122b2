import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadLauncher } from "../launcher.ts";
import { Program } from "../program.ts";
import { kernelCgroupFiles } from "./cgroup-files.ts";
import { cgroupName, reapCgroups, recordCgroups, recordFile } from "./cgroup-records.ts";
import { cgroupWays } from "./cgroup-ways.test-support.ts";
import { joinCgroups, openJoins } from "./join-cgroup.ts";
import { type Cgroups, type ContainerCgroup, openCgroupTree } from "./open-cgroups.ts";

const SIGKILL = 9;
const launcher = loadLauncher();
const files = kernelCgroupFiles(launcher);
const { choice, bare, ways } = cgroupWays(files);
if (!ways.some(([, way]) => way === choice))
  test.skip(`no control groups can be used here (${choice.kind})`, () => {});
if (choice.kind !== "cgroup-v2") test.skip("limits in version 2: skipped: no v2 memory controller", () => {});

describe.each(ways)("control groups: %s", (_, chosen) => {
  let stateDir = "";
  let folders: readonly string[] = [];
  let cgroups: Cgroups;
  const pids: number[] = [];

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), "pillion-cgroups-"));
    mkdirSync(join(stateDir, "sandbox"));
    cgroups = open(64);
  });
  afterEach(async () => {
    for (const pid of pids.splice(0)) {
      launcher.tryCall("kill", [pid, SIGKILL]);
      launcher.wait(pid, true);
    }
    // Whatever a test that failed has left.
    await reapCgroups(stateDir, recordFile(join(stateDir, "sandbox")));
    rmSync(stateDir, { recursive: true });
    expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
  });

  function open(maxPids: number): Cgroups {
    return openCgroupTree({
      files,
      choice: chosen,
      name: cgroupName(stateDir),
      cpus: 1,
      maxPids,
      killProcess: (pid) => void launcher.tryCall("kill", [pid, SIGKILL]),
      onFolders(names) {
        folders = names;
        recordCgroups(recordFile(join(stateDir, "sandbox")), names);
      },
    });
  }

  /** A shell script in the group, as process 1 of a container would be. */
  function start(container: ContainerCgroup, script: string): number {
    const program = new Program();
    const joins = openJoins(container);
    joinCgroups(program, joins);
    program.call("execve", [
      "/bin/sh",
      ["sh", "-c", `exec </dev/null >/dev/null 2>&1; ${script}`],
      ["PATH=/usr/bin:/bin"],
    ]);
    const pid = launcher.start(program);
    for (const fd of joins) closeSync(fd);
    pids.push(pid);
    return pid;
  }

  function end(pid: number) {
    pids.splice(pids.indexOf(pid), 1);
    return launcher.wait(pid, true);
  }

  const inGroup = (container: ContainerCgroup) =>
    (files.read(container.joins[0] ?? "") ?? "").split("\n").filter(Boolean).map(Number);

  test("a process is in its group before its first instruction, and all that it starts with it", () => {
    const container = cgroups.pod({ uid: "u" }).container("id");
    const pid = start(
      container,
      "cat /proc/self/cgroup > $0.txt; exit 3".replace("$0", join(stateDir, "group")),
    );
    expect(end(pid)).toEqual({ exitCode: 3 });
    expect(readFileSync(join(stateDir, "group.txt"), "utf8")).toContain(
      `/${cgroupName(stateDir)}/kubepods/besteffort/podu/id\n`,
    );
    container.remove();
    expect(existsSync(container.joins[0] ?? "")).toBe(false);
  });

  test("kill() ends everything in the group, whatever it is forking, and nothing else", async () => {
    const pod = cgroups.pod({ uid: "u" });
    const [one, two] = [pod.container("one"), pod.container("two")];
    const forking = start(one, "trap '' TERM; while :; do sleep 1000 & sleep 0.001; done");
    const spared = start(two, "exec sleep 1000");
    one.kill();
    expect(end(forking)).toMatchObject({ signal: SIGKILL });
    // Its children are somebody else's to reap; they leave the group at their end.
    for (let tries = 0; inGroup(one).length > 0 && tries < 500; tries++) await Bun.sleep(2);
    expect([inGroup(one), inGroup(two)]).toEqual([[], [spared]]);
  });

  test("a fork bomb stays within its limit of processes", async () => {
    if (chosen === bare) return; // No controller counts processes there.
    cgroups.close();
    cgroups = open(40);
    const container = cgroups.pod({ uid: "u" }).container("id");
    const bomb = "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done";
    const pid = start(container, bomb);
    // The shell gives up at the first fork that is refused.
    expect(end(pid)).toEqual({ exitCode: 2 });
    expect(inGroup(container)).toHaveLength(19);
    container.kill();
    for (let tries = 0; inGroup(container).length > 0 && tries < 500; tries++) await Bun.sleep(2);
    expect(inGroup(container)).toEqual([]);
  });

  test("what a killed engine left is ended and removed at the next start, and nothing that is not its own", async () => {
    const container = cgroups.pod({ uid: "u" }).container("id");
    const pid = start(container, "exec sleep 1000");
    const [foreign = ""] = folders.map(
      (folder) => `${folder.slice(0, folder.lastIndexOf("/"))}/pillion-x-deadbeef`,
    );
    files.makeFolder(foreign);
    const file = recordFile(join(stateDir, "sandbox"));
    writeFileSync(file, `${folders.join("\n")}\n${foreign}\n${stateDir}\n/etc\n${folders[0]}/../..\n`);
    const exits = end.bind(undefined, pid);
    const [, status] = await Promise.all([reapCgroups(stateDir, file), reaped(exits)]);
    expect(status).toMatchObject({ signal: SIGKILL });
    expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
    expect(existsSync(foreign) && existsSync(stateDir)).toBe(true);
    files.removeFolder(foreign);
    await reapCgroups(stateDir, file);
    await reapCgroups(stateDir, join(stateDir, "no such file"));
  });
});

/** The process is this one's child, and stays in its group until it is waited for. */
async function reaped<T>(wait: () => T): Promise<T> {
  await Bun.sleep(0);
  return wait();
}

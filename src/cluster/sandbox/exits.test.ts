import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../kernel/clock.ts";
import { watchExits, type Exits } from "./exits.ts";
import { loadLauncher } from "./launcher.ts";
import { Program } from "./program.ts";

const launcher = loadLauncher();
let exits: Exits | undefined;

afterEach(() => exits?.close());

function sh(script: string): number {
  return launcher.start(
    new Program().call("execve", ["/bin/sh", ["sh", "-c", script], ["PATH=/usr/bin:/bin"]]),
  );
}

describe("watchExits()", () => {
  test("watch() tells exit codes and signals of children that end in one burst", async () => {
    exits = watchExits(launcher, { ...systemClock, now: () => 5 });
    const scripts = ["exit 0", "exit 3", "kill -9 $$", "trap 'exit 9' TERM; kill -TERM $$; :", "exit 255"];
    const ends = await Promise.all(scripts.map((script) => exits?.watch(sh(script))));
    expect(ends).toEqual([
      { exitCode: 0, finishedAt: 5 },
      { exitCode: 3, finishedAt: 5 },
      { exitCode: 137, signal: 9, finishedAt: 5 },
      { exitCode: 9, finishedAt: 5 },
      { exitCode: 255, finishedAt: 5 },
    ]);
  });

  test("watch() sees a child that ended before it was watched", async () => {
    exits = watchExits(launcher, systemClock);
    const pid = sh("exit 4");
    // Ended, not reaped: WNOWAIT is what `ps` sees as a zombie.
    while (!(await Bun.file(`/proc/${pid}/stat`).text()).includes(") Z ")) await Bun.sleep(1);
    expect(await exits.watch(pid)).toMatchObject({ exitCode: 4 });
    expect(exits.isRunning(pid)).toBe(false);
  });

  test("200 short children and Bun's own are all told apart", async () => {
    exits = watchExits(launcher, systemClock);
    const own = Bun.spawn(["/bin/sh", "-c", "exit 77"]);
    const ends = Array.from({ length: 200 }, (_, i) => exits?.watch(sh(`exit ${i}`)));
    expect((await Promise.all(ends)).map((end) => end?.exitCode)).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    );
    expect(await own.exited).toBe(77);
  });
});

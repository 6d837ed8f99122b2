/** `up` against a cluster that runs already, and what it passes on of the API's warnings. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { homeWithPod } from "./pod-home.ts";

const TEST_MS = 60_000;

const QUOTA = (name: string) =>
  `apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: ${name} }\nspec: { hard: { pods: "1" } }\n`;

test(
  "up -d says where the running cluster is, takes its image maps, and refuses what only a start can do",
  async () => {
    await using home = homeWithPod();
    const { stderr: first } = await home.mustRun(["up", "-d"]);
    const { stderr: again } = await home.mustRun(["up", "-d"]);
    const [address] = /^cluster "default" is up on https:\S+ /.exec(first) ?? [];
    expect(again).toBe(`${address}(running already)\n`);

    const map = join(home.manifests, ".pillion/images.yaml");
    await home.mustRun(["up", "-d", "--images", map]);
    expect((await home.mustRun(["images", "ls"])).stdout).toMatch(/^busybox +host /m);

    for (const args of [["up"], ["up", "-d", "--host-path", home.path]]) {
      expect(await home.run(args)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/E_ALREADY_RUNNING.*\n.*pillion down/),
      });
    }
  },
  TEST_MS,
);

test(
  "up prints each warning of the API once, in the background and in the foreground",
  async () => {
    await using home = homeWithPod();
    const file = join(home.path, "quotas.yaml");
    writeFileSync(file, `${QUOTA("one")}---\n${QUOTA("two")}`);
    const isWarning = (line: string) => line.startsWith("Warning: ");
    const { stderr } = await home.mustRun(["up", "-d", "-f", file]);
    const warnings = stderr.split("\n").filter(isWarning);
    expect(warnings).toEqual([
      "Warning: pillion: ResourceQuota objects are stored, but nothing acts on them yet",
    ]);
    await home.mustRun(["down"]);

    const up = home.start(["up", "-f", file]);
    await up.line(/^press Ctrl-C/);
    up.kill("SIGINT");
    expect((await up.exited).stderr.split("\n").filter(isWarning)).toEqual(warnings);
  },
  TEST_MS,
);

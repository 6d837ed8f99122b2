/** Every example runs, shows what its README says, and leaves nothing behind. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { sidecars } from "../../generated/sidecars.ts";
import { type Finished, PillionHome } from "../../src/testing/pillion.ts";
import { snapshotHost } from "../../src/testing/host-snapshot.ts";

const examples = join(import.meta.dirname, "../../examples");
const hasNginx = Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` }) !== null;

const hasLogs = "logs" in sidecars;

/** What a container has printed by the end of the cluster, in order. */
function printedBy(container: string, { stdout, stderr }: Finished): string[] {
  const prefix = `[${container}] `;
  return `${stdout}\n${stderr}`
    .split("\n")
    .filter((line) => line.startsWith(prefix))
    .map((line) => line.slice(prefix.length));
}

test("streaming-logs: the sidecar prints what the main container writes; Ctrl-C leaves nothing behind", async () => {
  await using home = new PillionHome();
  const before = snapshotHost(home.path);
  const up = home.start(["up", "-f", join(examples, "streaming-logs")]);
  await up.line(/^pod\/streaming-logs: 2\/2 Running$/);
  expect(await up.line(/^\[streaming-logs\/sidecar\] /)).toMatch(/\d\d:\d\d:\d\d/);
  up.kill("SIGINT");
  const { code, stderr } = await up.exited;
  expect({ code, bug: stderr.includes("E_BUG") }).toEqual({ code: 0, bug: false });
  expect(snapshotHost(home.path)).toEqual(before);
}, 60_000);

test.skipIf(!hasNginx)(
  "access-log: the sidecar prints nginx's access log",
  async () => {
    await using home = new PillionHome();
    const up = home.start(["up", "-f", join(examples, "access-log")]);
    await up.line(/^pod\/access-log: 3\/3 Running$/);
    expect(await up.line(/^\[access-log\/sidecar\] /)).toMatch(/"GET \/ HTTP\/1\.0" 200 16 "-" "visitor"/);
    up.kill("SIGTERM");
    expect(await up.exited).toMatchObject({ code: 0 });
  },
  60_000,
);

test.skipIf(!hasLogs)(
  "logs-streaming: Pillion prints every line, also the one that is written at the end; Ctrl-C leaves nothing behind",
  async () => {
    await using home = new PillionHome();
    const before = snapshotHost(home.path);
    const up = home.start(["up", "-f", join(examples, "logs-streaming")]);
    await up.line(/^pod\/logs-streaming: 2\/2 Running$/);
    expect(await up.line(/^\[logs-streaming\/pillion\] /)).toMatch(/\d\d:\d\d:\d\d/);
    up.kill("SIGINT");
    const finished = await up.exited;
    expect({ code: finished.code, bug: finished.stderr.includes("E_BUG") }).toEqual({ code: 0, bug: false });
    expect(printedBy("logs-streaming/pillion", finished).at(-1)).toBe("the last line");
    expect(snapshotHost(home.path)).toEqual(before);
  },
  60_000,
);

test.skipIf(!hasNginx || !hasLogs)(
  "logs-access: Pillion prints nginx's access log as JSON",
  async () => {
    await using home = new PillionHome();
    const up = home.start(["up", "-f", join(examples, "logs-access")]);
    await up.line(/^pod\/logs-access: 3\/3 Running$/);
    // What Pillion says of itself, such as that the log is not there yet, may come before.
    const line = await up.line(/^\[logs-access\/pillion\] .*"method"/);
    expect(JSON.parse(line.slice(line.indexOf("{")))).toMatchObject({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      method: "GET",
      path: "/",
      status: 200,
      bytes: 16,
      userAgent: "visitor",
      pod: { name: "logs-access", namespace: "default" },
    });
    up.kill("SIGTERM");
    expect(await up.exited).toMatchObject({ code: 0 });
  },
  60_000,
);

test.skipIf(!hasLogs)(
  "logs-job: the pod completes, and every line of its last moment has been shipped",
  async () => {
    await using home = new PillionHome();
    const up = home.start(["up", "-f", join(examples, "logs-job")]);
    await up.line(/^pod\/logs-job: 0\/2 Completed$/);
    up.kill("SIGINT");
    const finished = await up.exited;
    expect(printedBy("logs-job/pillion", finished)).toEqual([
      ...Array.from({ length: 1000 }, (_, index) => `order ${index + 1}`),
      "all orders are done",
    ]);
    expect(finished.code).toBe(0);
  },
  60_000,
);

test.skipIf(!hasLogs)(
  "logs-outage: every line arrives at a receiver that was down for a while",
  async () => {
    await using home = new PillionHome();
    const up = home.start(["up", "-f", join(examples, "logs-outage")]);
    await up.line(/^pod\/logs-outage: 0\/3 Completed$/);
    up.kill("SIGINT");
    const finished = await up.exited;
    expect(printedBy("logs-outage/receiver", finished)).toEqual([
      "receiver: down",
      "receiver: up",
      expect.stringMatching(/^receiver: down, with \d+ lines$/),
      "receiver: up",
      expect.stringMatching(/^receiver: 100 of 100 lines have arrived, \d+ of them twice$/),
    ]);
    expect(finished.code).toBe(0);
  },
  60_000,
);

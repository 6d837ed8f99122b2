/** Every example runs, shows what its README says, and leaves nothing behind. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { snapshotHost } from "../../src/testing/host-snapshot.ts";

const examples = join(import.meta.dirname, "../../examples");

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

test.skipIf(Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` }) === null)(
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

test("native-sidecar: main waits for its sidecar's startup probe, the pod completes although sidecars run on, and they stop last [I2, T13, P5]", async () => {
  await using home = new PillionHome();
  const up = home.start(["up", "-f", join(examples, "native-sidecar")]);
  await up.line(/^pod\/native-sidecar: 0\/3 Completed$/);
  up.kill("SIGINT");
  const { code, stdout, stderr } = await up.exited;
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.startsWith("[native-sidecar/"));
  expect({ code, streamed: lines.filter((line) => line.includes("log-streamer")) }).toEqual({
    code: 0,
    streamed: [
      "download: 3 orders",
      "price-feed: warming up",
      "report: everything costs 84",
      "price-feed: stopped",
    ].map((line) => `[native-sidecar/log-streamer] ${line}`),
  });
  expect(lines).toContain("[native-sidecar/report] the report is done: 84");
}, 60_000);

/** Every example runs, shows what its README says, and leaves nothing behind. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { sidecars } from "../../generated/sidecars.ts";
import { type Finished, PillionHome } from "../../src/testing/pillion.ts";
import { helmPath, kubectlPath } from "../../src/testing/kubectl.ts";
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

test.skipIf(!hasNginx)(
  "express-nginx: helm installs the chart; its load balancer leads to nginx, which leads to Express",
  async () => {
    await using home = new PillionHome();
    const example = join(examples, "express-nginx");
    await home.mustRun(["up", "-d", "--images", join(example, ".pillion/images.yaml")]);
    const call = async (...argv: readonly string[]): Promise<string> => {
      const env = { ...home.env, KUBECONFIG: home.kubeconfig() };
      const child = Bun.spawn([...argv], { env, stdout: "pipe", stderr: "pipe" });
      const [out, err, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${err}`);
      return out;
    };
    const [helm, kubectl] = [await helmPath("35"), await kubectlPath("35")];
    await call(helm, "install", "sidecar", join(example, "chart"), "--wait", "--timeout=30s");
    const address = "{.status.loadBalancer.ingress[0].ip}:{.status.loadBalancer.ingress[0].ports[0].port}";
    const place = await call(kubectl, "get", "service", "sidecar-lb", "-o", `jsonpath=${address}`);
    // Where nothing had to move, the port is the Service's own.
    const url = `http://${place.endsWith(":") ? `${place}80` : place}`;
    const text = async (path: string) => await (await fetch(`${url}${path}`)).text();
    expect(await text("/")).toContain("Hello from NGINX!");
    expect(await text("/express/")).toBe("Hello from Express!\n");
    await call(helm, "uninstall", "sidecar", "--wait", "--timeout=30s");
    await home.mustRun(["down"]);
  },
  60_000,
);

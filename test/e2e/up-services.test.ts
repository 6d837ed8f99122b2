/** `pillion up` says where Services answer on this machine. */
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { helmPath } from "../../src/testing/kubectl.ts";
import { PillionHome } from "../../src/testing/pillion.ts";

const TEST_MS = 60_000;

function service(name: string, spec: object): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app: "web" }, ...spec },
  };
}

const POD = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", labels: { app: "web" } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: "busybox", command: ["sleep", "1000"] }],
  },
};
const SERVICES = [
  service("lb", {
    type: "LoadBalancer",
    ports: [
      { port: 18_280, name: "db" },
      { port: 18_281, name: "http" },
    ],
  }),
  service("node", { type: "NodePort", ports: [{ port: 80 }] }),
  service("inside", { ports: [{ port: 80 }] }),
];
const LINES = [
  expect.stringMatching(/^service\/lb: (127\.\d+\.\d+\.\d+):18280, http:\/\/\1:18281$/),
  expect.stringMatching(/^service\/node: http:\/\/127\.0\.0\.1:3\d{4}$/),
];

function write(home: PillionHome, name: string, ...objects: readonly object[]): string {
  const folder = join(home.path, name);
  mkdirSync(join(folder, ".pillion"), { recursive: true });
  writeFileSync(join(folder, ".pillion/images.yaml"), "images: { busybox: host }\n");
  writeFileSync(join(folder, "all.json"), JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
  return folder;
}

function serviceLines(text: string): string[] {
  return text.split("\n").filter((line) => /^service\/\S+: /.test(line));
}

test(
  "up -d -f says where load balancers and node ports are, also of a chart and of what is added later",
  async () => {
    await using home = new PillionHome();
    const [lb, ...others] = SERVICES;
    const first = await home.mustRun(["up", "-d", "-f", write(home, "first", POD, lb ?? {})]);
    expect(serviceLines(first.stderr)).toEqual(LINES.slice(0, 1));
    const later = await home.mustRun(["up", "-f", write(home, "later", ...others)]);
    expect(serviceLines(later.stderr)).toEqual(LINES.slice(1));
    const ofChart = service("of-chart", { type: "NodePort", ports: [{ port: 81 }] });
    const metadata = { name: "of-chart" };
    const policy = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata,
      spec: { podSelector: {} },
    };
    const chart = write(home, "chart/templates", ofChart, policy);
    writeFileSync(join(chart, "../Chart.yaml"), "apiVersion: v2\nname: site\nversion: 1.0.0\n");
    symlinkSync(await helmPath("35"), join(home.path, "helm"));
    const env = { PATH: `${home.path}:${process.env["PATH"]}` };
    const charted = await home.mustRun(["up", "-f", join(chart, "..")], { env });
    expect(charted.stderr).toContain("Warning: pillion: NetworkPolicy objects are stored");
    expect(serviceLines(charted.stderr)).toEqual([
      expect.stringMatching(/^service\/of-chart: 127\.0\.0\.1:3\d{4}$/),
    ]);
  },
  TEST_MS,
);

test(
  "up in the foreground says it once a pod is ready behind them",
  async () => {
    await using home = new PillionHome();
    const up = home.start(["up", "-f", write(home, "all", POD, ...SERVICES)]);
    expect(await up.line(/^service\/lb: /)).toEqual(LINES[0]);
    expect(await up.line(/^service\/node: /)).toEqual(LINES[1]);
    up.kill("SIGINT");
    const { code, stderr } = await up.exited;
    const ready = stderr.indexOf("pod/web: 1/1 Running");
    expect({ code, isAfter: ready >= 0 && stderr.indexOf("\nservice/node: ") > ready }).toEqual({
      code: 0,
      isAfter: true,
    });
    expect(serviceLines(stderr).length).toBe(2);
  },
  TEST_MS,
);

/**
 * How fast charts, rollouts and long lists are, as a user of kubectl and helm sees it.
 * Run: `bun bench/workloads.ts` (nginx-light from Debian for the chart). Prints a table and writes nothing.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../src/cli/api-client.ts";
import { helmPath, kubectlPath } from "../src/testing/kubectl.ts";
import { PillionHome } from "../src/testing/pillion.ts";

const EXAMPLE = join(import.meta.dirname, "../examples/express-nginx");
const REPLICAS = 20;
const STORED_PODS = 1000;
const WATCHERS = 20;
const WRITES = 300;

type Run = (program: "kubectl" | "helm", ...args: readonly string[]) => Promise<number>;

function row(what: string, values: readonly number[], aim: string): void {
  const sorted = values.toSorted((a, b) => a - b);
  const [least = 0] = sorted;
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const text = (ms: number) => (ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(0)} ms`);
  const spread = `${text(least)} – ${text(sorted.at(-1) ?? 0)}`;
  console.log(`${what.padEnd(58)} ${text(median).padStart(9)}   ${spread.padEnd(20)} ${aim}`);
}

async function openCluster(home: PillionHome, images: string): Promise<{ api: ApiClient; run: Run }> {
  await home.mustRun(["up", "-d", "--images", images]);
  const programs = { kubectl: await kubectlPath("35"), helm: await helmPath("35") };
  const env = { ...home.env, KUBECONFIG: home.kubeconfig() };
  return {
    api: new ApiClient(home.kubeconfig()),
    /** Milliseconds of a command that must succeed. */
    async run(program, ...args) {
      const startedAt = performance.now();
      const child = Bun.spawn([programs[program], ...args], { env, stdio: ["ignore", "ignore", "inherit"] });
      if ((await child.exited) !== 0) throw new Error(`${program} ${args.join(" ")} failed`);
      return performance.now() - startedAt;
    },
  };
}

async function measureChart(home: PillionHome): Promise<void> {
  if (Bun.which("nginx", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` }) === null) {
    console.log("no helm install of the example: nginx is not installed");
    return;
  }
  const { run, api } = await openCluster(home, join(EXAMPLE, ".pillion/images.yaml"));
  const installs: number[] = [];
  for (let round = 0; round < 5; round++) {
    installs.push(await run("helm", "install", `bench-${round}`, join(EXAMPLE, "chart"), "--wait"));
    await run("helm", "uninstall", `bench-${round}`, "--wait");
    await gone(api);
  }
  row("`helm install --wait` of examples/express-nginx", installs, "under 2 s");
  await home.mustRun(["down"]);
}

async function gone(api: ApiClient): Promise<void> {
  while ((await api.request<{ items: unknown[] }>("/api/v1/namespaces/default/pods")).items.length > 0)
    await Bun.sleep(20);
}

function deployment(version: number): object {
  const labels = { app: "crowd" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "crowd" },
    spec: {
      replicas: REPLICAS,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { version: String(version) } },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "main",
              image: "busybox",
              command: ["sh", "-c", "trap 'exit 0' TERM; touch /tmp/ready; sleep 1000 & wait"],
              readinessProbe: { exec: { command: ["cat", "/tmp/ready"] }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

async function measureRollout(home: PillionHome, { run, api }: { run: Run; api: ApiClient }): Promise<void> {
  const file = join(home.path, "deployment.json");
  const rollouts: number[] = [];
  for (let version = 0; version < 6; version++) {
    writeFileSync(file, JSON.stringify(deployment(version)));
    const startedAt = performance.now();
    await run("kubectl", "apply", "-f", file);
    await run("kubectl", "rollout", "status", "deployment/crowd", "--timeout=60s");
    rollouts.push(performance.now() - startedAt);
  }
  row(`${REPLICAS} replicas with a readiness probe, from nothing`, rollouts.slice(0, 1), "");
  row(`rolling update of ${REPLICAS} replicas`, rollouts.slice(1), "under 5 s");
  await run("kubectl", "delete", "deployment", "crowd");
  await gone(api);
}

/** As a cluster has them, with everything that the API fills in; nobody runs them. */
function storedPod(index: number): object {
  const container = (name: string) => ({
    name,
    image: `registry.example.com/shop/${name}:1.2.3`,
    env: [{ name: "INDEX", value: String(index) }],
    ports: [{ containerPort: 8080, name: "http" }],
    resources: { requests: { cpu: "10m", memory: "16Mi" } },
    readinessProbe: { httpGet: { path: "/ready", port: "http" } },
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `stored-${index}`, labels: { app: "stored", index: String(index) } },
    spec: {
      schedulingGates: [{ name: "example.com/never" }],
      containers: [container("main"), container("side")],
    },
  };
}

async function measureList(run: Run, api: ApiClient): Promise<void> {
  const collection = "/api/v1/namespaces/default/pods";
  for (let from = 0; from < STORED_PODS; from += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        api.request(collection, { method: "POST", body: storedPod(from + index) }),
      ),
    );
  await run("kubectl", "get", "pods", "-A"); // fills kubectl's cache of the API's kinds
  const whole: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < 10; round++) {
    whole.push(await run("kubectl", "get", "pods", "-A"));
    plain.push(await run("kubectl", "get", "pod", "stored-1"));
  }
  row(`\`kubectl get pods -A\` of ${STORED_PODS} pods`, whole, "under 400 ms");
  row("`kubectl get pod NAME`, for comparison", plain, "");
}

/** One write after the other. */
async function writes(api: ApiClient): Promise<number> {
  const at = "/api/v1/namespaces/default/configmaps/written";
  const startedAt = performance.now();
  for (let count = 0; count < WRITES; count++) {
    const body = { data: { count: String(count), at: String(startedAt) } };
    await api.request(at, { method: "PATCH", body, contentType: "application/merge-patch+json" });
  }
  return (performance.now() - startedAt) / WRITES;
}

async function measureWatchers(home: PillionHome, api: ApiClient): Promise<void> {
  const collection = "/api/v1/namespaces/default/configmaps";
  const body = { metadata: { name: "written" }, data: {} };
  await api.request(collection, { method: "POST", body: { apiVersion: "v1", kind: "ConfigMap", ...body } });
  const alone: number[] = [];
  const watched: number[] = [];
  await writes(api);
  for (let round = 0; round < 5; round++) {
    alone.push(await writes(api));
    const watchers = startWatchers(home, collection);
    await watchers.line(/^watching$/);
    watched.push(await writes(api));
    await watchers.line(/^heard$/);
    await watchers.end();
  }
  const ratios = watched.map((ms, index) => ms / (alone[index] ?? Number.NaN));
  const sorted = ratios.toSorted((a, b) => a - b);
  console.log(
    `a write with ${WATCHERS} clients that watch, without them`.padEnd(58),
    `${(watched.toSorted((a, b) => a - b)[2] ?? 0).toFixed(2)} ms, ${(alone.toSorted((a, b) => a - b)[2] ?? 0).toFixed(2)} ms;`,
    `${sorted[0]?.toFixed(2)} – ${sorted.at(-1)?.toFixed(2)}, median ${sorted[2]?.toFixed(2)}×  at most 1.5×`,
  );
}

function startWatchers(
  home: PillionHome,
  path: string,
): { line(pattern: RegExp): Promise<string>; end(): Promise<void> } {
  const script = join(import.meta.dirname, "watching-clients.ts");
  const args = [home.kubeconfig(), path, String(WATCHERS), String(WRITES)];
  const child = Bun.spawn([process.execPath, script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  let text = "";
  const reader = lines.getReader();
  return {
    async line(pattern) {
      for (;;) {
        const found = text.split("\n").find((each) => pattern.test(each));
        if (found !== undefined) return found;
        const { value, done } = await reader.read();
        if (done) throw new Error(`The watching clients ended before they said ${pattern}`);
        text += value;
      }
    },
    async end() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

async function main(): Promise<void> {
  await using home = new PillionHome();
  const images = join(home.path, "images.yaml");
  writeFileSync(images, "images: { busybox: host }\n");
  await measureChart(home);
  const cluster = await openCluster(home, images);
  await measureRollout(home, cluster);
  await measureWatchers(home, cluster.api);
  await measureList(cluster.run, cluster.api);
}

await main();

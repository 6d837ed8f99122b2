/**
 * What an idle engine costs whose 200 pods have a native sidecar and three probes each, one of every common kind, every ten
 * seconds. Run: `bun bench/idle-probes.ts` (root; busybox-static from Debian). Prints a table and writes nothing.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../src/cli/api-client.ts";
import { PillionHome } from "../src/testing/pillion.ts";
import { cpuMs, rssMiB } from "./engine-process.ts";

const PODS = 200;
const SETTLE_MS = 15_000;
const IDLE_MS = 30_000;
const COLLECTION = "/api/v1/namespaces/default/pods";

interface Listed {
  readonly items: readonly {
    readonly status?: {
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
      readonly containerStatuses?: readonly { readonly restartCount: number }[];
    };
  }[];
}

function pod(name: string): Record<string, unknown> {
  const wait = "trap 'exit 0' TERM; sleep 100000 & wait";
  const sidecar = {
    name: "sidecar",
    image: "host",
    restartPolicy: "Always",
    command: ["busybox", "httpd", "-f", "-p", "81", "-h", "/etc"],
    startupProbe: { tcpSocket: { port: 81 }, periodSeconds: 1, failureThreshold: 30 },
    livenessProbe: { tcpSocket: { port: 81 } },
  };
  const main = {
    name: "main",
    image: "host",
    command: ["sh", "-c", wait],
    livenessProbe: { exec: { command: ["true"] } },
    readinessProbe: { httpGet: { port: 81, path: "/hostname" } },
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, initContainers: [sidecar], containers: [main] },
  };
}

async function readyPods(api: ApiClient): Promise<number> {
  const { items } = await api.request<Listed>(COLLECTION);
  return items.filter(({ status }) =>
    status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
  ).length;
}

await using home = new PillionHome();
const images = join(home.path, "images.yaml");
writeFileSync(images, "images: { host: host }\n");
await home.mustRun(["up", "-d", "--images", images]);
const api = new ApiClient(home.kubeconfig());
const engine = home.enginePid();
const beganAt = performance.now();
for (let index = 0; index < PODS; index++)
  await api.request(COLLECTION, { method: "POST", body: pod(`probed-${index}`) });
while ((await readyPods(api)) < PODS) await Bun.sleep(100);
const ready = (performance.now() - beganAt) / 1000;
await Bun.sleep(SETTLE_MS);
const before = cpuMs(engine);
await Bun.sleep(IDLE_MS);
const percent = ((cpuMs(engine) - before) / IDLE_MS) * 100;
const rss = rssMiB(engine);
const { items } = await api.request<Listed>(COLLECTION);
const restarts = items.reduce(
  (sum, { status }) => sum + (status?.containerStatuses?.[0]?.restartCount ?? 0),
  0,
);
console.log(`${PODS} pods with a native sidecar and three probes each:`);
console.log(`  all ready after      ${ready.toFixed(1)} s`);
console.log(`  engine's CPU         ${percent.toFixed(1)} % of a core, over ${IDLE_MS / 1000} s`);
console.log(`  engine's memory      ${rss.toFixed(0)} MiB`);
console.log(`  ready then, restarts ${await readyPods(api)}, ${restarts}`);

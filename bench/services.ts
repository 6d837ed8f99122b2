/**
 * What the way through a Service costs, beside a direct connection to the same pod in the same run.
 * Run: `bun bench/services.ts [ROUNDS]` (wrk and nginx-light from Debian). Prints a table and writes nothing.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../src/cli/api-client.ts";
import { kubectlPath } from "../src/testing/kubectl.ts";
import { PillionHome } from "../src/testing/pillion.ts";
import { cpuMs, memoryMiB } from "./engine-process.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const SECONDS = 2;
const NODE_PORT = 31_080;
/** One answer of this many bytes, for the throughput of one connection. */
const BIG_BYTES = 64 << 20;

const NGINX = `worker_processes 1;
pid /tmp/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  sendfile on;
  server {
    listen 80 reuseport;
    location / { return 200 "hello\\n"; }
    location /big { root /tmp; }
  }
}
`;

const IMAGES = `images:
  server:
    host:
      command: [sh, -c, "head -c ${BIG_BYTES} /dev/zero >/tmp/big && exec nginx -g 'daemon off;'"]
      copy: { ./nginx.conf: /etc/nginx/nginx.conf }
  client: { host: { command: [sleep, "100000"] } }
`;

const metadata = (name: string) => ({ name, labels: { app: name } });
const pod = (name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: metadata(name),
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name,
        image: name,
        ...(name === "server" && { readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 } }),
      },
    ],
  },
});
const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: metadata("server"),
  spec: { type: "NodePort", selector: { app: "server" }, ports: [{ port: 80, nodePort: NODE_PORT }] },
};

/** One round of one way. */
interface Figures {
  /** Microseconds, one connection. */
  readonly p50: number;
  /** At 32 connections. */
  readonly perSecond: number;
  /** Microseconds, 32 connections. */
  readonly p99: number;
  /** A new connection for each, 8 at a time. */
  readonly newPerSecond: number;
  /** One connection, MiB/s. */
  readonly throughput: number;
}

/** Runs a command where the client is, and gives what it printed. */
type Run = (command: readonly string[]) => Promise<string>;

async function measure(run: Run, url: string): Promise<Figures> {
  const wrk = async (connections: number, ...more: readonly string[]) =>
    await run(["wrk", "-t1", `-c${connections}`, `-d${SECONDS}s`, "--latency", ...more]);
  const one = await wrk(1, url);
  const many = await wrk(32, url);
  const fresh = await wrk(8, "-H", "Connection: close", url);
  const big = await wrk(1, `${url}big`);
  return {
    p50: microseconds(one, "50%"),
    perSecond: numberAfter(many, "Requests/sec:"),
    p99: microseconds(many, "99%"),
    newPerSecond: numberAfter(fresh, "Requests/sec:"),
    throughput: mebibytes(big),
  };
}

function numberAfter(text: string, label: string): number {
  const found = new RegExp(`${label}\\s+([\\d.]+)`).exec(text)?.[1];
  if (found === undefined) throw new Error(`wrk did not say "${label}":\n${text}`);
  return Number(found);
}

function microseconds(text: string, percentile: string): number {
  const [, value, unit = ""] = new RegExp(`${percentile}\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? [];
  return Number(value) * ({ us: 1, ms: 1000, s: 1e6 }[unit] ?? Number.NaN);
}

function mebibytes(text: string): number {
  const [, value, unit = ""] = /Transfer\/sec:\s+([\d.]+)([KMG]?B)/.exec(text) ?? [];
  return Number(value) * ({ KB: 1 / 1024, MB: 1, GB: 1024 }[unit] ?? Number.NaN);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function report(ways: ReadonlyMap<string, readonly Figures[]>): void {
  const [direct = []] = ways.values();
  const cell = (rounds: readonly Figures[], key: keyof Figures) => {
    const value = median(rounds.map((round) => round[key]));
    const ratio = median(rounds.map((round, index) => round[key] / (direct[index]?.[key] ?? Number.NaN)));
    return `${value.toFixed(0).padStart(8)} ${ratio.toFixed(2).padStart(5)}×`;
  };
  const names: readonly (keyof Figures)[] = ["p50", "perSecond", "p99", "newPerSecond", "throughput"];
  const heads = ["p50 µs, c=1", "req/s, c=32", "p99 µs, c=32", "new conn/s", "MiB/s"];
  console.log(`${"".padEnd(26)}${heads.map((head) => head.padStart(16)).join("")}`);
  for (const [way, rounds] of ways)
    console.log(`${way.padEnd(26)}${names.map((name) => cell(rounds, name).padStart(16)).join("")}`);
}

async function prepare(
  home: PillionHome,
): Promise<{ api: ApiClient; podIP: string; clusterIP: string; nodeIP: string }> {
  writeFileSync(join(home.path, "nginx.conf"), NGINX);
  writeFileSync(join(home.path, "images.yaml"), IMAGES);
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  const api = new ApiClient(home.kubeconfig());
  const at = "/api/v1/namespaces/default";
  for (const name of ["server", "client"])
    await api.request(`${at}/pods`, { method: "POST", body: pod(name) });
  interface Shown {
    readonly spec: { readonly clusterIP: string };
    readonly status: {
      readonly podIP: string;
      readonly hostIP: string;
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  }
  const { spec } = await api.request<Shown>(`${at}/services`, { method: "POST", body: service });
  for (;;) {
    const { status } = await api.request<Shown>(`${at}/pods/server`);
    if (status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true)
      return { api, podIP: status.podIP, nodeIP: status.hostIP, clusterIP: spec.clusterIP };
    await Bun.sleep(50);
  }
}

async function main(): Promise<void> {
  await using home = new PillionHome();
  const { podIP, clusterIP, nodeIP } = await prepare(home);
  const kubectl = await kubectlPath("35");
  const output = async (command: readonly string[]) => {
    const child = Bun.spawn([...command], {
      env: { ...home.env, KUBECONFIG: home.kubeconfig() },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return await new Response(child.stdout).text();
  };
  const inPod: Run = (command) => output([kubectl, "exec", "client", "--", ...command]);
  const places: readonly [string, Run, string][] = [
    ["pod → pod, direct", inPod, `http://${podIP}/`],
    ["pod → ClusterIP", inPod, `http://${clusterIP}/`],
    ["pod → NodePort", inPod, `http://${nodeIP}:${NODE_PORT}/`],
    ["this machine → NodePort", output, `http://127.0.0.1:${NODE_PORT}/`],
  ];
  const ways = new Map<string, Figures[]>(places.map(([name]) => [name, []]));
  const engine = home.enginePid();
  const cpu = cpuMs(engine);
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, run, url] of places) ways.get(name)?.push(await measure(run, url));
  report(ways);
  console.log(
    `engine: ${((cpuMs(engine) - cpu) / 1000).toFixed(1)} s of CPU, ${memoryMiB(engine, "VmHWM").toFixed(0)} MiB at most`,
  );
}

await main();

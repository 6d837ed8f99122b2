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

const ROUNDS = Number(process.argv[2] ?? 3);
const SECONDS = 1;
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
const service = (nodePort: number) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadata("server"),
  spec: { type: "NodePort", selector: { app: "server" }, ports: [{ port: 80, nodePort }] },
});

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

function report(ways: readonly Way[]): void {
  const direct = ways[0]?.rounds ?? [];
  const cell = (rounds: readonly Figures[], key: keyof Figures) => {
    const value = median(rounds.map((round) => round[key]));
    const ratio = median(rounds.map((round, index) => round[key] / (direct[index]?.[key] ?? Number.NaN)));
    return `${value.toFixed(0).padStart(8)} ${ratio.toFixed(2).padStart(5)}×`;
  };
  const names: readonly (keyof Figures)[] = ["p50", "perSecond", "p99", "newPerSecond", "throughput"];
  const heads = ["p50 µs, c=1", "req/s, c=32", "p99 µs, c=32", "new conn/s", "MiB/s"];
  console.log(`${"".padEnd(26)}${heads.map((head) => head.padStart(16)).join("")}`);
  for (const { name, rounds } of ways)
    console.log(`${name.padEnd(26)}${names.map((key) => cell(rounds, key).padStart(16)).join("")}`);
}

interface Cluster {
  readonly podIP: string;
  readonly clusterIP: string;
  readonly nodeIP: string;
  readonly engine: number;
  readonly inPod: Run;
}

interface Shown {
  readonly spec: { readonly clusterIP: string };
  readonly status: {
    readonly podIP: string;
    readonly hostIP: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** A cluster with a server, a client, and a Service. */
async function open(home: PillionHome, name: string, more: ClusterOptions): Promise<Cluster> {
  const options = { env: more.env };
  await home.mustRun(["up", "-d", "--name", name, "--images", join(home.path, "images.yaml")], options);
  const kubeconfig = home.kubeconfig(name);
  const api = new ApiClient(kubeconfig);
  const at = "/api/v1/namespaces/default";
  for (const each of ["server", "client"])
    await api.request(`${at}/pods`, { method: "POST", body: pod(each) });
  const body = service(more.nodePort);
  const { spec } = await api.request<Shown>(`${at}/services`, { method: "POST", body });
  const kubectl = await kubectlPath("35");
  const env = { ...home.env, KUBECONFIG: kubeconfig };
  const inPod: Run = (command) => output([kubectl, "exec", "client", "--", ...command], env);
  for (;;) {
    const { status } = await api.request<Shown>(`${at}/pods/server`);
    if (status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true) {
      const { podIP, hostIP: nodeIP } = status;
      return { podIP, nodeIP, clusterIP: spec.clusterIP, engine: home.enginePid(name), inPod };
    }
    await Bun.sleep(50);
  }
}

async function output(command: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const child = Bun.spawn([...command], { env, stdio: ["ignore", "pipe", "inherit"] });
  return await new Response(child.stdout).text();
}

interface ClusterOptions {
  readonly nodePort: number;
  readonly env: Readonly<Record<string, string>>;
}

interface Way {
  readonly name: string;
  readonly run: Run;
  readonly url: string;
  readonly rounds: Figures[];
}

/** Pods of both clusters have the same way to each other. */
function waysOf({ podIP, clusterIP, nodeIP, inPod }: Cluster, nodePort: number, by: string): Way[] {
  const way = (name: string, run: Run, host: string): Way => ({
    name,
    run,
    url: `http://${host}/`,
    rounds: [],
  });
  const here: Run = (command) => output(command, { PATH: process.env["PATH"] ?? "" });
  return [
    way("pod → pod, direct", inPod, podIP),
    way(`pod → ClusterIP, ${by}`, inPod, clusterIP),
    way(`pod → NodePort, ${by}`, inPod, `${nodeIP}:${nodePort}`),
    way("this machine → NodePort", here, `127.0.0.1:${nodePort}`),
  ];
}

async function main(): Promise<void> {
  await using home = new PillionHome();
  writeFileSync(join(home.path, "nginx.conf"), NGINX);
  writeFileSync(join(home.path, "images.yaml"), IMAGES);
  const relay = await open(home, "relay", { nodePort: 31_080, env: { PILLION_PACKET_FILTER: "off" } });
  const ways = waysOf(relay, 31_080, "relay");
  if (Bun.which("nft", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` }) === null)
    console.log("no nft here: cluster IPs by the relay only");
  else {
    const kernel = await open(home, "kernel", { nodePort: 31_081, env: {} });
    ways.push(...waysOf(kernel, 31_081, "nft").slice(1, 3));
  }
  const cpu = cpuMs(relay.engine);
  for (let round = 0; round < ROUNDS; round++)
    for (const { run, url, rounds } of ways) rounds.push(await measure(run, url));
  report(ways);
  const spent = (cpuMs(relay.engine) - cpu) / 1000;
  const most = memoryMiB(relay.engine, "VmHWM");
  console.log(`the relay's engine: ${spent.toFixed(1)} s of CPU, ${most.toFixed(0)} MiB at most`);
}

await main();

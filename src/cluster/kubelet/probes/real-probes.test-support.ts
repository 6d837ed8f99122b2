/** Probes and hooks against real processes, inside an engine's namespaces; prints what it found as JSON. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Event, Lifecycle, Probe } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { createAuthority } from "../../api/make-certificates.ts";
import {
  allRunning,
  type Cluster,
  create,
  hasEnded,
  isGone,
  openCluster,
  shell,
  statusOf,
  until,
} from "../test-support/real-cluster.ts";
import { runProbe, type ProbeOutcome } from "./run-probe.ts";

const SERVERS = join(import.meta.dir, "probe-servers.test-support.ts");

/** How a test runs all of this: a command for `namespaceCommand`. */
export function realProbesCommand(folder: string): string[] {
  return [process.execPath, import.meta.path, folder];
}

/** A pod of servers, and every kind of probe at them. */
async function kinds(cluster: Cluster) {
  const container = await startServers(cluster);
  const ask = asker(cluster, container);
  const http = (path: string, more = {}): Probe => ({ httpGet: { port: 80, path, ...more } });
  const grpc = (service: string, port = 9090): Probe => ({ grpc: { port, service } });
  const exec = (script: string): Probe => ({ exec: { command: ["sh", "-c", script] } });
  const filesBefore = openFiles();
  const questions: Record<string, Probe> = {
    ok: http("/headers"),
    named: http("/headers", { port: "web" }),
    fail: http("/fail"),
    moved: http("/moved"),
    loop: http("/loop"),
    away: http("/away"),
    huge: http("/huge"),
    reset: http("/reset"),
    hang: http("/hang"),
    refused: http("/", { port: 81 }),
    silent: http("/", { port: 82 }),
    "not http": http("/", { port: 9090 }),
    https: http("/headers", { port: 443, scheme: "HTTPS" }),
    "https to http": http("/", { scheme: "HTTPS" }),
    "http to https": http("/", { port: 443 }),
    tcp: { tcpSocket: { port: 80 } },
    "tcp refused": { tcpSocket: { port: 81 } },
    "tcp nowhere": { tcpSocket: { port: 80, host: "10.244.200.200" } },
    "grpc serving": grpc(""),
    "grpc not serving": grpc("bad"),
    "grpc unknown service": grpc("unknown"),
    "grpc hangs": grpc("hang"),
    "grpc without health": grpc("", 9091),
    "grpc refused": grpc("", 81),
    "grpc silent": grpc("", 82),
    "grpc to http": grpc("", 80),
    "exec true": exec("true"),
    "exec false": exec("echo out; echo err >&2; exit 7"),
    "exec hangs": exec("sleep 1000"),
    "exec talks": exec("yes | head -c 1000000; exit 1"),
    "exec nothing": { exec: { command: ["/no/such/program"] } },
  };
  const asked = Object.entries(questions).map(async ([name, probe]) => [name, await ask(probe)] as const);
  const outcomes = Object.fromEntries(await Promise.all(asked));
  return { outcomes, leaked: await filesOver(filesBefore) };
}

/** How many files more than before are open, once what was killed has gone. */
async function filesOver(before: number): Promise<number> {
  const deadline = performance.now() + 3000;
  while (openFiles() > before && performance.now() < deadline) await Bun.sleep(5);
  return Math.max(0, openFiles() - before);
}

async function startServers(cluster: Cluster): Promise<Container> {
  const hour = 3_600_000;
  const now = Date.now();
  const { certificate, key } = await createAuthority({
    commonName: "self",
    notBefore: now - hour,
    notAfter: now + hour,
  });
  const file = (name: string, path: string) => ({ name, hostPath: { path, type: "File" } });
  const container: Container = {
    name: "servers",
    image: "host",
    command: ["/opt/bun", "/opt/servers.ts"],
    ports: [{ name: "web", containerPort: 80 }],
    env: [
      { name: "KEY", value: key },
      { name: "CERTIFICATE", value: certificate },
    ],
    volumeMounts: [
      { name: "bun", mountPath: "/opt/bun" },
      { name: "servers", mountPath: "/opt/servers.ts" },
    ],
    readinessProbe: { grpc: { port: 9091 }, periodSeconds: 1 },
    startupProbe: { tcpSocket: { port: 9091 }, periodSeconds: 1, failureThreshold: 30 },
  };
  // The probe of a server without health never succeeds; that all of them listen is enough.
  create(cluster, "servers", {
    volumes: [file("bun", process.execPath), file("servers", SERVERS)],
    containers: [container],
  });
  const isStarted = (pod: StoredPod | undefined) => pod?.status?.containerStatuses?.[0]?.started === true;
  await until(cluster, "servers", isStarted);
  return container;
}

function asker(cluster: Cluster, container: Container): (probe: Probe) => Promise<string> {
  const podIP = statusOf(cluster, "servers")?.podIP ?? "";
  const at = { namespace: "default", name: "servers", container: container.name };
  const target = {
    sandbox: cluster.sandbox,
    clock: systemClock,
    container,
    podIP,
    running: {
      exec: (spec: Parameters<typeof cluster.kubelet.port.exec>[1]) => cluster.kubelet.port.exec(at, spec),
    },
  };
  return async (probe) => {
    const outcome = await runProbe(probe, target, new AbortController().signal);
    return describeOutcome(outcome).replaceAll(podIP, "POD-IP");
  };
}

function describeOutcome(outcome: ProbeOutcome): string {
  switch (outcome.kind) {
    case "success":
      return "success";
    case "error":
      return `error (${outcome.state}): ${outcome.message}`;
    case "warning":
    case "failure":
    default:
      return `${outcome.kind}: ${outcome.output.length > 1000 ? `${outcome.output.length} characters` : outcome.output}`;
  }
}

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

function events({ store }: Cluster, pod: string): string[] {
  return store
    .list("events")
    .items.map((object) => object as KubeObject & Event)
    .filter(({ involvedObject }) => involvedObject.name === pod)
    .map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

/** A native sidecar that starts slowly, a container that dies, and one that is ready and not. */
async function lives(cluster: Cluster) {
  const volumeMounts = [{ name: "v", mountPath: "/v" }];
  const check = (command: string, more: Partial<Probe> = {}): Probe => ({
    exec: { command: ["sh", "-c", command] },
    periodSeconds: 1,
    failureThreshold: 1,
    ...more,
  });
  const wait = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
  create(cluster, "alive", {
    volumes: [{ name: "v", emptyDir: {} }],
    initContainers: [
      shell("side", `sleep 0.5; touch /v/side; ${wait}`, {
        restartPolicy: "Always",
        volumeMounts,
        startupProbe: check("test -e /v/side", { failureThreshold: 20 }),
      }),
    ],
    containers: [
      shell("app", `test -e /v/side && echo after-side > /v/order; ${wait}`, {
        volumeMounts,
        readinessProbe: check("test ! -e /v/unready"),
        livenessProbe: check("test ! -e /v/dead || { rm /v/dead; false; }", {
          terminationGracePeriodSeconds: 1,
        }),
      }),
    ],
  });
  const app = (pod: StoredPod | undefined) => pod?.status?.containerStatuses?.[0];
  await until(cluster, "alive", allRunning);
  const inside = async (script: string) => {
    const at = { namespace: "default", name: "alive", container: "app" };
    const spec = { argv: ["sh", "-c", script], stdin: false, tty: false };
    const { stdout, exited } = await cluster.kubelet.port.exec(at, spec);
    let said = "";
    for await (const chunk of stdout ?? []) said += Buffer.from(chunk).toString();
    return (await exited).exitCode === 0 ? said.trim() : "failed";
  };
  const order = await inside("cat /v/order");
  await inside("touch /v/unready");
  await until(cluster, "alive", (pod) => app(pod)?.ready === false);
  await inside("rm /v/unready");
  await until(cluster, "alive", (pod) => app(pod)?.ready === true);
  await inside("touch /v/dead");
  await until(cluster, "alive", (pod) => app(pod)?.restartCount === 1 && app(pod)?.ready === true);
  const [status] = statusOf(cluster, "alive")?.containerStatuses ?? [];
  const { reason, exitCode } = status?.lastState?.terminated ?? {};
  const told = events(cluster, "alive").filter((text) => /Unhealthy|Killing/.test(text));
  return { order, last: { reason, exitCode }, told };
}

/** Hooks that work, fail and hang. */
async function hooks(cluster: Cluster, shared: string) {
  const wait = "trap 'echo TERM >> /v/$0; exit 0' TERM; while :; do sleep 0.02; done";
  const pod = (name: string, lifecycle: Lifecycle, seconds = 5) =>
    create(cluster, name, {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: seconds,
      volumes: [{ name: "v", hostPath: { path: shared, type: "Directory" } }],
      containers: [
        {
          name: "app",
          image: "host",
          command: ["sh", "-c", wait, name],
          volumeMounts: [{ name: "v", mountPath: "/v" }],
          lifecycle,
        },
      ],
    });
  const exec = (script: string) => ({ exec: { command: ["sh", "-c", script] } });
  const wrote = (name: string) =>
    existsSync(join(shared, name)) ? readFileSync(join(shared, name), "utf8") : "";
  const remove = async (name: string) => {
    cluster.store.delete("pods", { namespace: "default", name });
    return until(cluster, name, isGone);
  };
  pod("fine", { postStart: exec("echo post >> /v/fine"), preStop: exec("echo pre >> /v/fine") });
  pod("failing", { postStart: exec("echo no >&2; exit 3") });
  pod("hanging", { preStop: exec("echo pre >> /v/hanging; sleep 1000") }, 1);
  pod("sleeping", { preStop: { sleep: { seconds: 1 } } });
  await Promise.all(["fine", "hanging", "sleeping"].map((name) => until(cluster, name, allRunning)));
  await until(cluster, "failing", hasEnded);
  const [, hangingMs, sleepingMs] = await Promise.all(["fine", "hanging", "sleeping"].map(remove));
  return {
    fine: wrote("fine"),
    hanging: wrote("hanging"),
    failing: {
      state: statusOf(cluster, "failing")?.containerStatuses?.[0]?.state,
      told: events(cluster, "failing").filter((text) => /Hook|Killing/.test(text)),
    },
    hangingSeconds: Math.floor((hangingMs ?? 0) / 1000),
    sleepingSeconds: Math.floor((sleepingMs ?? 0) / 1000),
  };
}

if (import.meta.main) {
  const [, , folder = ""] = process.argv;
  const shared = join(folder, "shared");
  mkdirSync(shared, { recursive: true });
  const cluster = await openCluster(folder, { hostPaths: [SERVERS, process.execPath, shared] });
  const found = { kinds: await kinds(cluster) };
  const [living, hooked] = await Promise.all([lives(cluster), hooks(cluster, shared)]);
  await cluster.close();
  console.log(JSON.stringify({ ...found, lives: living, hooks: hooked, errors: cluster.errors }));
}

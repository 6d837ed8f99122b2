/** What the tests of real pods do inside an engine's namespaces; prints what it found as JSON. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { StoredPod } from "../../k8s/pod.ts";
import { sandboxFolder } from "../sandbox/leftovers.ts";
import {
  allRunning,
  type Cluster,
  create,
  hasEnded,
  isGone,
  logs,
  openCluster,
  shell,
  statusOf,
  until,
} from "./test-support/real-cluster.ts";

const SCENARIOS = { oneOfEach, crashLoops };

/** How a test runs one of the scenarios: a command for `namespaceCommand`. */
export function scenarioCommand(name: keyof typeof SCENARIOS, folder: string): string[] {
  return [process.execPath, import.meta.path, name, folder];
}

/** Pods of many kinds, one after the other. */
async function oneOfEach(folder: string): Promise<void> {
  mkdirSync(join(folder, "shared"), { recursive: true });
  await Bun.write(join(folder, "shared/file"), "of this machine\n");
  const cluster = await openCluster(folder, { hostPaths: [join(folder, "shared")] });
  const found = {
    sidecar: await sharedVolume(cluster),
    files: await files(cluster, folder),
    ends: await ends(cluster),
    deletion: await deletion(cluster),
    replaced: await replacedSandbox(cluster, folder),
    badStart: await badStart(cluster),
    tier: cluster.sandbox.tier.name,
    left: readdirSync(join(folder, "pods")),
    errors: cluster.errors,
  };
  await cluster.close();
  console.log(JSON.stringify(found));
}

/** A container writes a log, its sidecar reads it: the reason for all this. */
async function sharedVolume(cluster: Cluster) {
  const volumeMounts = [{ name: "log", mountPath: "/var/log/app" }];
  create(cluster, "sidecar", {
    volumes: [{ name: "log", emptyDir: {} }],
    containers: [
      shell(
        "writer",
        "trap 'exit 0' TERM; i=0; while :; do echo line $i >> /var/log/app/x; i=$((i+1)); sleep 0.02; done",
        {
          volumeMounts,
        },
      ),
      shell(
        "reader",
        "trap 'exit 0' TERM; while [ ! -s /var/log/app/x ]; do sleep 0.01; done; cat /var/log/app/x; hostname; sleep 1000 & wait",
        {
          volumeMounts: [{ name: "log", mountPath: "/var/log/app", readOnly: true }],
        },
      ),
    ],
  });
  const runningAfterMs = await until(cluster, "sidecar", allRunning);
  const following = logs(cluster, "sidecar", "reader", true);
  await until(cluster, "sidecar", allRunning);
  await waitForText(cluster, "sidecar", "reader", "sidecar\n");
  const deletedAt = performance.now();
  cluster.store.delete("pods", { namespace: "default", name: "sidecar" });
  await until(cluster, "sidecar", isGone);
  const goneAfterMs = performance.now() - deletedAt;
  const text = await following;
  return { runningAfterMs, goneAfterMs, first: text.split("\n")[0], last: text.trimEnd().split("\n").at(-1) };
}

async function waitForText(cluster: Cluster, pod: string, container: string, text: string): Promise<void> {
  const controller = new AbortController();
  const options = { container, follow: true, previous: false, timestamps: false };
  const at = { namespace: "default", name: pod };
  let seen = "";
  for await (const piece of await cluster.kubelet.port.openLog(at, options, controller.signal)) {
    seen += Buffer.from(piece).toString();
    if (seen.includes(text)) controller.abort();
  }
}

/** Every kind of volume, environment and file, as the container sees them. */
async function files(cluster: Cluster, folder: string) {
  const { store } = cluster;
  const metadata = { namespace: "default", name: "conf" };
  store.create("configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata,
    data: { key: "from map", other: "o" },
  });
  const data = { pw: Buffer.from("hunter2").toString("base64") };
  store.create("secrets", { apiVersion: "v1", kind: "Secret", metadata, data });
  const mount = (name: string, more = {}) => ({ name, mountPath: `/t/${name}`, ...more });
  const script = [
    "cat /t/map/key; echo; readlink /t/map/key; echo x 2>/dev/null > /t/map/new || echo read-only",
    "cat /t/sub; echo; cat /t/secret/pw; echo; stat -Lc %a /t/secret/pw; stat -f -c %T /t/secret /t/memory",
    "cat /t/labels/labels; echo; cat /t/host/file; echo made > /t/node/made; stat -c %a /t/empty /t/empty/sub",
    'echo "$NAME $IP $MAP $SECRET $HOSTNAME $(id -u) $PWD"; grep -c "$IP" /etc/hosts; cat /etc/hostname',
    "mkdir /t/empty/x && echo message > /dev/termination-log",
  ].join("; ");
  create(cluster, "files", {
    restartPolicy: "Never",
    volumes: [
      { name: "map", configMap: { name: "conf" } },
      { name: "secret", secret: { secretName: "conf", defaultMode: 0o400 } },
      { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      {
        name: "labels",
        downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] },
      },
      { name: "host", hostPath: { path: join(folder, "shared") } },
      { name: "node", hostPath: { path: "/var/lib/thing", type: "DirectoryOrCreate" } },
      { name: "empty", emptyDir: {} },
    ],
    containers: [
      shell("app", script, {
        workingDir: "/t/work",
        volumeMounts: [
          mount("map"),
          mount("map", { mountPath: "/t/sub", subPath: "key" }),
          mount("secret"),
          mount("memory"),
          mount("labels"),
          mount("host", { readOnly: true }),
          mount("node"),
          mount("empty"),
          mount("empty", { mountPath: "/t/other", subPath: "sub" }),
        ],
        env: [
          { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "MAP", valueFrom: { configMapKeyRef: { name: "conf", key: "other" } } },
          { name: "SECRET", valueFrom: { secretKeyRef: { name: "conf", key: "pw" } } },
        ],
      }),
    ],
  });
  await until(cluster, "files", hasEnded);
  const status = statusOf(cluster, "files");
  const text = (await logs(cluster, "files", "app")).replaceAll(status?.podIP ?? "?", "POD-IP");
  const onNode = readFileSync(join(folder, "node/var/lib/thing/made"), "utf8");
  return {
    text: text.split("\n"),
    onNode,
    state: status?.containerStatuses?.[0]?.state?.terminated?.message,
  };
}

async function ends(cluster: Cluster) {
  create(cluster, "ends", {
    restartPolicy: "Never",
    initContainers: [shell("init", "echo once")],
    containers: [
      shell("fine", "exit 0"),
      shell("bad", "echo first; echo last >&2; exit 3", {
        terminationMessagePolicy: "FallbackToLogsOnError",
      }),
    ],
  });
  await until(cluster, "ends", hasEnded);
  const status = statusOf(cluster, "ends");
  const words = status?.containerStatuses?.map(({ name, state }) => {
    const { reason, exitCode, message = "" } = state?.terminated ?? {};
    return `${name} ${reason} ${exitCode} ${message.trim()}`.trim();
  });
  return { phase: status?.phase, words };
}

/** A program that will not listen is killed when its time is over. */
async function deletion(cluster: Cluster) {
  create(cluster, "deaf", { containers: [shell("app", "trap '' TERM; while :; do sleep 0.05; done")] });
  await until(cluster, "deaf", allRunning);
  const begun = performance.now();
  cluster.store.delete("pods", { namespace: "default", name: "deaf" }, { gracePeriodSeconds: 1 });
  await until(cluster, "deaf", isGone);
  return { seconds: Math.round((performance.now() - begun) / 1000) };
}

/** Somebody kills the process that holds the pod's namespaces. */
async function replacedSandbox(cluster: Cluster, folder: string) {
  create(cluster, "held", {
    containers: [shell("app", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done")],
  });
  await until(cluster, "held", allRunning);
  const before = statusOf(cluster, "held");
  const processes = join(sandboxFolder(folder), "processes");
  for (const name of readdirSync(processes)) {
    const what = readFileSync(join(processes, name), "utf8");
    if (what.startsWith("pod") && what.includes("default/held")) process.kill(Number(name.split("-")[0]), 9);
  }
  const restarted = (pod: StoredPod | undefined) =>
    allRunning(pod) && (pod?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0;
  await until(cluster, "held", restarted);
  const after = statusOf(cluster, "held");
  // Before its trap is set, a first process does not even notice SIGTERM.
  await waitForText(cluster, "held", "app", "up");
  cluster.store.delete("pods", { namespace: "default", name: "held" });
  await until(cluster, "held", isGone);
  return {
    restartCount: after?.containerStatuses?.[0]?.restartCount,
    hasIp: after?.podIP !== "",
    had: before?.podIP !== "",
  };
}

async function badStart(cluster: Cluster) {
  create(cluster, "bad", {
    restartPolicy: "Never",
    containers: [{ name: "app", image: "host", command: ["/no/such/program"] }],
  });
  await until(cluster, "bad", hasEnded);
  const { reason, exitCode } = statusOf(cluster, "bad")?.containerStatuses?.[0]?.state?.terminated ?? {};
  return { reason, exitCode };
}

/** Many pods whose containers end as soon as they start. */
async function crashLoops(folder: string): Promise<void> {
  const pods = 60;
  const cluster = await openCluster(folder);
  const names = Array.from({ length: pods }, (_, index) => `crash-${index}`);
  const begun = performance.now();
  for (const name of names)
    create(cluster, name, { containers: [{ name: "app", image: "host", command: ["false"] }] });
  const isBackingOff = (pod: StoredPod | undefined) =>
    pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff";
  await Promise.all(names.map((name) => until(cluster, name, isBackingOff)));
  const backingOffAfterMs = performance.now() - begun;
  const counts = new Set(names.map((name) => statusOf(cluster, name)?.containerStatuses?.[0]?.restartCount));
  const idleFrom = process.cpuUsage();
  await Bun.sleep(500);
  const idle = process.cpuUsage(idleFrom);
  const deletedAt = performance.now();
  for (const name of names) cluster.store.delete("pods", { namespace: "default", name });
  await Promise.all(names.map((name) => until(cluster, name, isGone)));
  const goneAfterMs = performance.now() - deletedAt;
  const { errors } = cluster;
  await cluster.close();
  const idleMs = Math.round((idle.user + idle.system) / 1000);
  console.log(JSON.stringify({ backingOffAfterMs, goneAfterMs, idleMs, counts: [...counts], errors }));
}

if (import.meta.main) {
  const [, , name, folder = ""] = process.argv;
  await (name === "crashLoops" ? SCENARIOS.crashLoops : SCENARIOS.oneOfEach)(folder);
}

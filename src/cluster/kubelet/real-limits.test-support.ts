/** What the tests of limits do inside an engine's namespaces; prints what it found as JSON. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { ContainerStatus, PodSpec } from "../../../generated/kubernetes.ts";
import { type StoredPod, asPod } from "../../k8s/pod.ts";
import { processesOf } from "../../testing/host-snapshot.ts";
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

/** How a test runs the scenario: a command for `namespaceCommand`. */
export function scenarioCommand(folder: string): string[] {
  return [process.execPath, import.meta.path, folder];
}

const LIMITED = { limits: { memory: "32Mi", cpu: "500m" }, requests: { memory: "16Mi", cpu: "250m" } };
/** Takes memory until somebody stops it. */
const HOG = "tail /dev/zero";

async function limits(folder: string): Promise<void> {
  const cluster = await openCluster(folder);
  const found = {
    resourceLimits: cluster.sandbox.tier.resourceLimits,
    warnings: await warnings(cluster),
    places: await places(cluster),
    ...(cluster.sandbox.tier.resourceLimits === "none" ? {} : { kills: await kills(cluster) }),
    usage: await usage(cluster),
    errors: cluster.errors,
  };
  await cluster.close();
  console.log(JSON.stringify({ ...found, left: processesOf(folder) }));
}

/** Events about what nobody enforces. */
async function warnings(cluster: Cluster) {
  create(cluster, "limited", {
    restartPolicy: "Never",
    containers: [shell("app", "true", { resources: LIMITED })],
  });
  create(cluster, "unlimited", { restartPolicy: "Never", containers: [shell("app", "true")] });
  await Promise.all(["limited", "unlimited"].map((name) => until(cluster, name, hasEnded)));
  const events = cluster.store.list("events").items as readonly {
    reason?: string;
    message?: string;
    involvedObject?: { name?: string };
  }[];
  return events
    .filter(({ reason }) => reason === "FieldIgnored")
    .map(({ message, involvedObject }) => `${involvedObject?.name}: ${message}`);
}

/** Tells where it is, waits to be told to stop. */
const IDLE = "cat /proc/self/oom_score_adj; echo ready; trap 'exit 0' TERM; sleep 1000 & wait";

/** Where containers of each class are, and what the kernel has been told of them. */
async function places(cluster: Cluster) {
  const equal = { limits: LIMITED.limits, requests: LIMITED.limits };
  const specs: Record<string, Omit<PodSpec, "nodeName">> = {
    guaranteed: { containers: [shell("app", IDLE, { resources: equal })] },
    burstable: {
      initContainers: [shell("side", IDLE, { restartPolicy: "Always" })],
      containers: [shell("app", IDLE, { resources: LIMITED })],
    },
    besteffort: { containers: [shell("app", IDLE)] },
  };
  const found: Record<string, unknown> = {};
  const folders: string[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    create(cluster, name, spec);
    await until(cluster, name, allRunning);
    const place = await placeOf(cluster, name);
    folders.push(...place.folders);
    found[name] = place.facts;
  }
  for (const name of Object.keys(specs)) cluster.store.delete("pods", { namespace: "default", name });
  await Promise.all(Object.keys(specs).map((name) => until(cluster, name, isGone)));
  return { ...found, stays: folders.filter((folder) => existsSync(folder)) };
}

async function placeOf(cluster: Cluster, name: string) {
  const object = cluster.store.get("pods", { namespace: "default", name });
  if (object === undefined) throw new Error(`no pod ${name}`);
  const { metadata, status } = asPod(object);
  const app = status?.containerStatuses?.[0];
  const id = app?.containerID?.replace(/^.*:\/\//, "") ?? "";
  const [score = ""] = (await textUntil(cluster, name, "ready\n")).split("\n");
  const path = groupOf(id);
  const pod = path.slice(0, path.lastIndexOf("/"));
  return {
    folders: path === "" ? [] : [folderOf("memory", pod), folderOf("cpu", pod)],
    facts: {
      oomScoreAdj: Number(score),
      path: path
        .replace(/^.*\/pillion-[^/]*\//, "")
        .replace(metadata.uid, "UID")
        .replace(id, "ID"),
      ...(path === "" ? {} : { container: limitsAt(path), pod: limitsAt(pod) }),
      resources: app?.resources,
      allocated: app?.allocatedResources,
    },
  };
}

const isVersion2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

function folderOf(controller: string, path: string): string {
  return `/sys/fs/cgroup${isVersion2 ? "" : `/${controller}`}${path}`;
}

/** Its path; empty where there are no groups. */
function groupOf(id: string): string {
  const top = folderOf("memory", "");
  if (!existsSync(top)) return "";
  const path = readdirSync(top, { encoding: "utf8", recursive: true }).find((name) =>
    name.endsWith(`/${id}`),
  );
  return path === undefined ? "" : `/${path}`;
}

function limitsAt(path: string) {
  const read = (controller: string, file: string) => {
    const name = `${folderOf(controller, path)}/${file}`;
    return existsSync(name) ? readFileSync(name, "utf8").trim() : "no such file";
  };
  return {
    memory: read("memory", isVersion2 ? "memory.max" : "memory.limit_in_bytes"),
    shares: read("cpu", isVersion2 ? "cpu.weight" : "cpu.shares"),
    quota: read("cpu", isVersion2 ? "cpu.max" : "cpu.cfs_quota_us"),
  };
}

async function textUntil(cluster: Cluster, pod: string, text: string): Promise<string> {
  const controller = new AbortController();
  const options = { container: "app", follow: true, previous: false, timestamps: false };
  const at = { namespace: "default", name: pod };
  let seen = "";
  for await (const piece of await cluster.kubelet.port.openLog(at, options, controller.signal)) {
    seen += Buffer.from(piece).toString();
    if (seen.includes(text)) controller.abort();
  }
  return seen;
}

/** Containers that want more than they may have. */
async function kills(cluster: Cluster) {
  const never = { restartPolicy: "Never" } as const;
  create(cluster, "hog", { ...never, containers: [shell("app", `exec ${HOG}`, { resources: LIMITED })] });
  create(cluster, "child", {
    ...never,
    containers: [shell("app", `${HOG}; echo "child: $?"; exit 3`, { resources: LIMITED })],
  });
  const volumes = [{ name: "v", emptyDir: { medium: "Memory" } }];
  const volumeMounts = [{ name: "v", mountPath: "/v" }];
  create(cluster, "memory-volume", {
    ...never,
    volumes,
    containers: [
      shell("app", "exec head -c 64M /dev/zero > /v/file", { resources: LIMITED, volumeMounts }),
      shell("other", "true", { resources: LIMITED, volumeMounts }),
    ],
  });
  create(cluster, "again", { containers: [shell("app", `exec ${HOG}`, { resources: LIMITED })] });
  const tiny = { limits: { memory: "4Ki" } };
  // The other one keeps the pod as a whole without a limit.
  create(cluster, "tiny", {
    ...never,
    containers: [shell("app", "true", { resources: tiny }), shell("other", "true")],
  });
  await until(cluster, "tiny", hasEnded);
  const found: Record<string, unknown> = {
    tiny: statusOf(cluster, "tiny")?.containerStatuses?.[0]?.state?.terminated,
  };
  for (const name of ["hog", "child", "memory-volume"]) {
    await until(cluster, name, hasEnded);
    found[name] = stateOf(statusOf(cluster, name)?.containerStatuses?.[0]?.state);
  }
  found["phase"] = statusOf(cluster, "hog")?.phase;
  found["child said"] = await logs(cluster, "child", "app");
  const isRestarted = (pod: StoredPod | undefined) =>
    (pod?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0;
  await until(cluster, "again", isRestarted);
  found["again"] = stateOf(statusOf(cluster, "again")?.containerStatuses?.[0]?.lastState);
  return found;
}

function stateOf({ terminated }: ContainerStatus["state"] & {} = {}) {
  return terminated === undefined ? undefined : { exitCode: terminated.exitCode, reason: terminated.reason };
}

/** What a pod and its containers use, as the node measures it. */
async function usage(cluster: Cluster) {
  const burn =
    "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; head -c 8M /dev/zero > /dev/shm/x; echo ready; sleep 1000";
  create(cluster, "busy", { containers: [shell("app", burn)] });
  await until(cluster, "busy", allRunning);
  await textUntil(cluster, "busy", "ready\n");
  const { node, pods } = cluster.kubelet.port.usage();
  const app = pods.find(({ name }) => name === "busy")?.containers[0];
  return {
    container: app?.name,
    cpuMs: (app?.cpuNanoseconds ?? 0) / 1_000_000,
    megabytes: (app?.memoryBytes ?? 0) / 2 ** 20,
    nodeHasMore:
      node.cpuNanoseconds >= (app?.cpuNanoseconds ?? 0) && node.memoryBytes >= (app?.memoryBytes ?? 0),
  };
}

if (import.meta.main) await limits(process.argv[2] ?? "");

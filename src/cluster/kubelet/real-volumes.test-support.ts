/** What containers find in their volumes, as programs inside an engine's namespaces see it; prints it as JSON. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect as connectTo } from "node:net";
import { dirname, basename, join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import type { PodSpec } from "../../../generated/kubernetes.ts";
import {
  allRunning,
  create,
  hasEnded,
  isGone,
  logs,
  openCluster,
  shell,
  statusOf,
  until,
  type Cluster,
} from "./test-support/real-cluster.ts";

/** How a test runs it: a command for `namespaceCommand`. */
export function scenarioCommand(folder: string): string[] {
  return [process.execPath, import.meta.path, folder];
}

const BUN = `/opt/bun/${basename(process.execPath)}`;
const at = (name: string) => ({ namespace: "default", name });
const mount = (name: string, more = {}) => ({ name, mountPath: `/t/${name}`, ...more });

function configMap({ store }: Cluster, data: Record<string, string>): void {
  const metadata = at("conf");
  if (store.get("configmaps", metadata) === undefined)
    store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata, data });
  else store.update("configmaps", metadata, (current) => ({ ...current, data }));
}

/** Runs a script to its end in a container with these volumes; lines of its log, and its status. */
async function outcome(
  cluster: Cluster,
  name: string,
  spec: Partial<PodSpec> & { script: string; container?: object },
) {
  const { script, container, ...rest } = spec;
  create(cluster, name, { restartPolicy: "Never", containers: [shell("app", script, container)], ...rest });
  await until(cluster, name, hasEnded);
  const lines = (await logs(cluster, name, "app")).split("\n").slice(0, -1);
  return { lines, status: statusOf(cluster, name) };
}

/** A program that watches a mounted ConfigMap sees one rename, also the new files; what it opened stays as it was. */
async function update(cluster: Cluster) {
  configMap(cluster, { key: "1" });
  const watcher = `
    const { watch, openSync, readFileSync, readlinkSync } = require("node:fs");
    const open = openSync("/t/map/key", "r");
    const before = readlinkSync("/t/map/..data");
    watch("/t/map", (event, name) => {
      if (name !== "..data") return;
      console.log("event", event, name);
      console.log("moved", readlinkSync("/t/map/..data") !== before);
      console.log("new", readFileSync("/t/map/key", "utf8"), "open", readFileSync(open, "utf8"), "subPath", readFileSync("/t/sub", "utf8"));
      process.exit(0);
    });
    console.log("watching");`;
  create(cluster, "watcher", {
    restartPolicy: "Never",
    volumes: [
      { name: "map", configMap: { name: "conf" } },
      { name: "bun", hostPath: { path: dirname(process.execPath) } },
    ],
    containers: [
      {
        name: "app",
        image: "host",
        command: [BUN, "-e", watcher],
        volumeMounts: [
          mount("map"),
          mount("map", { mountPath: "/t/sub", subPath: "key" }),
          { name: "bun", mountPath: "/opt/bun", readOnly: true },
        ],
      },
    ],
  });
  await untilLogged(cluster, "watcher", "watching");
  configMap(cluster, { key: "2" });
  await until(cluster, "watcher", hasEnded);
  return (await logs(cluster, "watcher", "app")).split("\n").slice(0, -1);
}

async function untilLogged({ kubelet, ...cluster }: Cluster, pod: string, line: string): Promise<void> {
  await until({ kubelet, ...cluster }, pod, allRunning);
  const controller = new AbortController();
  const options = { container: "app", follow: true, previous: false, timestamps: false };
  let seen = "";
  for await (const piece of await kubelet.port.openLog(at(pod), options, controller.signal)) {
    seen += Buffer.from(piece).toString();
    if (seen.includes(`${line}\n`)) controller.abort();
  }
}

/** Groups, modes and owners. */
async function ownership(cluster: Cluster) {
  const script = [
    "stat -c '%a %u:%g' /t/empty /t/memory; stat -Lc '%a %u:%g' /t/map/key /t/secret/pw /t/token/token",
    "touch /t/empty/new && stat -c %g /t/empty/new; cat /t/secret/pw /t/token/token; echo; id -G",
  ].join("; ");
  cluster.store.create("secrets", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: at("s"),
    data: { pw: Buffer.from("hunter2\n").toString("base64") },
  });
  const { lines, status } = await outcome(cluster, "ownership", {
    script,
    securityContext: {
      fsGroup: 4321,
      ...(cluster.sandbox.tier.otherUsers ? { runAsUser: 1000, runAsGroup: 1000 } : {}),
    },
    volumes: [
      { name: "empty", emptyDir: {} },
      { name: "memory", emptyDir: { medium: "Memory" } },
      { name: "map", configMap: { name: "conf" } },
      { name: "secret", secret: { secretName: "s", defaultMode: 0o400 } },
      { name: "token", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
    ],
    container: { volumeMounts: ["empty", "memory", "map", "secret", "token"].map((name) => mount(name)) },
  });
  const warnings = cluster.store
    .list("events")
    .items.filter(({ reason }) => reason === "VolumeOwnership")
    .map(({ message }) => message);
  return { lines, warnings, reason: status?.containerStatuses?.[0]?.state?.waiting?.reason };
}

/** A memory volume that is full, one that is shared as nested mount point, one that is read-only. */
async function limits(cluster: Cluster) {
  const script = [
    "head -c 2000000 /dev/zero > /t/memory/f 2>/dev/null || echo full; stat -c %s /t/memory/f",
    "stat -f -c '%b * %S' /t/memory; grep -c ' /t/memory tmpfs' /proc/mounts",
    "ls /t/map; cat /t/map/nested/f 2>&1 || echo nothing; echo x 2>/dev/null > /t/map/key || echo read-only",
    "echo x > /t/map/nested/f && cat /t/map/nested/f",
  ].join("; ");
  return (
    await outcome(cluster, "limits", {
      script,
      volumes: [
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        { name: "map", configMap: { name: "conf" } },
        { name: "nested", emptyDir: {} },
      ],
      container: {
        volumeMounts: [mount("memory"), mount("map"), mount("nested", { mountPath: "/t/map/nested" })],
      },
    })
  ).lines;
}

/** A container puts a link into a volume; the next one mounts what is behind it. */
async function attack(cluster: Cluster) {
  const volumes = [{ name: "v", emptyDir: {} }];
  create(cluster, "attack", {
    volumes,
    restartPolicy: "Never",
    initContainers: [
      shell("evil", "ln -s /etc /t/v/link; ln -s ../../../../../.. /t/v/up", { volumeMounts: [mount("v")] }),
    ],
    containers: [
      shell("app", "ls /t/x", { volumeMounts: [{ name: "v", mountPath: "/t/x", subPath: "link" }] }),
      shell("other", "ls /t/x", { volumeMounts: [{ name: "v", mountPath: "/t/x", subPath: "up/etc" }] }),
    ],
  });
  await until(
    cluster,
    "attack",
    (pod) =>
      (pod?.status?.containerStatuses ?? []).length > 0 &&
      pod?.status?.containerStatuses?.every(
        ({ state }) => state?.waiting?.reason === "CreateContainerConfigError",
      ) === true,
  );
  const found = statusOf(cluster, "attack")?.containerStatuses?.map(({ state }) => state?.waiting?.message);
  cluster.store.delete("pods", at("attack"), { gracePeriodSeconds: 0 });
  return found;
}

/** Kernel settings and names of the pod, its hosts file, its resolver. */
async function namespaces(cluster: Cluster) {
  const script = [
    "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname; grep -c '# Kubernetes-managed hosts file.' /etc/hosts",
    "grep alias.example /etc/hosts; cat /etc/resolv.conf; pwd; echo $HOSTNAME",
  ].join("; ");
  return (
    await outcome(cluster, "named", {
      script,
      hostname: "box",
      hostAliases: [{ ip: "192.0.2.9", hostnames: ["alias.example", "other.example"] }],
      dnsPolicy: "None",
      dnsConfig: {
        nameservers: ["192.0.2.53"],
        searches: ["one.example"],
        options: [{ name: "ndots", value: "2" }],
      },
      securityContext: { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "77" }] },
      container: { workingDir: "/made/by/the/runtime" },
    })
  ).lines;
}

/** A server in a pod, asked at a port of this machine. */
async function hostPort(cluster: Cluster) {
  const server = `process.on("SIGTERM", () => process.exit(0)); require("node:net").createServer((socket) => socket.end("from the pod")).listen(80, () => console.log("listening"));`;
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  create(cluster, "published", {
    volumes: [{ name: "bun", hostPath: { path: dirname(process.execPath) } }],
    containers: [
      {
        name: "app",
        image: "host",
        command: [BUN, "-e", server],
        ports: [{ containerPort: 80, hostPort: port }],
        volumeMounts: [{ name: "bun", mountPath: "/opt/bun", readOnly: true }],
      },
    ],
  });
  await untilLogged(cluster, "published", "listening");
  const ask = () =>
    new Promise<string>((resolve) => {
      const socket = connectTo({ port, host: "127.0.0.1" });
      socket.once("error", (error) => resolve(String("code" in error ? error.code : error)));
      void textOf(socket).then(resolve, () => undefined);
    });
  const answer = await ask();
  cluster.store.delete("pods", at("published"));
  await until(cluster, "published", isGone);
  return { answer, after: await ask() };
}

/** The node's address is the pod's, seen from outside and from inside. */
async function hostNetwork(cluster: Cluster) {
  const { lines, status } = await outcome(cluster, "on-node", {
    hostNetwork: true,
    script: "grep -c 00000000:0000 /proc/net/tcp; ls /sys/class/net; head -1 /etc/hosts",
    container: { env: [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }] },
  });
  return {
    isNode: status?.podIP !== undefined && status.podIP === status.hostIP,
    hosts: lines.at(-1),
    hasBridge: lines.includes("br0"),
  };
}

if (import.meta.main) {
  const folder = process.argv[2] ?? "";
  mkdirSync(join(folder, "shared"), { recursive: true });
  writeFileSync(join(folder, "shared/file"), "x");
  symlinkSync("/etc", join(folder, "shared/link"));
  let issued = 0;
  const cluster = await openCluster(folder, {
    hostPaths: [dirname(process.execPath)],
    issueToken: ({ expirationSeconds }) => ({
      token: `token-${++issued}`,
      expiresAt: Date.now() + expirationSeconds * 1000,
    }),
  });
  const found = {
    tier: cluster.sandbox.tier.name,
    update: await update(cluster),
    ownership: await ownership(cluster),
    limits: await limits(cluster),
    attack: await attack(cluster),
    namespaces: await namespaces(cluster),
    hostPort: await hostPort(cluster),
    hostNetwork: await hostNetwork(cluster),
    errors: cluster.errors,
  };
  await cluster.close();
  console.log(JSON.stringify(found));
}

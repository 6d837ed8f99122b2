/** Pods with Pillion as their log sidecar, and a pod that receives what they send, in a cluster of the test's own. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome, type Running } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "../conformance/kubectl-session.ts";

/**
 * Appends each record's text to a file and tells the last one. `slow-NAME` beside that file holds how long it takes,
 * in milliseconds.
 */
const RECEIVER = `
const { appendFileSync, existsSync, readFileSync } = require("node:fs");
Bun.serve({
  port: 8080,
  async fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    const texts = (await request.text()).trimEnd().split("\\n").map((line) => JSON.parse(line).message);
    if (name === "hang") return new Promise(() => {});
    const slow = "/received/slow-" + name;
    if (existsSync(slow)) await Bun.sleep(Number(readFileSync(slow, "utf8")));
    appendFileSync("/received/" + name, texts.join("\\n") + "\\n");
    console.log(name + " got " + texts.at(-1));
    return new Response(null, { status: 204 });
  },
});
console.log("listening");
`;

export interface LogPod {
  readonly name: string;
  /** Of the main container, for its shell; its log folder is `/var/log/app`. */
  readonly app: string;
  /** The sidecars of Pillion's configuration. */
  readonly sidecars: object;
  readonly spec?: object;
  /** Arguments of `pillion prestop`. */
  readonly prestop?: readonly string[];
  /** Claim for the state folder, which is the pod's own otherwise. */
  readonly stateClaim?: string;
  /** More volumes that both containers have, by path. */
  readonly shared?: Readonly<Record<string, object>>;
  readonly securityContext?: object;
  /** Name of the configuration file, for a test that looks for the process by its command line. */
  readonly configFile?: string;
}

export interface LogCluster extends AsyncDisposable {
  readonly home: PillionHome;
  readonly kubectl: KubectlSession;
  /** Where the receiver listens, as seen from pods. */
  readonly receiver: string;
  /** Creates the config map and the pod. */
  create(pod: LogPod): Promise<void>;
  /** Lines of the application's file, which outlives its pod. */
  written(name: string): string[];
  /** Texts that have arrived, in order. */
  received(name: string): string[];
  /** The receiver's own log. */
  readonly arrivals: Running;
  /** Of the folder on the node in which the application's files are. */
  logFolder(name: string): string;
  /** Of the folder in which the receiver keeps what arrives. */
  readonly receivedFolder: string;
}

/** One HTTP sink in small batches to a name of the receiver. */
export function to(url: string): object {
  return { http: { url, batch: { size: "64Ki", wait: "50ms" } } };
}

export function claim(name: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  });
}

/** What the config map of such a pod holds. */
export function configMap({
  name,
  sidecars,
  configFile = "pillion.yaml",
}: Pick<LogPod, "name" | "sidecars" | "configFile">): object {
  const text = JSON.stringify({ log: { format: "json" }, sidecars });
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { [configFile]: text } };
}

export function manifestOf(pod: LogPod): object {
  const {
    name,
    app,
    prestop = [],
    configFile = "pillion.yaml",
    stateClaim,
    shared = {},
    securityContext,
  } = pod;
  const probe = (path: string) => ({ httpGet: { path, port: 9990 }, periodSeconds: 1, failureThreshold: 30 });
  const own = Object.entries(shared).map(([mountPath, volume], index) => ({
    mount: { name: `shared-${index}`, mountPath },
    volume: { name: `shared-${index}`, ...volume },
  }));
  const mounts = own.map(({ mount }) => mount);
  const logs = { name: "logs", mountPath: "/var/log/app" };
  const pillion = {
    name: "pillion",
    image: "pillion",
    restartPolicy: "Always",
    args: ["run", "-c", `/etc/pillion/${configFile}`],
    env: [
      { name: "POD_NAME", value: name },
      { name: "POD_NAMESPACE", value: "default" },
    ],
    startupProbe: probe("/startupz"),
    readinessProbe: probe("/readyz"),
    livenessProbe: probe("/livez"),
    lifecycle: { preStop: { exec: { command: ["pillion", "prestop", ...prestop] } } },
    securityContext: {
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "config", mountPath: "/etc/pillion", readOnly: true },
      { name: "run", mountPath: "/run/pillion" },
      { name: "state", mountPath: "/var/lib/pillion" },
      { ...logs, readOnly: true },
      ...mounts,
    ],
  };
  const main = {
    name: "main",
    image: "busybox",
    command: ["sh", "-c", app],
    volumeMounts: [logs, ...mounts],
    ...(securityContext === undefined ? {} : { securityContext }),
  };
  const state =
    stateClaim === undefined ? { emptyDir: {} } : { persistentVolumeClaim: { claimName: stateClaim } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 30,
      initContainers: [pillion],
      containers: [main],
      volumes: [
        { name: "config", configMap: { name } },
        { name: "run", emptyDir: { medium: "Memory" } },
        { name: "state", ...state },
        // It outlives the pod, so that the test sees what was written to the very end.
        { name: "logs", hostPath: { path: `/var/log/${name}`, type: "DirectoryOrCreate" } },
        ...own.map(({ volume }) => volume),
      ],
      ...pod.spec,
    },
  };
}

const RECEIVER_POD = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "receiver" },
  spec: {
    terminationGracePeriodSeconds: 1,
    volumes: [{ name: "received", persistentVolumeClaim: { claimName: "received" } }],
    containers: [
      {
        name: "main",
        image: "pillion",
        command: ["bun", "-e", RECEIVER],
        volumeMounts: [{ name: "received", mountPath: "/received" }],
      },
    ],
  },
};

/** A cluster in which the receiver listens. */
export async function openLogCluster(): Promise<LogCluster> {
  const home = new PillionHome();
  try {
    return await open(home);
  } catch (error) {
    await home[Symbol.asyncDispose]();
    throw error;
  }
}

async function open(home: PillionHome): Promise<LogCluster> {
  const images = join(home.path, "images.yaml");
  writeFileSync(images, "images: { busybox: host }\n");
  await home.mustRun(["up", "-d", "--max-restart-period", "1s", "--images", images]);
  const kubectl = await openKubectl(home, { version: "35", namespace: "default" });
  await kubectl.must(["create", "-f", "-"], claim("received"));
  await kubectl.must(["wait", "--for=jsonpath={.status.phase}=Bound", "pvc/received", "--timeout=20s"]);
  await kubectl.must(["create", "-f", "-"], JSON.stringify(RECEIVER_POD));
  await kubectl.must(["wait", "--for=condition=Ready", "pod/receiver", "--timeout=40s"]);
  const arrivals = kubectl.start(["logs", "-f", "receiver"]);
  await arrivals.line(/^listening$/);
  const get = (what: string, path: string) => kubectl.must(["get", what, "-o", `jsonpath=${path}`]);
  const volume = await get("pvc/received", "{.spec.volumeName}");
  const node = join(home.path, "state/default/node");
  const receivedFolder = join(node, await get(`pv/${volume}`, "{.spec.local.path}"));
  const logFolder = (name: string) => join(node, "var/log", name);
  return {
    home,
    kubectl,
    arrivals,
    receivedFolder,
    logFolder,
    receiver: `http://${await get("pod/receiver", "{.status.podIP}")}:8080`,
    async create(pod) {
      const list = { apiVersion: "v1", kind: "List", items: [configMap(pod), manifestOf(pod)] };
      await kubectl.must(["create", "-f", "-"], JSON.stringify(list));
    },
    written: (name) => linesOf(join(logFolder(name), "app.log")),
    received: (name) => linesOf(join(receivedFolder, name)),
    async [Symbol.asyncDispose]() {
      arrivals.kill("SIGTERM");
      await arrivals.exited;
      await home[Symbol.asyncDispose]();
    },
  };
}

/** A last line without line end is one too. */
function linesOf(path: string): string[] {
  const lines = readFileSync(path, "utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

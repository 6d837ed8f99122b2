/** What the tests of starting and stopping real pods do inside an engine's namespaces; prints what it found as JSON. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import { asPod, type StoredPod } from "../../k8s/pod.ts";
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

/** How a test runs the scenarios: a command for `namespaceCommand`. */
export function scenarioCommand(folder: string): string[] {
  return [process.execPath, import.meta.path, folder];
}

/** A cluster, and a folder that every container sees at /notes. */
interface Place {
  readonly cluster: Cluster;
  readonly notes: string;
}

const volumes = (notes: string): NonNullable<PodSpec["volumes"]> => [
  { name: "notes", hostPath: { path: notes } },
];
const volumeMounts = [{ name: "notes", mountPath: "/notes" }];
const WAIT = "while :; do sleep 0.02; done";

/** Says on SIGTERM that it got it, and ends with the code. */
function obedient(name: string, file: string, exitCode = 0): Container {
  const script = `trap 'echo ${name} >> /notes/${file}; exit ${exitCode}' TERM; touch /notes/${file}-${name}-up; ${WAIT}`;
  return shell(name, script, { volumeMounts });
}

const sidecar = (container: Container): Container => ({ ...container, restartPolicy: "Always" });

/** One that says when its trap is set, so that no signal comes too early. */
function readyWhenUp(container: Container, file: string): Container {
  const command = ["test", "-e", `/notes/${file}-${container.name}-up`];
  return { ...container, startupProbe: { exec: { command }, periodSeconds: 1, failureThreshold: 60 } };
}

function readNotes(notes: string, file: string): string[] {
  return readFileSync(join(notes, file), "utf8").trim().split("\n");
}

const ends = (
  statuses: readonly { name: string; state?: { terminated?: { exitCode: number; reason?: string } } }[] = [],
) => statuses.map(({ name, state }) => `${name} ${state?.terminated?.reason} ${state?.terminated?.exitCode}`);

/** A pod that completes although its sidecar would run for ever; the main container waits for the sidecar's probe. */
async function completes({ cluster, notes }: Place) {
  const side = readyWhenUp(obedient("side", "completes", 1), "completes");
  create(cluster, "completes", {
    restartPolicy: "Never",
    volumes: volumes(notes),
    initContainers: [
      shell("before", "touch /notes/completes-before", { volumeMounts }),
      sidecar(side),
      shell("between", "test -e /notes/completes-before && test -e /notes/completes-side-up", {
        volumeMounts,
      }),
    ],
    containers: [shell("main", "test -e /notes/completes-side-up", { volumeMounts })],
  });
  await until(cluster, "completes", hasEnded);
  const status = statusOf(cluster, "completes");
  return {
    phase: status?.phase,
    ends: [...ends(status?.initContainerStatuses), ...ends(status?.containerStatuses)],
    told: readNotes(notes, "completes"),
  };
}

/** Main containers stop first, then sidecars from the last to the first. */
async function order({ cluster, notes }: Place) {
  const up = (name: string) => readyWhenUp(obedient(name, "order"), "order");
  create(cluster, "order", {
    volumes: volumes(notes),
    initContainers: [sidecar(up("s1")), sidecar(up("s2"))],
    containers: [up("main")],
  });
  await until(cluster, "order", allRunning);
  cluster.store.delete("pods", { namespace: "default", name: "order" });
  await until(cluster, "order", isGone);
  return readNotes(notes, "order");
}

/** A sidecar that will not listen cannot keep its pod from completing. */
async function deafSidecar({ cluster }: Place) {
  create(cluster, "deaf-side", {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 1,
    initContainers: [sidecar(shell("side", `trap '' TERM; ${WAIT}`))],
    containers: [shell("main", "sleep 0.2")],
  });
  const ms = await until(cluster, "deaf-side", hasEnded);
  const status = statusOf(cluster, "deaf-side");
  return {
    phase: status?.phase,
    ends: ends(status?.initContainerStatuses),
    tookTwoSeconds: ms > 1900 && ms < 6000,
  };
}

/** A hook that would go on for ever is cut when the grace period is over; one that ends comes before the signal. */
async function preStop({ cluster, notes }: Place) {
  const hooked = (name: string, script: string) => ({
    ...readyWhenUp(obedient(name, name), name),
    lifecycle: { preStop: { exec: { command: ["sh", "-c", script] } } },
  });
  create(cluster, "hooks", {
    volumes: volumes(notes),
    terminationGracePeriodSeconds: 1,
    containers: [hooked("quick", "echo hook >> /notes/quick"), hooked("endless", "sleep 1000")],
  });
  await until(cluster, "hooks", allRunning);
  cluster.store.delete("pods", { namespace: "default", name: "hooks" });
  const ms = await until(cluster, "hooks", isGone);
  return {
    quick: readNotes(notes, "quick"),
    endless: readNotes(notes, "endless"),
    tookASecond: ms > 950 && ms < 1950,
  };
}

/** A container that ends while its postStart hook runs, and one whose hook has done its work before others start. */
async function postStart({ cluster, notes }: Place) {
  const hook = (script: string) => ({ postStart: { exec: { command: ["sh", "-c", script] } } });
  create(cluster, "post-start", {
    restartPolicy: "Never",
    volumes: volumes(notes),
    containers: [
      shell("first", "until test -e /notes/post-start; do sleep 0.02; done", {
        volumeMounts,
        lifecycle: hook("sleep 0.2; echo hook > /notes/post-start"),
      }),

      shell("second", "cat /notes/post-start", { volumeMounts }),
      shell("quits", "sleep 0.2; exit 3", { lifecycle: hook("sleep 1000") }),
    ],
  });
  await until(cluster, "post-start", hasEnded);
  const status = statusOf(cluster, "post-start");
  const told = cluster.store.list("events").items.some(({ reason }) => reason === "FailedPostStartHook");
  return { phase: status?.phase, ends: ends(status?.containerStatuses), told };
}

/** What does not listen is killed when its time is over, with everything it has started. */
async function expiry({ cluster }: Place) {
  cluster.store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name: "expiry", finalizers: ["test/hold"] },
    spec: {
      nodeName: "node-1",
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 1,
      containers: [shell("deaf", `trap '' TERM; (setsid sleep 1000 &); ${WAIT}`)],
    },
  });
  await until(cluster, "expiry", allRunning);
  cluster.store.delete("pods", { namespace: "default", name: "expiry" });
  await until(cluster, "expiry", hasEnded);
  const status = statusOf(cluster, "expiry");
  return { phase: status?.phase, ends: ends(status?.containerStatuses) };
}

/** A container is over when its first process is, whatever it has left behind. */
async function daemons({ cluster }: Place) {
  create(cluster, "daemons", {
    restartPolicy: "Never",
    containers: [shell("app", "setsid sleep 1000 & exit 0")],
  });
  await until(cluster, "daemons", hasEnded);
  return statusOf(cluster, "daemons")?.phase;
}

/** `kubectl debug --target`: a container that is added later, beside the processes of another. */
async function ephemeral({ cluster }: Place) {
  create(cluster, "debugged", { restartPolicy: "Never", containers: [shell("app", `: marker; ${WAIT}`)] });
  await until(cluster, "debugged", allRunning);
  const debug = {
    ...shell("debug", "tr '\\0' ' ' < /proc/1/cmdline | cut -c1-15"),
    targetContainerName: "app",
  };
  cluster.store.update("pods", { namespace: "default", name: "debugged" }, (object) => ({
    ...object,
    spec: { ...asPod(object).spec, ephemeralContainers: [debug] },
  }));
  const shown = (pod: StoredPod | undefined) => pod?.status?.ephemeralContainerStatuses?.[0];
  await until(cluster, "debugged", (pod) => shown(pod)?.state?.terminated !== undefined);
  const text = await logs(cluster, "debugged", "debug");
  const { phase, ephemeralContainerStatuses } = statusOf(cluster, "debugged") ?? {};
  return { phase, ends: ends(ephemeralContainerStatuses), text };
}

/** A restart is a new container: what the one before wrote outside of volumes is gone. */
async function restart({ cluster, notes }: Place) {
  const script =
    "test -e /tmp/mine && echo found >> /notes/restart; touch /tmp/mine; echo run >> /notes/restart; exit 1";
  create(cluster, "restart", {
    volumes: volumes(notes),
    containers: [shell("app", script, { volumeMounts })],
  });
  const isBackingOff = (pod: StoredPod | undefined) =>
    pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff";
  await until(cluster, "restart", isBackingOff);
  return readNotes(notes, "restart");
}

async function run(folder: string): Promise<void> {
  const notes = join(folder, "notes");
  mkdirSync(notes, { mode: 0o777 });
  const cluster = await openCluster(folder, { hostPaths: [notes] });
  const place = { cluster, notes };
  const scenarios = {
    completes,
    order,
    deafSidecar,
    preStop,
    postStart,
    expiry,
    daemons,
    ephemeral,
    restart,
  };
  const found = Object.fromEntries(
    await Promise.all(
      Object.entries(scenarios).map(async ([name, scenario]) => [name, await scenario(place)] as const),
    ),
  );
  const { errors } = cluster;
  await cluster.close();
  console.log(JSON.stringify({ ...found, errors, left: processesOf(folder) }));
}

if (import.meta.main) await run(process.argv[2] ?? "");

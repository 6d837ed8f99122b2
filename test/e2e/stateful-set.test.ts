/** StatefulSets in real pods: order, names that DNS knows, data that outlives pods, both ways to update. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "../conformance/kubectl-session.ts";

const home = new PillionHome();
let kubectl: KubectlSession;

beforeAll(async () => {
  const images = join(home.path, "images.yaml");
  writeFileSync(images, "images: { busybox: host }\n");
  await home.mustRun(["up", "-d", "--images", images]);
  kubectl = await openKubectl(home, { version: "35", namespace: "default" });
}, 60_000);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, 60_000);

const MAIN =
  'echo "$HOSTNAME" >> /data/starts; touch /tmp/up; trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done';

/** A StatefulSet whose pods note every start in their own volume, and its headless Service. */
function manifest(
  name: string,
  { spec = {}, ready = "test -e /tmp/up" }: { spec?: object; ready?: string } = {},
): string {
  const labels = { app: name };
  const container = {
    name: "main",
    image: "busybox",
    command: ["sh", "-c", MAIN],
    readinessProbe: { exec: { command: ["sh", "-c", ready] }, periodSeconds: 1 },
    volumeMounts: [{ name: "data", mountPath: "/data" }],
  };
  const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { clusterIP: "None", selector: labels, ports: [{ name: "tcp", port: 80 }] },
  };
  const set = {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name },
    spec: {
      serviceName: name,
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 5, containers: [container] } },
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claim }],
      ...spec,
    },
  };
  return JSON.stringify({ apiVersion: "v1", kind: "List", items: [service, set] });
}

/** Milestones of a StatefulSet's pods in the order in which they come about: `db-0 made`, `ready`, `ending`, `gone`. */
function followMilestones(name: string) {
  const columns =
    'TYPE:.type,NAME:.object.metadata.name,READY:.object.status.conditions[?(@.type=="Ready")].status,DELETED:.object.metadata.deletionTimestamp';
  const selected = ["get", "pods", "-l", `app=${name}`, "-o", `custom-columns=${columns}`];
  const watch = kubectl.start([...selected, "--watch", "--output-watch-events", "--no-headers"]);
  return {
    until: async (pattern: RegExp) => await watch.line(pattern),
    async stop(): Promise<string[]> {
      watch.kill("SIGTERM");
      const { stdout } = await watch.exited;
      const milestones = stdout
        .trim()
        .split("\n")
        .map((line) => {
          const [type, pod, ready, deleted] = line.split(/\s+/);
          if (type === "DELETED") return `${pod} gone`;
          if (deleted !== "<none>") return `${pod} ending`;
          return `${pod} ${ready === "True" ? "ready" : "made"}`;
        });
      return milestones.filter((milestone, index) => milestones.indexOf(milestone) === index);
    },
  };
}

async function rolledOut(name: string): Promise<void> {
  await kubectl.must(["rollout", "status", `statefulset/${name}`, "--timeout=30s"]);
}

async function startsOf(pod: string): Promise<string[]> {
  return (await kubectl.must(["exec", pod, "--", "cat", "/data/starts"])).trim().split("\n");
}

async function patch(name: string, spec: object): Promise<void> {
  await kubectl.must(["patch", "statefulset", name, "-p", JSON.stringify({ spec })]);
}

/** Changes the pods' template; `version` is shown by `versions`. */
async function update(name: string, version: string, strategy: object): Promise<void> {
  await patch(name, { updateStrategy: strategy, template: { metadata: { labels: { version } } } });
}

/** The label of each pod, in the order of their names. */
async function versions(name: string): Promise<string> {
  return await kubectl.must([
    "get",
    "pods",
    "-l",
    `app=${name}`,
    "-o",
    "jsonpath={.items[*].metadata.labels.version}",
  ]);
}

test("pods start one after the other and stop in reverse; names, claims and data stay with their number", async () => {
  const started = followMilestones("db");
  await kubectl.must(["apply", "-f", "-"], manifest("db"));
  await rolledOut("db");
  await started.until(/ db-2 +True/);
  expect(await started.stop()).toEqual([0, 1, 2].flatMap((n) => [`db-${n} made`, `db-${n} ready`]));

  const resolved = await kubectl.must([
    "exec",
    "db-0",
    "--",
    "getent",
    "hosts",
    "db-1.db",
    "db-2.db.default.svc.cluster.local",
  ]);
  const ips = await kubectl.must(["get", "pods", "db-1", "db-2", "-o", "jsonpath={.items[*].status.podIP}"]);
  expect(
    resolved
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/)[0]),
  ).toEqual(ips.split(" "));

  const stopped = followMilestones("db");
  await stopped.until(/ db-2 +True/);
  await kubectl.must(["scale", "statefulset/db", "--replicas=1"]);
  await stopped.until(/DELETED +db-1/);
  const ends = (await stopped.stop()).filter((milestone) => /ending|gone/.test(milestone));
  expect(ends).toEqual(["db-2 ending", "db-2 gone", "db-1 ending", "db-1 gone"]);
  const gone = await kubectl.run(["exec", "db-0", "--", "getent", "hosts", "db-1.db"]);
  expect(gone.code).toBe(2);

  await kubectl.must(["scale", "statefulset/db", "--replicas=3"]);
  await rolledOut("db");
  await kubectl.must(["delete", "pod", "db-0"]);
  await kubectl.must(["wait", "pod/db-0", "--for=create", "--timeout=30s"]);
  await kubectl.must(["wait", "pod/db-0", "--for=condition=Ready", "--timeout=30s"]);
  expect([await startsOf("db-0"), await startsOf("db-1"), await startsOf("db-2")]).toEqual(
    [0, 1, 2].map((n) => [`db-${n}`, `db-${n}`]),
  );
}, 60_000);

test("an update goes from the last pod down to the partition; with OnDelete each pod waits until it is deleted", async () => {
  await kubectl.must(["apply", "-f", "-"], manifest("up"));
  await rolledOut("up");
  await update("up", "a", { type: "RollingUpdate", rollingUpdate: { partition: 2 } });
  await rolledOut("up");
  expect(await versions("up")).toBe("a");
  const rolling = followMilestones("up");
  await rolling.until(/ up-2 +True/);
  await patch("up", { updateStrategy: { rollingUpdate: { partition: 0 } } });
  await rolledOut("up");
  await rolling.until(/ADDED +up-0 +<none>/);
  expect((await rolling.stop()).filter((milestone) => /ending|gone/.test(milestone))).toEqual([
    "up-1 ending",
    "up-1 gone",
    "up-0 ending",
    "up-0 gone",
  ]);
  expect(await versions("up")).toBe("a a a");

  await update("up", "b", { type: "OnDelete", rollingUpdate: null });
  await kubectl.must([
    "wait",
    "statefulset/up",
    "--for=jsonpath={.status.observedGeneration}=4",
    "--timeout=30s",
  ]);
  expect(await versions("up")).toBe("a a a");
  await kubectl.must(["delete", "pod", "up-1"]);
  await kubectl.must(["wait", "pod/up-1", "--for=create", "--timeout=30s"]);
  await kubectl.must(["wait", "pod/up-1", "--for=condition=Ready", "--timeout=30s"]);
  expect(await versions("up")).toBe("a b a");
}, 60_000);

test("with podManagementPolicy Parallel no pod waits for another", async () => {
  const text = manifest("par", { spec: { podManagementPolicy: "Parallel" }, ready: "exit 1" });
  await kubectl.must(["apply", "-f", "-"], text);
  await kubectl.must([
    "wait",
    "pod",
    "-l",
    "app=par",
    "--for=jsonpath={.status.phase}=Running",
    "--timeout=30s",
  ]);
  expect(await kubectl.must(["get", "pods", "-l", "app=par", "-o", "name"])).toBe(
    "pod/par-0\npod/par-1\npod/par-2\n",
  );
  await kubectl.must(["scale", "statefulset/par", "--replicas=0"]);
  await kubectl.must(["wait", "pod", "-l", "app=par", "--for=delete", "--timeout=30s"]);
}, 60_000);

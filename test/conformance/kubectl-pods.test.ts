/** What kubectl shows of Pods that change: volumes that follow, containers that wait or end, watches and restarts. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;

let home: PillionHome;
let kubectl: KubectlSession;

function up(): Promise<unknown> {
  return home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
}

beforeAll(async () => {
  home = new PillionHome();
  writeFileSync(join(home.path, "images.yaml"), "images: { busybox: host }\n");
  await up();
  kubectl = await openKubectl(home, { version: "35", namespace: "default" });
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

interface Wanted {
  readonly container?: object;
  readonly spec?: object;
}

/** One container that runs `script`. */
function pod(name: string, script: string, { container, spec }: Wanted = {}): string {
  const main = { name: "main", image: "busybox", command: ["sh", "-c", script], ...container };
  const metadata = { name, labels: { app: name } };
  const whole = { terminationGracePeriodSeconds: 2, containers: [main], ...spec };
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata, spec: whole });
}

const ENDS_ON_TERM = "trap 'exit 0' TERM; sleep 1000 & wait";

async function waitFor(condition: string, name: string): Promise<void> {
  await kubectl.must(["wait", `--for=${condition}`, `pod/${name}`, "--timeout=30s"]);
}

const WAITING = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";

test(
  "get -w shows how a Pod ends",
  async () => {
    await kubectl.must(["create", "-f", "-"], pod("ends", ENDS_ON_TERM));
    await waitFor("condition=Ready", "ends");
    const watch = kubectl.start([
      "get",
      "pods",
      "-w",
      "--output-watch-events",
      "--field-selector=metadata.name=ends",
    ]);
    await watch.line(/^ADDED +ends +1\/1 +Running/);
    await kubectl.must(["delete", "pod", "ends"]);
    await watch.line(/^DELETED +ends +0\/1/);
    watch.kill("SIGTERM");
    const { stdout } = await watch.exited;
    expect(stdout).toMatch(/MODIFIED +ends +1\/1 +Terminating/);
  },
  TEST_MS,
);

test(
  "a running Pod sees changed configuration in its volumes, but not through subPath",
  async () => {
    await kubectl.must(["create", "configmap", "cfg", "--from-literal=a=old", "--from-literal=sub=old"]);
    const volumeMounts = [
      { name: "cfg", mountPath: "/cfg" },
      { name: "cfg", mountPath: "/one", subPath: "sub" },
      { name: "more", mountPath: "/more" },
    ];
    const volumes = [
      { name: "cfg", configMap: { name: "cfg" } },
      { name: "more", configMap: { name: "later", optional: true } },
    ];
    const script = `trap 'exit 0' TERM; while true; do echo "$(cat /cfg/a /one /more/* 2>/dev/null | tr '\\n' ' ')"; sleep 0.1; done`;
    const text = pod("sees", script, { container: { volumeMounts }, spec: { volumes } });
    await kubectl.must(["create", "-f", "-"], text);
    await waitFor("condition=Ready", "sees");
    const follow = kubectl.start(["logs", "-f", "sees"]);
    await follow.line(/^oldold/);
    await kubectl.must(["patch", "cm", "cfg", "-p", '{"data":{"a":"new","sub":"new"}}']);
    await kubectl.must(["create", "configmap", "later", "--from-literal=x=there"]);
    await follow.line(/^newoldthere/);
    follow.kill("SIGTERM");
    await follow.exited;
    await kubectl.must(["delete", "pod", "sees", "--now"]);
  },
  TEST_MS,
);

test.each([
  ["InvalidImageName", { image: "Bad Image" }, "InvalidImageName"],
  ["ErrImageNeverPull", { image: "none", imagePullPolicy: "Never" }, "ErrImageNeverPull"],
  [
    "CreateContainerConfigError",
    { envFrom: [{ configMapRef: { name: "none" } }] },
    "CreateContainerConfigError",
  ],
  ["ImagePullBackOff", { image: "localhost:1/none:1" }, "trying and failing to pull image"],
] as const)(
  "a container in %s shows it, and its log says so",
  async (reason, container, says) => {
    const name = reason.toLowerCase();
    await kubectl.must(["create", "-f", "-"], pod(name, "true", { container }));
    await waitFor(`${WAITING}=${reason}`, name);
    expect(await kubectl.must(["get", "pod", name])).toMatch(new RegExp(`${name} +0/1 +${reason} +0`));
    expect((await kubectl.run(["logs", name])).stderr).toBe(
      `Error from server (BadRequest): container "main" in pod "${name}" is waiting to start: ${says}\n`,
    );
    await kubectl.must(["delete", "pod", name, "--now"]);
  },
  TEST_MS,
);

test(
  "logs take the Pods of a selector, within --max-log-requests, from a time on, and no more bytes than asked",
  async () => {
    const labelled = (name: string) => pod(name, `echo from ${name}`, { spec: { restartPolicy: "Never" } });
    for (const name of ["one", "two"]) await kubectl.must(["create", "-f", "-"], labelled(name));
    for (const name of ["one", "two"]) await waitFor("jsonpath={.status.phase}=Succeeded", name);
    const both = ["logs", "-l", "app in (one,two)"];
    const lines = (await kubectl.must([...both, "--prefix"])).trim().split("\n").toSorted();
    expect(lines).toEqual(["[pod/one/main] from one", "[pod/two/main] from two"]);
    expect((await kubectl.run([...both, "-f", "--max-log-requests=1"])).stderr).toContain(
      "maximum allowed concurrency is 1",
    );
    expect(await kubectl.must(["logs", "one", "--limit-bytes=4"])).toBe("from");
    expect(await kubectl.must(["logs", "one", "--since-time=2020-01-01T00:00:00Z"])).toBe("from one\n");
    expect(await kubectl.must(["logs", "one", "--since-time=2999-01-01T00:00:00Z"])).toBe("");
    expect((await kubectl.run(["logs", "one", "--previous"])).stderr).toContain(
      'previous terminated container "main" in pod "one" not found',
    );
    expect(await kubectl.must(["get", "pods", "one"])).toMatch(/one +0\/1 +Completed +0/);
  },
  TEST_MS,
);

test(
  "a namespace that is deleted takes its Pods along and nothing new in",
  async () => {
    await kubectl.must(["create", "namespace", "leaving"]);
    await kubectl.must(
      ["create", "-n", "leaving", "-f", "-"],
      pod("slow", "trap '' TERM; while :; do sleep 0.1; done"),
    );
    await kubectl.must(["wait", "-n", "leaving", "--for=condition=Ready", "pod/slow", "--timeout=20s"]);
    await kubectl.must(["delete", "namespace", "leaving", "--wait=false"]);
    expect(await kubectl.must(["get", "namespace", "leaving"])).toMatch(/leaving +Terminating/);
    expect((await kubectl.run(["create", "-n", "leaving", "configmap", "late"])).stderr).toContain(
      "unable to create new content in namespace leaving because it is being terminated",
    );
    await kubectl.must(["wait", "--for=delete", "namespace/leaving", "--timeout=20s"]);
  },
  TEST_MS,
);

test(
  "after down --keep-state and up, the Pod is the same, its container a new one, and watches have ended in peace",
  async () => {
    await kubectl.must(["create", "-f", "-"], pod("stays", `echo started; ${ENDS_ON_TERM}`));
    await waitFor("condition=Ready", "stays");
    const uid = () => kubectl.must(["get", "pod", "stays", "-o", "jsonpath={.metadata.uid}"]);
    const before = await uid();
    const watch = kubectl.start(["get", "pods", "-w", "-o", "name"]);
    await watch.line(/pod\/stays/);
    await home.mustRun(["down", "--keep-state"]);
    await watch.exited;
    await up();
    await waitFor("jsonpath={.status.containerStatuses[0].restartCount}=1", "stays");
    await waitFor("condition=Ready", "stays");
    expect(await uid()).toBe(before);
    expect(await kubectl.must(["logs", "stays", "--previous"])).toBe("started\n");
    await kubectl.must(["delete", "pod", "stays", "--now"]);
  },
  TEST_MS,
);

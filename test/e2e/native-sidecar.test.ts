/** The example of native sidecars does what its README says, in a pod of its own, in a Job and in a Deployment. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Finished, PillionHome } from "../../src/testing/pillion.ts";
import { openKubectl } from "../conformance/kubectl-session.ts";

const example = join(import.meta.dirname, "../../examples/native-sidecar");

/** Starts the cluster with one file of the example; kubectl for it. */
async function upWith(home: PillionHome, ...args: readonly string[]) {
  await home.mustRun(["up", "-d", ...args]);
  return await openKubectl(home, { version: "35", namespace: "default" });
}

function linesOf({ stdout, stderr }: Finished, pattern: RegExp): string[] {
  return `${stdout}\n${stderr}`.split("\n").filter((line) => pattern.test(line));
}

test("native-sidecar: main waits for its sidecar's startup probe, the pod completes although sidecars run on, and they stop last [I2, T13, P5]", async () => {
  await using home = new PillionHome();
  const up = home.start(["up", "-f", join(example, "pod.yaml")]);
  await up.line(/^pod\/native-sidecar: 0\/3 Completed$/);
  up.kill("SIGINT");
  const finished = await up.exited;
  const streamed = linesOf(finished, /^\[native-sidecar\/log-streamer\]/);
  expect({ code: finished.code, streamed }).toEqual({
    code: 0,
    streamed: [
      "download: 3 orders",
      "price-feed: warming up",
      "report: everything costs 84",
      "price-feed: stopped",
    ].map((line) => `[native-sidecar/log-streamer] ${line}`),
  });
  expect(finished.stdout).toContain("[native-sidecar/report] the report is done: 84");
}, 60_000);

test("native-sidecar: the Job completes although its sidecars would run for ever, and they stop after the reports [J3, J10]", async () => {
  await using home = new PillionHome();
  const kubectl = await upWith(home, "-f", join(example, "job.yaml"));
  await kubectl.must(["wait", "--for=condition=Complete", "job/reports", "--timeout=30s"]);
  const status = await kubectl.must(["get", "job", "reports", "-o", "jsonpath={.status}"]);
  expect(JSON.parse(status)).toMatchObject({
    succeeded: 3,
    completedIndexes: "0-2",
    ready: 0,
    terminating: 0,
  });
  const logs = ["logs", "-l", "app=reports", "--prefix"];
  const told = async (container: string) =>
    (await kubectl.must([...logs, "-c", container])).replaceAll(/^\[pod\/(reports-\d)-\w+/gm, "[$1");
  expect((await told("report")).trim().split("\n").toSorted()).toEqual([
    "[reports-0/report] report 0: everything costs 7",
    "[reports-1/report] report 1: everything costs 14",
    "[reports-2/report] report 2: everything costs 21",
  ]);
  expect(await told("price-feed")).toContain("[reports-0/price-feed] the feed has stopped");
}, 60_000);

test("native-sidecar: an update of the Deployment loses no line of the pods that it ends", async () => {
  await using home = new PillionHome();
  const kubectl = await upWith(home, "-f", join(example, "deployment.yaml"));
  await kubectl.must(["rollout", "status", "deployment/shop", "--timeout=30s"]);
  const pods = ["get", "pods", "-l", "app=shop", "-o", "name"];
  const old = (await kubectl.must(pods)).trim().split("\n");
  const following = old.map((pod) => kubectl.start(["logs", "-f", pod, "-c", "log-streamer"]));
  await Promise.all(following.map((logs) => logs.line(/the shop is open/)));
  await kubectl.must(["rollout", "restart", "deployment/shop"]);
  await kubectl.must(["rollout", "status", "deployment/shop", "--timeout=30s"]);
  const ended = await Promise.all(following.map(({ exited }) => exited));
  expect(ended.map(({ code, stdout }) => ({ code, stdout }))).toEqual(
    old.map(() => ({ code: 0, stdout: "the shop is open\nthe shop is closed\n" })),
  );
  const fresh = (await kubectl.must(pods)).trim().split("\n");
  expect(fresh.filter((pod) => old.includes(pod))).toEqual([]);
}, 60_000);

/** A Job beside whose main container a sidecar fails again and again. */
function failingSidecar(name: string, restartPolicy: "OnFailure" | "Never", main: string): string {
  return `apiVersion: batch/v1
kind: Job
metadata: { name: ${name} }
spec:
  backoffLimit: 2
  template:
    spec:
      restartPolicy: ${restartPolicy}
      terminationGracePeriodSeconds: 1
      initContainers:
      - { name: side, image: busybox, restartPolicy: Always, command: [sh, -c, "sleep 0.2; exit 1"] }
      containers:
      - { name: main, image: busybox, command: [sh, -c, "${main}"] }
`;
}

const SIDECAR_RESTARTS = "{.items[*].status.initContainerStatuses[*].restartCount}";

test("A sidecar that keeps failing fails a Job whose pods restart, and not one whose pods do not [J7]", async () => {
  await using home = new PillionHome();
  const kubectl = await upWith(
    home,
    "--max-restart-period",
    "1s",
    "--images",
    join(example, ".pillion/images.yaml"),
  );
  await kubectl.must(["apply", "-f", "-"], failingSidecar("restarts", "OnFailure", "exec sleep 1000"));
  await kubectl.must(["wait", "--for=condition=Failed", "job/restarts", "--timeout=40s"]);
  const status = await kubectl.must(["get", "job", "restarts", "-o", "jsonpath={.status}"]);
  expect(JSON.parse(status)).toMatchObject({
    failed: 1,
    conditions: expect.arrayContaining([
      expect.objectContaining({
        type: "Failed",
        reason: "BackoffLimitExceeded",
        message: "Job has reached the specified backoff limit",
      }),
    ]),
  });
  // Its main container is told to go on by the test, when the sidecar has failed more often than the limit.
  await kubectl.must(
    ["apply", "-f", "-"],
    failingSidecar("never", "Never", "until test -e /tmp/go; do sleep 0.1; done"),
  );
  const restarts = ["get", "pods", "-l", "job-name=never", "-o", `jsonpath=${SIDECAR_RESTARTS}`];
  const pod = "--selector=job-name=never";
  await kubectl.must([
    "wait",
    "pod",
    pod,
    "--for=jsonpath={.status.initContainerStatuses[0].restartCount}=3",
    "--timeout=40s",
  ]);
  await kubectl.must(["exec", "job/never", "-c", "main", "--", "touch", "/tmp/go"]);
  await kubectl.must(["wait", "--for=condition=Complete", "job/never", "--timeout=30s"]);
  expect(Number(await kubectl.must(restarts))).toBeGreaterThanOrEqual(3);
}, 60_000);

test("`down` ends the pods of a Deployment and of a Job for good, within their own grace", async () => {
  await using home = new PillionHome();
  const kubectl = await upWith(home, "-f", join(example, "deployment.yaml"), "-f", join(example, "job.yaml"));
  await kubectl.must(["rollout", "status", "deployment/shop", "--timeout=30s"]);
  const begun = performance.now();
  const { stderr } = await home.mustRun(["down"]);
  // Pods that were replaced as they ended would last until the time for all of them is over.
  expect({ stderr: stderr.trim(), inTime: performance.now() - begun < 9000 }).toEqual({
    stderr: expect.stringMatching(/cluster "default" has ended$/),
    inTime: true,
  });
}, 60_000);

/** Pillion as a native sidecar loses no line, whatever becomes of its pod. */
import { rmSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Running } from "../../src/testing/pillion.ts";
import { claim, configMap, type LogCluster, openLogCluster, to } from "./log-pods.ts";

const TEST_MS = 60_000;

let cluster: LogCluster;
const followers: Running[] = [];

beforeAll(async () => {
  cluster = await openLogCluster();
}, TEST_MS);

afterAll(async () => {
  for (const running of followers) running.kill("SIGTERM");
  await Promise.all(followers.map(({ exited }) => exited));
  await cluster[Symbol.asyncDispose]();
}, TEST_MS);

const LAST = "the very last line";
/** Numbered lines with a breath after each few, until `end` holds; then 20,000 more without one, and one without line end. */
const writesUntil = (end: string, few = 2000) => `
  exec >/var/log/app/app.log
  i=0
  burst() { n=$((i + $1)); while [ $i -lt $n ]; do i=$((i + 1)); echo "line $i"; done; }
  until ${end}; do burst ${few}; sleep 0.01; done
  burst 20000
  printf '${LAST}'
`;
/** Whether the pod is ready, one line each time it is looked at. */
const READY = 'jsonpath=ready: {.status.conditions[?(@.type=="Ready")].status}{"\\n"}';
/** Ends at once when it is told to, and writes nothing. */
const IDLE = "trap 'exit 0' TERM; sleep 1000 & wait";

/** One sidecar that sends to that name of the receiver, or to that address. */
function logs(target: string, more: object = {}): Record<string, object> {
  const url = target.includes(":") ? target : `${cluster.receiver}/${target}`;
  return { app: { kind: "logs", files: ["/var/log/app/*.log"], to: [to(url)], ...more } };
}

/** A kubectl that goes on until the tests are over. */
function follow(args: readonly string[]): Running {
  const running = cluster.kubectl.start(args);
  followers.push(running);
  return running;
}

interface Ended {
  readonly exitCode: number;
  readonly message?: string;
}

/** Deletes the pod; how its sidecar ended. */
async function remove(name: string): Promise<Ended> {
  const { kubectl } = cluster;
  const path = 'jsonpath={.status.initContainerStatuses[0].state.terminated}{"\\n"}';
  const watch = follow(["get", "pod", name, "-w", "-o", path]);
  const [line] = await Promise.all([watch.line(/exitCode/), kubectl.must(["delete", "pod", name])]);
  return JSON.parse(line) as Ended;
}

/** How long the receiver takes for a request to that name, milliseconds. */
function slow(name: string, ms: number): void {
  writeFileSync(join(cluster.receivedFolder, `slow-${name}`), String(ms));
}

async function succeeds(name: string): Promise<void> {
  const phase = "--for=jsonpath={.status.phase}=Succeeded";
  await cluster.kubectl.must(["wait", phase, `pod/${name}`, "--timeout=40s"]);
}

async function isReady(name: string): Promise<void> {
  await cluster.kubectl.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]);
}

describe("a pod is deleted", () => {
  test(
    "while its application writes to its last moment: every line arrives, once and in order",
    async () => {
      const app = `trap 'stop=1' TERM; ${writesUntil('[ -n "$stop" ]')}`;
      await cluster.create({ name: "deleted", app, sidecars: logs("deleted") });
      await cluster.arrivals.line(/^deleted got line \d{5,}$/);
      const { exitCode, message } = await remove("deleted");
      const written = cluster.written("deleted");
      expect({ exitCode, message, last: written.at(-1) }).toEqual({
        exitCode: 0,
        message: undefined,
        last: LAST,
      });
      expect(cluster.received("deleted")).toEqual(written);
    },
    TEST_MS,
  );

  // These mostly wait for grace periods to pass.
  test.concurrent.each([
    ["knows the grace period", "knows", ["--grace", "2s"], 0],
    ["is killed", "killed", [], 137],
  ] as const)(
    "whose application ignores SIGTERM; a sidecar with 2 s and a slow receiver, that %s, keeps every line and counts it",
    async (_, name, prestop, code) => {
      const { kubectl } = cluster;
      await kubectl.must(["create", "-f", "-"], claim(name));
      slow(name, 200);
      const stubborn = {
        name,
        app: `trap '' TERM; ${writesUntil("false", 200)}`,
        sidecars: logs(name),
        prestop,
      };
      const spec = { terminationGracePeriodSeconds: 2 };
      await cluster.create({ ...stubborn, stateClaim: name, spec });
      await cluster.arrivals.line(new RegExp(`^${name} got line \\d{4,}$`));
      const { exitCode, message = "" } = await remove(name);
      expect(exitCode).toBe(code);
      const written = cluster.written(name);
      const missing = written.length - cluster.received(name).length;
      const { undelivered } = JSON.parse(message) as { undelivered: { app: Record<string, number> } };
      const { records, bytes, keptBytes } = undelivered.app;
      expect(records).toBeGreaterThanOrEqual(missing);
      expect(keptBytes).toBe(bytes ?? 0);
      // The application's file is gone: the next pod has it all from the claim.
      slow(name, 0);
      rmSync(join(cluster.logFolder(name), "app.log"));
      await kubectl.must(["delete", "configmap", name]);
      await cluster.create({ name, app: "true", sidecars: logs(name), stateClaim: name });
      await succeeds(name);
      expect([...new Set(cluster.received(name))]).toEqual(written);
    },
    TEST_MS,
  );

  test.concurrent(
    "while receivers refuse or hang: it ends within its grace period, and tells what each did not take",
    async () => {
      const files = ["/var/log/app/*.log"];
      const lane = (url: string) => ({ kind: "logs", files, to: [to(url)] });
      const sidecars = {
        refusing: lane("http://127.0.0.1:9/"),
        hanging: lane(`${cluster.receiver}/hang`),
      };
      const app = `exec >/var/log/app/app.log; seq 1 1000; trap 'echo last; exit 0' TERM; sleep 1000 & wait`;
      const spec = { terminationGracePeriodSeconds: 4 };
      await cluster.create({ name: "outage", app, sidecars, spec, prestop: ["--grace", "4s"] });
      await isReady("outage");
      const { exitCode, message = "" } = await remove("outage");
      expect(exitCode).toBe(0);
      const { undelivered } = JSON.parse(message) as { undelivered: Record<string, Record<string, number>> };
      for (const name of ["refusing", "hanging"]) {
        expect(undelivered[name]).toEqual({
          records: 1001,
          bytes: expect.any(Number),
          keptBytes: expect.any(Number),
        });
        expect(undelivered[name]?.["keptBytes"]).toBe(undelivered[name]?.["bytes"]);
      }
    },
    TEST_MS,
  );
});

test(
  "a pod that has done its work completes when a slow receiver has taken every line",
  async () => {
    slow("job", 50);
    const app = writesUntil("true");
    await cluster.create({ name: "job", app, sidecars: logs("job") });
    await succeeds("job");
    const state = "jsonpath={.status.initContainerStatuses[0].state.terminated}";
    const ended = JSON.parse(await cluster.kubectl.must(["get", "pod", "job", "-o", state])) as Ended;
    expect({ exitCode: ended.exitCode, message: ended.message }).toEqual({ exitCode: 0, message: undefined });
    expect(cluster.received("job")).toEqual(cluster.written("job"));
    expect(cluster.received("job")).toHaveLength(20_001);
  },
  TEST_MS,
);

/** Of the process whose command line has that text; that of a container is not our child. */
async function pidOf(text: string): Promise<number> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(text)) return Number(pid);
  }
  throw new Error(`no process has "${text}" in its command line`);
}

test(
  "a sidecar that is killed while the application writes goes on where it was: every line arrives",
  async () => {
    const { kubectl, arrivals } = cluster;
    const app = writesUntil("[ -e /var/log/app/stop ]");
    const sidecars = logs("mortal");
    const unique = `mortal-${crypto.randomUUID()}.yaml`;
    await cluster.create({ name: "mortal", app, sidecars, configFile: unique });
    await arrivals.line(/^mortal got line \d{4,}$/);
    const restarts = "{.status.initContainerStatuses[0].restartCount}";
    for (const times of [1, 2]) {
      process.kill(await pidOf(unique), "SIGKILL");
      await kubectl.must(["wait", `--for=jsonpath=${restarts}=${times}`, "pod/mortal", "--timeout=20s"]);
      await isReady("mortal");
    }
    writeFileSync(join(cluster.logFolder("mortal"), "stop"), "");
    await succeeds("mortal");
    const [written, received] = [cluster.written("mortal"), cluster.received("mortal")];
    expect([...new Set(received)]).toEqual(written);
    // Of each kill at most the batch that was on its way: 64 KiB of records of more than 100 bytes.
    expect(received.length - written.length).toBeLessThanOrEqual((2 * 65_536) / 100);
  },
  TEST_MS,
);

/** The value of a metric of the sidecar `changing`. */
async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{.*sidecar="changing".*\\} (.*)$`, "m").exec(text)?.[1]);
}

test(
  "kubectl shows a sidecar's inner life and changes its configuration; a receiver that is down does not make the pod unready",
  async () => {
    const { kubectl, arrivals } = cluster;
    const name = "steered";
    const lane = (url: string) => logs(url)["app"];
    const sidecars = { down: lane("http://127.0.0.1:9/"), changing: lane("first") };
    const app = `echo hello >/var/log/app/app.log; ${IDLE}`;
    await cluster.create({ name, app, sidecars, spec: { terminationGracePeriodSeconds: 2 } });
    await arrivals.line(/^first got hello$/);
    await isReady(name);
    const own = follow(["logs", "-f", name, "-c", "pillion"]);
    await own.line(/"sidecar":"down".*127\.0\.0\.1:9/);
    const pillion = (...args: string[]) =>
      kubectl.must(["exec", name, "-c", "pillion", "--", "pillion", ...args]);
    const readiness = follow(["get", "pod", name, "-w", "-o", READY]);
    expect(await pillion("status")).toMatch(/^down +logs +running +degraded +0 +1 /m);
    expect(await pillion("ready")).toBe("ready\n");
    expect(await pillion("dead-letters", "ls")).toBe("");

    const forward = follow(["port-forward", name, ":9990"]);
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(await forward.line(/^Forwarding from 127/))?.[1]);
    expect(await metric(port, "pillion_logs_delivered_records_total")).toBe(1);

    const next = { name, sidecars: { ...sidecars, changing: lane("second") } };
    await kubectl.must(["replace", "-f", "-"], JSON.stringify(configMap(next)));
    await own.line(/"The configuration is in use".*"restarted":\["changing"\]/);
    await kubectl.must(["exec", name, "-c", "main", "--", "sh", "-c", "echo again >>/var/log/app/app.log"]);
    await arrivals.line(/^second got again$/);
    expect([cluster.received("first"), cluster.received("second")]).toEqual([["hello"], ["again"]]);
    readiness.kill("SIGTERM");
    expect((await readiness.exited).stdout).toMatch(/^(ready: True\n)+$/);
  },
  TEST_MS,
);

test.skipIf(Bun.which("logger") === null)(
  "a container that knows only syslog logs through a socket in a shared folder",
  async () => {
    const name = "syslog";
    const sidecars = {
      app: { kind: "logs", syslog: { socket: "/run/log/socket" }, to: [to(`${cluster.receiver}/${name}`)] },
    };
    const app = 'for i in $(seq 1 50); do logger -u /run/log/socket -p user.warning "message $i"; done';
    const shared = { "/run/log": { emptyDir: {} } };
    await cluster.create({ name, app, sidecars, shared });
    await succeeds(name);
    expect(cluster.received(name)).toEqual(Array.from({ length: 50 }, (_, index) => `message ${index + 1}`));
  },
  TEST_MS,
);

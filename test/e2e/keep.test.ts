/** Clusters that keep their pods: engines come and go, are killed at any moment, and the pods notice nothing. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { processesOf, snapshotHost } from "../../src/testing/host-snapshot.ts";
import type { PillionHome } from "../../src/testing/pillion.ts";
import { homeWithPod, POD } from "./pod-home.ts";

const TEST_MS = 120_000;
const isSoak = process.env["PILLION_SOAK"] === "1";

type Home = ReturnType<typeof homeWithPod>;

interface Status {
  readonly ready: boolean;
  readonly restartCount: number;
  readonly containerID: string;
  readonly state: {
    readonly running?: { readonly startedAt: string };
    readonly terminated?: { readonly exitCode: number; readonly reason: string };
  };
  readonly lastState: Status["state"];
}

/** Resolves when the process is gone; it is not our child, so there is nothing to wait on but the table of processes. */
async function processEnd(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "))
    await Bun.sleep(5);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function killEngine(home: PillionHome): Promise<void> {
  const pid = home.enginePid();
  process.kill(pid, "SIGKILL");
  await processEnd(pid);
}

async function up(home: Home, ...args: string[]): Promise<string> {
  return (await home.mustRun(["up", "-d", "--keep", ...args])).stderr;
}

async function statusOf(home: Home, pod: string): Promise<{ phase: string; containers: Status[] }> {
  const { stdout } = await home.mustRun(["ps", "-o", "json"]);
  const { items } = JSON.parse(stdout) as {
    items: { metadata: { name: string }; status: { phase: string; containerStatuses: Status[] } }[];
  };
  const found = items.find(({ metadata }) => metadata.name === pod);
  if (found === undefined) throw new Error(`no pod ${pod} in ${stdout}`);
  return { phase: found.status.phase, containers: found.status.containerStatuses };
}

/** Asks until it holds. */
async function until(home: Home, pod: string, holds: (status: Status) => boolean): Promise<Status> {
  for (;;) {
    const [status] = (await statusOf(home, pod)).containers;
    if (status !== undefined && holds(status)) return status;
    await Bun.sleep(20);
  }
}

/** A pod of one container on this machine's shell. */
function pod(name: string, script: string, more = ""): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 5
${more}  containers:
  - name: main
    image: busybox
    command: [sh, -c, ${JSON.stringify(script)}]
`;
}

/** Sends SIGKILL to every engine of the folder at once; resolves when they are gone. */
async function killEngines(path: string): Promise<void> {
  const engines = processesOf(path).filter((line) => line.includes("engine run"));
  const pids = engines.map((line) => Number(line.split(" ")[0]));
  for (const pid of pids) killQuietly(pid);
  for (const pid of pids) await processEnd(pid);
}

describe("a cluster with --keep", () => {
  test(
    "that is killed leaves its pods running; the next takes them over, on the same port, and ends them",
    async () => {
      await using home = homeWithPod();
      const before = snapshotHost(home.path);
      const first = await up(home, "-f", home.manifests);
      const started = await statusOf(home, "waiter");
      await killEngine(home);
      expect(processesOf(home.path).some((line) => line.includes("while read"))).toBe(true);
      const second = await up(home);
      expect(second).toContain("1 pod of before: taken over\n");
      const port = /127\.0\.0\.1:\d+/;
      expect(port.exec(second)).toEqual(port.exec(first));
      expect(await statusOf(home, "waiter")).toEqual(started);
      expect((await home.mustRun(["logs", "waiter"])).stdout).toBe("started\n");
      expect((await home.mustRun(["events"])).stdout.match(/Started/g)).toHaveLength(1);
      await home.mustRun(["down"]);
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "that ends by Ctrl-C leaves its pods running and says what to do; a cluster without --keep takes them over for good",
    async () => {
      await using home = homeWithPod();
      const before = snapshotHost(home.path);
      const command = home.start(["up", "--keep", "-f", home.manifests]);
      await command.line(/waiter: 1\/1 Running/);
      await command.line(/its pods go on/);
      command.kill("SIGINT");
      const { code, stderr } = await command.exited;
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringMatching(/`pillion up --keep` takes them over, `pillion down` ends them\n$/),
      });
      expect((await home.mustRun(["up", "-d"])).stderr).toContain("1 pod of before: taken over\n");
      await killEngine(home);
      expect((await home.mustRun(["up", "-d"])).stderr).not.toContain("taken over");
      expect((await until(home, "waiter", ({ ready }) => ready)).restartCount).toBe(1);
      await home.mustRun(["down"]);
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "that is not running ends its pods in order with `down`",
    async () => {
      const script = "trap 'echo goodbye >> /said/end; exit 0' TERM; echo started; sleep 1000 & wait";
      await using home = homeWithPod("");
      const said = join(home.path, "said");
      mkdirSync(said);
      const manifest = `${pod("polite", script)}    volumeMounts: [{ name: said, mountPath: /said }]
  volumes: [{ name: said, hostPath: { path: ${said} } }]
`;
      writeFileSync(join(home.manifests, "pod.yaml"), manifest);
      const before = snapshotHost(home.path);
      await up(home, "-f", home.manifests, "--host-path", said);
      await killEngine(home);
      const { stderr } = await home.mustRun(["down"]);
      expect(stderr).toBe('cluster "default" has ended\n');
      expect(readFileSync(join(said, "end"), "utf8")).toBe("goodbye\n");
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "learns how containers ended while no engine ran, and what they wrote last",
    async () => {
      const [done, failed] = ["go-done", "go-failed"].map((name) =>
        pod(name, `echo waiting; until [ -e /tmp/go ]; do sleep 0.02; done; echo $0 last; exit $CODE`),
      );
      const codes = [done, failed].map((text = "", code) =>
        text.replace(
          "    image: busybox\n",
          `    image: busybox\n    env: [{ name: CODE, value: "${code * 42}" }]\n`,
        ),
      );
      const manifest = codes
        .map((text) => text.replace("spec:\n", "spec:\n  restartPolicy: Never\n"))
        .join("---\n");
      await using home = homeWithPod(manifest);
      await up(home, "-f", home.manifests);
      const pids = processesOfContainers();
      await killEngine(home);
      for (const pid of pids) writeFileSync(`/proc/${pid}/root/tmp/go`, "");
      for (const pid of pids) await processEnd(pid);
      await up(home);
      for (const [name, exitCode, reason, phase] of [
        ["go-done", 0, "Completed", "Succeeded"],
        ["go-failed", 42, "Error", "Failed"],
      ] as const) {
        const status = await until(home, name, ({ state }) => state.terminated !== undefined);
        expect(status.state.terminated).toMatchObject({ exitCode, reason });
        expect((await statusOf(home, name)).phase).toBe(phase);
        expect((await home.mustRun(["logs", name])).stdout).toBe("waiting\nsh last\n");
      }

      /** As an ordinary user the files of a container are reached through its process. */
      function processesOfContainers(): number[] {
        const records = join(home.path, "state/default/sandbox/processes");
        return readdirSync(records)
          .filter((name) => readFileSync(join(records, name), "utf8").startsWith("container main"))
          .map((name) => Number(name.split("-")[0]));
      }
    },
    TEST_MS,
  );

  test(
    "goes on counting restarts, and starts nothing twice",
    async () => {
      await using home = homeWithPod(pod("loop", "echo run; sleep 0.3; exit 3"));
      await home.mustRun(["up", "-d", "--keep", "--max-restart-period", "1s", "-f", home.manifests]);
      for (let count = 1; count <= 3; count++) {
        await until(home, "loop", ({ restartCount }) => restartCount >= count);
        await killEngine(home);
        await up(home, "--max-restart-period", "1s");
      }
      const { lastState, restartCount } = await until(home, "loop", (status) => status.restartCount >= 4);
      expect(lastState.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
      const events = (await home.mustRun(["kubectl", "get", "events", "-o", "json"])).stdout;
      const starts = (JSON.parse(events) as { items: { reason: string; count?: number }[] }).items
        .filter(({ reason }) => reason === "Started")
        .reduce((sum, { count = 1 }) => sum + count, 0);
      expect(starts).toBeGreaterThanOrEqual(restartCount);
      expect(starts).toBeLessThanOrEqual(restartCount + 2);
    },
    TEST_MS,
  );

  test(
    "loses no line and writes none twice, whenever it is killed",
    async () => {
      const lines = isSoak ? 600_000 : 150_000;
      const kills = isSoak ? 40 : 4;
      await using home = homeWithPod(pod("chatty", `seq 1 ${lines}; trap 'exit 0' TERM; sleep 1000 & wait`));
      await up(home, "-f", home.manifests);
      const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 1_000_000);
      let random = seed;
      for (let kill = 0; kill < kills; kill++) {
        random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
        await Bun.sleep(random % 60);
        await killEngine(home);
        await up(home);
      }
      let texts: string[] = [];
      while (texts.at(-1) !== String(lines)) {
        texts = (await home.mustRun(["logs", "chatty"])).stdout.trimEnd().split("\n");
        await Bun.sleep(20);
      }
      // `logs` shows the current file only, as the kubelet does: the rest has been rotated away.
      const firstNumber = Number(texts[0]);
      const wrong = texts.findIndex((text, index) => text !== String(firstNumber + index));
      expect({ seed, wrong }).toEqual({ seed, wrong: -1 });
    },
    TEST_MS,
  );

  test(
    "is whole again after kills at any moment: in a start, in a takeover, between the two",
    async () => {
      const loops = Array.from({ length: 4 }, (_, index) => pod(`loop-${index}`, "sleep 0.05"));
      const counter = pod(
        "counter",
        "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done",
      );
      await using home = homeWithPod(counter);
      const before = snapshotHost(home.path);
      const flags = ["up", "-d", "--keep", "--max-restart-period", "1s"];
      await home.mustRun([...flags, "-f", home.manifests]);
      await home.mustRun(["kubectl", "apply", "-f", "-"], { stdin: loops.join("---\n") });
      const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 1_000_000);
      let random = seed;
      const { restartCount } = (await statusOf(home, "counter")).containers[0] ?? { restartCount: -1 };
      for (let kill = 0; kill < (isSoak ? 50 : 5); kill++) {
        random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
        const command = home.start(flags);
        await Bun.sleep(random % 400);
        const killed = killEngines(home.path);
        await command.exited;
        await killed;
      }
      // One that was not there yet when the last round looked for it.
      await killEngines(home.path);
      await home.mustRun(flags);
      const [status] = (await statusOf(home, "counter")).containers;
      expect({ seed, restartCount: status?.restartCount }).toEqual({ seed, restartCount });
      const texts = (await home.mustRun(["logs", "counter"])).stdout.trimEnd().split("\n");
      expect({ seed, wrong: texts.findIndex((text, index) => text !== String(index + 1)) }).toEqual({
        seed,
        wrong: -1,
      });
      await home.mustRun(["down"]);
      expect({ seed, after: snapshotHost(home.path) }).toEqual({ seed, after: before });
    },
    TEST_MS,
  );

  test(
    "keeps memory volumes, and updates what ConfigMaps and Secrets show",
    async () => {
      const manifest = `apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { color: blue }
---
${pod("volumes", "echo kept > /memory/file; trap 'exit 0' TERM; while :; do cat /settings/color /memory/file; echo; sleep 0.05; done")}    volumeMounts:
    - { name: settings, mountPath: /settings }
    - { name: memory, mountPath: /memory }
  volumes:
  - name: settings
    configMap: { name: settings }
  - name: memory
    emptyDir: { medium: Memory }
`;
      await using home = homeWithPod(manifest);
      await up(home, "-f", home.manifests);
      const before = snapshotHost(home.path).mounts;
      await killEngine(home);
      await up(home);
      await home.mustRun(["kubectl", "patch", "configmap", "settings", "-p", '{"data":{"color":"green"}}']);
      const tail = async () => (await home.mustRun(["logs", "volumes"])).stdout.slice(-60);
      while (!(await tail()).includes("greenkept\n")) await Bun.sleep(20);
      expect(snapshotHost(home.path).mounts).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "ends what it took over although programs in there ended with the engine: execs, probes, processes shared by a pod",
    async () => {
      const probed = pod("probed", "trap 'exit 7' TERM; touch /tmp/up; sleep 1000 & wait").replace(
        "    image: busybox\n",
        "    image: busybox\n    readinessProbe: { exec: { command: [sleep, '30'] }, timeoutSeconds: 60 }\n",
      );
      const shared = `${pod("shared", "trap 'exit 7' TERM; sleep 1000 & wait", "  shareProcessNamespace: true\n")}  - name: second
    image: busybox
    command: [sh, -c, "trap 'exit 8' TERM; sleep 1000 & wait"]
`;
      await using home = homeWithPod(`${POD}---\n${shared}`);
      await up(home, "-f", home.manifests);
      writeFileSync(join(home.manifests, "probed.yaml"), probed);
      await home.mustRun(["kubectl", "apply", "-f", join(home.manifests, "probed.yaml")]);
      await until(home, "probed", ({ state }) => state.running !== undefined);
      const execs = ["waiter", "shared"].map((name) =>
        home.start(["kubectl", "exec", name, "--", "sh", "-c", "echo in; sleep 1000"]),
      );
      for (const exec of execs) await exec.line(/^in$/);
      await killEngine(home);
      for (const exec of execs) await exec.exited;
      await up(home);
      // One container of a pod that shares its processes ends and starts again; then all pods go.
      await home.mustRun([
        "kubectl",
        "exec",
        "shared",
        "-c",
        "main",
        "--",
        "sh",
        "-c",
        "kill -TERM $(pgrep -of 'exit 8')",
      ]);
      for (;;) {
        const { containers } = await statusOf(home, "shared");
        if (containers[1]?.restartCount === 1 && containers[1].ready) break;
        await Bun.sleep(20);
      }
      await home.mustRun(["kubectl", "delete", "pods", "--all", "--timeout=20s"]);
      // Two keepers and the node.
      expect(processesOf(home.path).filter((line) => line.includes("sleep"))).toHaveLength(3);
    },
    TEST_MS,
  );

  test(
    "keeps the standard input and the terminal of containers for those who attach later",
    async () => {
      const echo = 'while read -r line; do echo "you said $line"; done; echo over';
      const open = (name: string, more: string) =>
        pod(name, echo).replace("    image: busybox\n", `    image: busybox\n    stdin: true\n${more}`);
      const manifest = `${open("plain", "")}---\n${open("terminal", "    tty: true\n")}`;
      await using home = homeWithPod(manifest);
      await up(home, "-f", home.manifests);
      const say = async (name: string, text: string) => {
        const attach = home.start(["kubectl", "attach", "-i", name, "--quiet"], { stdin: `${text}\n` });
        while (!(await home.mustRun(["logs", name])).stdout.includes(`you said ${text}`)) await Bun.sleep(20);
        attach.kill("SIGTERM");
        await attach.exited;
      };
      for (const name of ["plain", "terminal"]) await say(name, "one");
      await killEngine(home);
      await up(home);
      for (const name of ["plain", "terminal"]) await say(name, "two");
      expect((await home.mustRun(["logs", "plain"])).stdout).toBe("you said one\nyou said two\n");
      expect((await statusOf(home, "terminal")).containers[0]?.restartCount).toBe(0);
    },
    TEST_MS,
  );

  test(
    "can exec into, and stop and delete what it took over; addresses are not given out twice",
    async () => {
      await using home = homeWithPod(`${POD}---\n${pod("other", "trap 'exit 0' TERM; sleep 1000 & wait")}`);
      await up(home, "-f", home.manifests);
      await killEngine(home);
      await up(home);
      const exec = await home.mustRun(["kubectl", "exec", "waiter", "--", "sh", "-c", "echo in; exit 0"]);
      expect(exec.stdout).toBe("in\n");
      await home.mustRun(["kubectl", "delete", "pod", "waiter", "--timeout=10s"]);
      writeFileSync(join(home.manifests, "pod.yaml"), pod("third", "trap 'exit 0' TERM; sleep 1000 & wait"));
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const ips = (await home.mustRun(["kubectl", "get", "pods", "-o", "jsonpath={.items[*].status.podIP}"]))
        .stdout;
      expect(new Set(ips.split(" ")).size).toBe(2);
    },
    TEST_MS,
  );
});

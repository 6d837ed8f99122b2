/** Clusters start, refuse, stop and recover; this machine looks the same afterwards. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { snapshotHost } from "../../src/testing/host-snapshot.ts";
import { PillionHome } from "../../src/testing/pillion.ts";
import { homeWithPod, POD } from "./pod-home.ts";

const TEST_MS = 60_000;

/** Resolves when the process is gone; it is not our child, so there is nothing to wait on but the table of processes. */
async function processEnd(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "))
    await Bun.sleep(5);
}

describe("nothing is left on this machine", () => {
  test(
    "after up -d and down",
    async () => {
      await using home = homeWithPod();
      const before = snapshotHost(home.path);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const during = snapshotHost(home.path);
      expect({ ...during, processes: [] }).toEqual({ ...before, processes: [] });
      expect(during.processes.length).toBeGreaterThan(0);
      await home.mustRun(["down"]);
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "after a kill -9 of the engine and down",
    async () => {
      await using home = homeWithPod();
      const before = snapshotHost(home.path);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      process.kill(home.enginePid(), "SIGKILL");
      await processEnd(home.enginePid());
      await home.mustRun(["down"]);
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "after a kill -9 of the engine and the next up; what was applied runs again",
    async () => {
      await using home = homeWithPod();
      const before = snapshotHost(home.path);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const first = home.enginePid();
      process.kill(first, "SIGKILL");
      await processEnd(first);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      expect((await home.mustRun(["ps"])).stdout).toMatch(/waiter +1\/1 +Running/);
      await home.mustRun(["down"]);
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "after a kill -9 of the foreground command",
    async () => {
      await using home = homeWithPod();
      const before = snapshotHost(home.path);
      const up = home.start(["up", "-f", home.manifests]);
      await up.line(/waiter: 1\/1 Running/);
      const engine = home.enginePid();
      up.kill("SIGKILL");
      await processEnd(engine);
      await home.mustRun(["down"]);
      expect(snapshotHost(home.path)).toEqual(before);
    },
    TEST_MS,
  );
});

describe("up", () => {
  test(
    "applies to the cluster that is running",
    async () => {
      await using home = homeWithPod();
      await home.mustRun(["up", "-d"]);
      const { stderr } = await home.mustRun(["up", "-d", "-f", home.manifests]);
      expect(stderr).toContain("pod/waiter created\n");
      expect((await home.mustRun(["up", "-d", "-f", home.manifests])).stderr).toContain(
        "pod/waiter unchanged\n",
      );
    },
    TEST_MS,
  );

  test(
    "runs two clusters of different names side by side",
    async () => {
      await using home = homeWithPod();
      await home.mustRun(["up", "-d", "--name", "a", "-f", home.manifests]);
      await home.mustRun(["up", "-d", "--name", "b", "-f", home.manifests]);
      await home.mustRun(["down", "--name", "a"]);
      expect((await home.mustRun(["ps", "--name", "b"])).stdout).toContain("waiter");
    },
    TEST_MS,
  );

  test(
    "says which port is taken",
    async () => {
      await using home = homeWithPod();
      const server = createServer().listen(0, "127.0.0.1");
      await new Promise((listening) => server.once("listening", listening));
      const address = server.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      const { code, stderr } = await home.run(["up", "-d", "--port", String(port)]);
      server.close();
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/error\[E_PORT_TAKEN\].*\d+.*\n +fix: /),
      });
    },
    TEST_MS,
  );

  test(
    "says when its state folder cannot be used",
    async () => {
      await using home = homeWithPod();
      writeFileSync(join(home.path, "file"), "");
      const env = { PILLION_HOME: join(home.path, "file") };
      expect(await home.run(["up", "-d"], { env })).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/error\[E_STATE_UNREADABLE\].*\n +fix: .*PILLION_HOME/),
      });
    },
    TEST_MS,
  );

  test.each([
    ["broken YAML", "apiVersion: v1\nkind: [\n", /error\[E_MANIFEST_SYNTAX\].*pod\.yaml:\d+:\d+/],
    ["an unknown kind", POD.replace("kind: Pod", "kind: Pood"), /error\[E_UNKNOWN_KIND\].*pod\.yaml:1/],
    [
      "an unknown field",
      POD.replace("image:", "imgae:"),
      /E_APPLY_REFUSED.*unknown field "spec\.containers\[0\]\.imgae"/,
    ],
    [
      "a wrong type",
      POD.replace("GracePeriodSeconds: 5", "GracePeriodSeconds: x"),
      /E_APPLY_REFUSED.*cannot unmarshal/,
    ],
    ["no image", POD.replace("    image: busybox\n", ""), /E_APPLY_REFUSED.*image: Required value/],
  ])(
    "explains %s and ends nothing",
    async (_, manifest, message) => {
      await using home = homeWithPod(manifest);
      await home.run(["up", "-d"]);
      const { code, stderr } = await home.run(["up", "-d", "-f", home.manifests]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) });
      expect((await home.run(["ps"])).code).toBe(0);
    },
    TEST_MS,
  );

  test(
    "says how to map an image that cannot be pulled",
    async () => {
      await using home = homeWithPod(POD.replace("image: busybox", "image: localhost:1/nobody/nothing:1"));
      const { code, stderr } = await home.run(["up", "-d", "-f", home.manifests]);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /pod "default\/waiter" cannot start: container "main": (ErrImagePull|ImagePullBackOff)/,
      );
      expect(stderr).toContain("pillion images map localhost:1/nobody/nothing:1 host");
    },
    TEST_MS,
  );

  test(
    "says which mount path cannot be made",
    async () => {
      const manifest = POD.replace(
        "    image: busybox\n",
        "    image: busybox\n    volumeMounts: [{ name: v, mountPath: /etc/passwd/below }]\n",
      );
      await using home = homeWithPod(`${manifest}  volumes: [{ name: v, emptyDir: {} }]\n`);
      const { code, stderr } = await home.run(["up", "-d", "-f", home.manifests]);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/container "main": .*\/etc\/passwd\/below/),
      });
    },
    TEST_MS,
  );
});

describe("up in the foreground", () => {
  test(
    "shows the last lines of containers that end on Ctrl-C",
    async () => {
      await using home = homeWithPod(POD.replace("trap 'exit 0' TERM", "trap 'echo goodbye; exit 0' TERM"));
      const up = home.start(["up", "-f", home.manifests]);
      await up.line(/^\[waiter\/main\] started$/);
      up.kill("SIGINT");
      const { code, stdout, stderr } = await up.exited;
      expect({ code, stdout }).toEqual({ code: 0, stdout: "[waiter/main] started\n[waiter/main] goodbye\n" });
      expect(stderr).not.toContain("cannot be read");
      expect(stderr).toEndWith('cluster "default" has ended\n');
    },
    TEST_MS,
  );

  test(
    "ends with the reason, and nothing but that, when a manifest is refused",
    async () => {
      await using home = homeWithPod(POD.replace("image: busybox", 'image: ""'));
      const { code, stderr } = await home.run(["up", "-f", home.manifests]);
      // What this machine cannot do for pods is said too.
      const [up, ...more] = stderr.split("\n").filter((line) => !line.startsWith("note: "));
      expect(up).toStartWith('cluster "default" is up on ');
      expect({ code, more }).toEqual({
        code: 1,
        more: [
          'cluster "default" has ended',
          expect.stringMatching(/^error\[E_APPLY_REFUSED\]: .*spec\.containers\[0\]\.image: Required value$/),
          "  fix: Correct that field in the manifest",
          "",
        ],
      });
    },
    TEST_MS,
  );

  test(
    "ends well when somebody else ends the cluster, and with the engine's exit code when that is killed",
    async () => {
      await using home = homeWithPod();
      const up = home.start(["up", "-f", home.manifests]);
      await up.line(/waiter: 1\/1 Running/);
      await home.mustRun(["down"]);
      const ended = await up.exited;
      expect(ended.code).toBe(0);
      expect(ended.stderr).not.toMatch(/error|E_BUG/);
      expect(ended.stderr).toEndWith('cluster "default" has ended\n');

      const again = home.start(["up", "-f", home.manifests]);
      await again.line(/waiter: 1\/1 Running/);
      process.kill(home.enginePid(), "SIGKILL");
      const killed = await again.exited;
      expect(killed.stderr).not.toMatch(/error|E_BUG/);
      expect(killed.stderr).toContain("the engine ended by itself, with exit code 137; ");
      expect(killed.code).toBe(137);
    },
    TEST_MS,
  );
});

describe("state", () => {
  test(
    "down removes objects, down --keep-state keeps them",
    async () => {
      await using home = homeWithPod();
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      await home.mustRun(["down", "--keep-state"]);
      await home.mustRun(["up", "-d"]);
      expect((await home.mustRun(["ps"])).stdout).toContain("waiter");
      await home.mustRun(["down"]);
      await home.mustRun(["up", "-d"]);
      expect((await home.mustRun(["ps", "-n", "default"])).stdout).toBe("");
    },
    TEST_MS,
  );

  test(
    "down --keep-state gives pods their grace, and the next start has the same port, unless somebody took it",
    async () => {
      await using home = homeWithPod(POD.replace("trap 'exit 0' TERM", "trap 'echo goodbye; exit 9' TERM"));
      const portOf = () => Number(/127\.0\.0\.1:(\d+)/.exec(readFileSync(home.kubeconfig(), "utf8"))?.[1]);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const port = portOf();
      await home.mustRun(["down", "--keep-state"]);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      expect(portOf()).toBe(port);
      const { stdout } = await home.mustRun(["kubectl", "get", "pod", "waiter", "-o", "json"]);
      const pod = JSON.parse(stdout) as { status: { containerStatuses: unknown[] } };
      expect(pod.status.containerStatuses).toMatchObject([
        { restartCount: 1, lastState: { terminated: { exitCode: 9, reason: "Error" } } },
      ]);
      const previous = await home.mustRun(["kubectl", "logs", "waiter", "--previous"]);
      expect(previous.stdout).toBe("started\ngoodbye\n");

      await home.mustRun(["down", "--keep-state"]);
      const server = createServer().listen(port, "127.0.0.1");
      await new Promise((listening) => server.once("listening", listening));
      await home.mustRun(["up", "-d"]);
      server.close();
      expect(portOf()).not.toBe(port);
    },
    TEST_MS,
  );

  test(
    "the folder is 0700, keys and kubeconfig are 0600",
    async () => {
      await using home = homeWithPod();
      await home.mustRun(["up", "-d"]);
      const folder = join(home.path, "state/default");
      const modes = await Bun.$`stat -c '%a %n' ${folder} ${folder}/kubeconfig ${folder}/pki/*.key`.text();
      for (const line of modes.trim().split("\n")) expect(line).toMatch(/^(700 .*\/default|600 .*)$/);
    },
    TEST_MS,
  );
});

describe("the short views", () => {
  test(
    "ps, logs and events show the pod, as text and as data",
    async () => {
      await using home = homeWithPod();
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      expect((await home.mustRun(["ps"])).stdout).toMatch(
        /^NAMESPACE +NAME +READY .*\ndefault +waiter +1\/1 +Running/,
      );
      const data = JSON.parse((await home.mustRun(["ps", "-o", "json"])).stdout) as { items: unknown[] };
      expect(data.items).toHaveLength(1);
      expect((await home.mustRun(["logs", "waiter"])).stdout).toBe("started\n");
      expect((await home.mustRun(["events"])).stdout).toMatch(/Started/);
      expect(await home.run(["logs", "waitr"])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("Did you mean `pillion logs waiter`?"),
      });
      expect((await home.mustRun(["env"])).stdout).toMatch(/^export KUBECONFIG='.*\/default\/kubeconfig'\n$/);
    },
    TEST_MS,
  );

  test(
    "without a cluster they say how to start one",
    async () => {
      await using home = homeWithPod();
      for (const command of [["ps"], ["events"], ["env"], ["logs", "x"], ["kubectl", "get", "pods"]]) {
        expect(await home.run(command)).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/E_NOT_RUNNING.*\n +fix: Start it with `pillion up -d`/),
        });
      }
      expect(await home.run(["down"])).toMatchObject({ code: 0 });
    },
    TEST_MS,
  );
});

test("of two starts at the same moment one is the cluster, and the other says that it is there", async () => {
  await using home = new PillionHome();
  const ends = await Promise.all([home.run(["up", "-d"]), home.run(["up", "-d"])]);
  const [won, ...others] = ends.toSorted((a, b) => a.code - b.code);
  expect(won).toMatchObject({ code: 0, stderr: expect.stringContaining('cluster "default" is up') });
  for (const { code, stderr } of others) if (code !== 0) expect(stderr).toContain("E_STORE_IN_USE");
  expect(await home.run(["ps"])).toMatchObject({ code: 0 });
}, 60_000);

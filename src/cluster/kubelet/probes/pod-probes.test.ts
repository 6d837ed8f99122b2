import { describe, expect, test } from "bun:test";
import type { Container, Probe } from "../../../../generated/kubernetes.ts";
import { statusServer } from "../test-support/fake-server.ts";
import { World } from "../test-support/world.ts";

const HTTP: Probe = { httpGet: { port: 80, path: "/" } };
const EXEC: Probe = { exec: { command: ["check"] } };

async function world(): Promise<World> {
  return new World().start();
}

function container(name: string, more: Partial<Container> = {}): Container {
  return { name, image: "img", ...more };
}

/** A server on port 80 of every pod, whose answer the test changes. */
function serve(w: World, port = 80): { status: number } {
  const server = { status: 200 };
  w.sandbox.network.servers.set(
    String(port),
    statusServer(() => server.status),
  );
  return server;
}

/** Time passes in small steps, so that what a timer begins has ended before the next one. */
async function elapse(w: World, ms: number): Promise<void> {
  const STEP_MS = 500;
  for (let left = ms; left > STEP_MS; left -= STEP_MS) await w.advance(STEP_MS);
  await w.advance(ms % STEP_MS || Math.min(ms, STEP_MS));
}

function condition(w: World, type: string): string | undefined {
  return w.pod().status?.conditions?.find((one) => one.type === type)?.status;
}

function unhealthy(w: World): string[] {
  return w.events().filter((text) => text.includes("Unhealthy"));
}

describe("readiness", () => {
  test("a container is unready until its probe succeeds, and again when it fails often enough [PR7, PR8, PR11, S9]", async () => {
    await using w = await world();
    const server = serve(w);
    server.status = 500;
    await w.run("p", { containers: [container("app", { readinessProbe: { ...HTTP, periodSeconds: 5 } })] });
    await elapse(w, 5000);
    expect([w.status("app").ready, condition(w, "Ready")]).toEqual([false, "False"]);
    server.status = 204;
    await elapse(w, 5000);
    expect([w.status("app").ready, condition(w, "Ready")]).toEqual([true, "True"]);
    server.status = 400;
    await elapse(w, 10_000);
    expect(w.status("app").ready).toBe(true);
    await elapse(w, 5000);
    expect([w.status("app").ready, condition(w, "Ready"), w.status("app").restartCount]).toEqual([
      false,
      "False",
      0,
    ]);
    expect(unhealthy(w).at(-1)).toMatch(
      /^Warning Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 400/,
    );
  });

  test("a container without probes is started and ready at once [S9, S10]", async () => {
    await using w = await world();
    await w.run("p", {});
    expect(w.status("app")).toMatchObject({ started: true, ready: true });
  });

  test("is looked at soon after the start, not only at the next tick [PR6, I17]", async () => {
    await using w = await world();
    serve(w);
    await w.run("p", { containers: [container("app", { readinessProbe: { ...HTTP, periodSeconds: 60 } })] });
    await elapse(w, 200);
    expect(w.status("app").ready).toBe(true);
  });

  test("follows a startup probe that succeeds, at once [PR5, PR6]", async () => {
    await using w = await world();
    const server = serve(w);
    server.status = 500;
    await w.run("p", {
      containers: [
        container("app", {
          startupProbe: { ...HTTP, periodSeconds: 1, failureThreshold: 30 },
          readinessProbe: { tcpSocket: { port: 81 }, periodSeconds: 30 },
        }),
      ],
    });
    w.sandbox.network.servers.set("81", () => undefined);
    await elapse(w, 4000);
    expect(w.status("app")).toMatchObject({ started: false, ready: false });
    expect(w.sandbox.network.attempts).not.toContain("10.99.1.1:81");
    server.status = 200;
    await elapse(w, 1000);
    expect(w.status("app")).toMatchObject({ started: true, ready: true });
    expect(w.sandbox.network.attempts.filter((to) => to === "10.99.1.1:81")).toHaveLength(1);
  });

  test.each(["Always", "OnFailure", "Never"])(
    "counts for sidecars as for main containers, with policy %s too, and after a restart [PR3, C4, Q3]",
    async (restartPolicy) => {
      await using w = await world();
      const server = serve(w);
      server.status = 500;
      await w.run("p", {
        restartPolicy,
        initContainers: [
          container("side", { restartPolicy: "Always", readinessProbe: { ...HTTP, periodSeconds: 1 } }),
        ],
      });
      await elapse(w, 2000);
      expect([w.state("app"), w.status("side").ready, condition(w, "ContainersReady")]).toEqual([
        "Running",
        false,
        "False",
      ]);
      server.status = 200;
      await elapse(w, 1000);
      expect([w.status("side").ready, condition(w, "Ready")]).toEqual([true, "True"]);
      await w.exit("side", 1);
      expect(w.status("side")).toMatchObject({ ready: false, restartCount: 1 });
      await elapse(w, 1000);
      expect(w.status("side").ready).toBe(true);
    },
  );

  test("is written at once, also while a hook of the same pod holds up everything else [PR21, S17]", async () => {
    await using w = await world();
    const server = serve(w);
    await w.run("p", {
      initContainers: [
        container("side", {
          restartPolicy: "Always",
          readinessProbe: { ...HTTP, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
      containers: [container("app", { lifecycle: { postStart: { exec: { command: ["hang"] } } } })],
    });
    await elapse(w, 1000);
    const shown = () => [w.status("side").ready, w.state("app"), condition(w, "Ready")];
    expect(shown()).toEqual([true, "PodInitializing", "False"]);
    server.status = 500;
    await elapse(w, 1000);
    expect(shown()).toEqual([false, "PodInitializing", "False"]);
    server.status = 200;
    await elapse(w, 1000);
    expect(shown()).toEqual([true, "PodInitializing", "False"]);
    w.container("app").execs[0]?.exit(0);
    await w.settle();
    expect(shown()).toEqual([true, "Running", "True"]);
  });

  test("goes on while the pod ends, until the container is dead [T16]", async () => {
    await using w = await world();
    const server = serve(w);
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {
      containers: [container("app", { readinessProbe: { ...HTTP, periodSeconds: 1, failureThreshold: 1 } })],
    });
    await elapse(w, 1000);
    await w.delete(30);
    expect(w.status("app").ready).toBe(true);
    server.status = 503;
    await elapse(w, 1000);
    expect([w.status("app").ready, condition(w, "Ready")]).toEqual([false, "False"]);
    await elapse(w, 30_000);
    const attempts = w.sandbox.network.attempts.length;
    await elapse(w, 30_000);
    expect([w.exists(), w.sandbox.network.attempts.length]).toEqual([false, attempts]);
  });

  test("waits for its initial delay again after a restart [PR4]", async () => {
    await using w = await world();
    serve(w);
    const readinessProbe = { ...HTTP, periodSeconds: 1, initialDelaySeconds: 5 };
    await w.run("p", { containers: [container("app", { readinessProbe })] });
    await elapse(w, 4000);
    expect(w.status("app").ready).toBe(false);
    await elapse(w, 1000);
    expect(w.status("app").ready).toBe(true);
    await w.exit("app", 1);
    expect(w.status("app")).toMatchObject({ restartCount: 1, ready: false });
    await elapse(w, 4000);
    expect(w.status("app").ready).toBe(false);
    await elapse(w, 1000);
    expect(w.status("app").ready).toBe(true);
  });
});

describe("liveness", () => {
  test("kills and restarts the container, with the kubelet's event, and counts anew [PR8, PR9, R12]", async () => {
    await using w = await world();
    const server = serve(w);
    server.status = 500;
    await w.run("p", { containers: [container("app", { livenessProbe: { ...HTTP, periodSeconds: 10 } })] });
    const first = w.container("app");
    await elapse(w, 29_000);
    expect(first.hasEnded).toBe(false);
    await elapse(w, 1000);
    expect([first.signals, w.status("app").restartCount]).toEqual([[15], 1]);
    expect(w.events()).toContain("Normal Killing: Container app failed liveness probe, will be restarted");
    server.status = 200;
    await elapse(w, 60_000);
    expect([w.state("app"), w.status("app").restartCount]).toEqual(["Running", 1]);
  });

  test("is on hold while its container is being killed [PR9]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", { containers: [container("app", { livenessProbe: { ...HTTP, periodSeconds: 1 } })] });
    await elapse(w, 4000);
    const attempts = w.sandbox.network.attempts.length;
    await elapse(w, 10_000);
    expect([w.sandbox.network.attempts.length, w.status("app").restartCount]).toEqual([attempts, 0]);
  });

  test("has a grace period of its own, shorter or longer than the pod's [T2]", async () => {
    for (const [seconds, before, after] of [
      [5, 4900, 200],
      [60, 59_000, 1100],
    ] as const) {
      await using w = await world();
      w.sandbox.behaviours.set("app", () => undefined);
      const livenessProbe = {
        ...HTTP,
        periodSeconds: 1,
        failureThreshold: 1,
        terminationGracePeriodSeconds: seconds,
      };
      await w.run("p", { containers: [container("app", { livenessProbe })] });
      await elapse(w, 1000);
      const first = w.container("app");
      expect(first.signals).toEqual([15]);
      await elapse(w, before);
      expect(first.signals).toEqual([15]);
      await elapse(w, after);
      expect(first.signals).toEqual([15, 9]);
    }
  });

  test("leaves a container of policy Never dead, and its worker asks no more [R12, PR12]", async () => {
    await using w = await world();
    await w.run("p", {
      restartPolicy: "Never",
      containers: [container("app", { livenessProbe: { ...HTTP, periodSeconds: 1 } }), container("other")],
    });
    await elapse(w, 4000);
    expect([w.state("app"), w.status("app").restartCount]).toEqual(["Error 143", 0]);
    const attempts = w.sandbox.network.attempts.length;
    await elapse(w, 60_000);
    expect(w.sandbox.network.attempts).toHaveLength(attempts);
  });

  test("of a sidecar restarts that sidecar only, and blocks nobody [I5]", async () => {
    await using w = await world();
    await w.run("p", {
      initContainers: [
        container("side", {
          restartPolicy: "Always",
          livenessProbe: { ...HTTP, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
    });
    const app = w.container("app");
    await elapse(w, 1000);
    expect([w.status("side").restartCount, app.hasEnded]).toEqual([1, false]);
    expect(w.events()).toContain("Normal Killing: Init container side failed liveness probe");
  });

  test("of a pod that is being deleted is over: its result is a success [PR19, T16]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    w.sandbox.behaviours.set("side", () => undefined);
    const livenessProbe = { ...HTTP, periodSeconds: 1, failureThreshold: 5 };
    await w.run("p", {
      initContainers: [container("side", { restartPolicy: "Always", livenessProbe })],
      containers: [container("app", { livenessProbe })],
    });
    await elapse(w, 3000);
    await w.delete(30);
    const attempts = w.sandbox.network.attempts.length;
    const events = unhealthy(w);
    await elapse(w, 20_000);
    expect([w.sandbox.network.attempts.length, unhealthy(w)]).toEqual([attempts, events]);
  });
});

describe("startup", () => {
  test("gates liveness; when it fails the container is restarted, and it starts anew for the next [PR5, PR9, PR10, R12]", async () => {
    await using w = await world();
    const server = serve(w);
    server.status = 500;
    await w.run("p", {
      containers: [
        container("app", {
          startupProbe: { ...HTTP, periodSeconds: 2, failureThreshold: 3 },
          livenessProbe: { tcpSocket: { port: 81 }, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
    });
    await elapse(w, 5000);
    expect([w.status("app").started, w.status("app").restartCount]).toEqual([false, 0]);
    await elapse(w, 1000);
    expect(w.events()).toContain("Normal Killing: Container app failed startup probe, will be restarted");
    expect([w.status("app").restartCount, w.status("app").started]).toEqual([1, false]);
    w.sandbox.network.servers.set("81", () => undefined);
    server.status = 200;
    await elapse(w, 2000);
    expect(w.status("app")).toMatchObject({ started: true, ready: true, restartCount: 1 });
    // Once started, it is not asked again.
    server.status = 500;
    await elapse(w, 60_000);
    expect(w.status("app")).toMatchObject({ started: true, restartCount: 1 });
  });

  test.each(["Always", "OnFailure", "Never"])(
    "of a sidecar gates the containers after it, with policy %s, until it succeeds; readiness does not [I2, I3, PR3, Q2]",
    async (restartPolicy) => {
      await using w = await world();
      const server = serve(w);
      server.status = 500;
      await w.run("p", {
        restartPolicy,
        initContainers: [
          container("side", {
            restartPolicy: "Always",
            startupProbe: { ...HTTP, periodSeconds: 1, failureThreshold: 10 },
            readinessProbe: { tcpSocket: { port: 81 } },
          }),
        ],
      });
      await elapse(w, 5000);
      expect([w.sandbox.running(), w.pod().status?.phase]).toEqual([["p/side"], "Pending"]);
      server.status = 200;
      await elapse(w, 1000);
      expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
      expect(w.status("side")).toMatchObject({ started: true, ready: false });
    },
  );

  test("of a sidecar that fails restarts it, and what comes after still waits; with Never too [I3]", async () => {
    await using w = await world();
    const server = serve(w);
    server.status = 500;
    await w.run("p", {
      restartPolicy: "Never",
      initContainers: [
        container("side", {
          restartPolicy: "Always",
          startupProbe: { ...HTTP, periodSeconds: 1, failureThreshold: 2 },
        }),
      ],
    });
    await elapse(w, 2000);
    expect([w.status("side").restartCount, w.sandbox.running()]).toEqual([1, ["p/side"]]);
    server.status = 200;
    await elapse(w, 1000);
    expect(w.sandbox.running()).toEqual(["p/side", "p/app"]);
  });
});

describe("execution", () => {
  test("an exec probe runs in its container, knows only values that are written out, and fails by its exit code [PR13]", async () => {
    await using w = await world();
    const command = ["check", "$(PLAIN)", "$(REF)", "$(NONE)", "$$(PLAIN)"];
    await w.run("p", {
      containers: [
        container("app", {
          env: [
            { name: "PLAIN", value: "a $(OTHER)" },
            { name: "REF", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          readinessProbe: { exec: { command }, periodSeconds: 1 },
        }),
      ],
    });
    await elapse(w, 1000);
    expect(w.container("app").execs.at(-1)?.argv).toEqual(["check", "a $(OTHER)", "", "$(NONE)", "$(PLAIN)"]);
    expect(w.status("app").ready).toBe(true);
  });

  test("an exec probe that takes too long has failed, and is killed [PR13]", async () => {
    await using w = await world();
    const livenessProbe = {
      exec: { command: ["hang", "x y"] },
      periodSeconds: 10,
      timeoutSeconds: 3,
      failureThreshold: 2,
    };
    await w.run("p", { containers: [container("app", { livenessProbe })] });
    await elapse(w, 10_000);
    const [probe] = w.container("app").execs;
    expect(probe?.hasEnded).toBe(false);
    await elapse(w, 3000);
    expect(probe?.hasEnded).toBe(true);
    expect(unhealthy(w)).toEqual([
      'Warning Unhealthy: Liveness probe failed: command timed out: "hang x y" timed out after 3s',
    ]);
    await elapse(w, 10_000);
    expect(w.status("app").restartCount).toBe(1);
  });

  test("an error is tried three times in one tick, then forgotten [PR14]", async () => {
    await using w = await world();
    await w.run("p", {
      containers: [container("app", { livenessProbe: { ...EXEC, periodSeconds: 10, failureThreshold: 1 } })],
    });
    let calls = 0;
    w.container("app").onExec = () => {
      calls++;
      throw new Error("no such file");
    };
    await elapse(w, 10_000);
    expect([calls, w.status("app").restartCount]).toEqual([3, 0]);
    expect(unhealthy(w)).toEqual([
      "Warning Unhealthy: Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: no such file",
    ]);
    await elapse(w, 50_000);
    expect([calls, w.status("app").restartCount]).toEqual([18, 0]);
  });

  test("a failure is not tried again before the next tick [PR14]", async () => {
    await using w = await world();
    await w.run("p", { containers: [container("app", { livenessProbe: { tcpSocket: { port: 81 } } })] });
    await elapse(w, 10_000);
    expect(w.sandbox.network.attempts).toEqual(["10.99.1.1:81"]);
    expect(unhealthy(w)).toEqual([
      "Warning Unhealthy: Liveness probe failed: dial tcp 10.99.1.1:81: connect: connection refused",
    ]);
  });

  test("ports go by the names that the container itself declares, or by numbers in text [PR18]", async () => {
    await using w = await world();
    serve(w, 8080);
    serve(w, 9090);
    const ports = [{ name: "web", containerPort: 8080 }];
    const probe = (port: string): Probe => ({ httpGet: { port }, periodSeconds: 1 });
    await w.run("p", {
      containers: [
        container("named", { ports, readinessProbe: probe("web") }),
        container("number", { readinessProbe: probe("9090") }),
        container("other", { readinessProbe: probe("web") }),
      ],
    });
    await elapse(w, 1000);
    expect(["named", "number", "other"].map((name) => w.status(name).ready)).toEqual([true, true, false]);
    expect(unhealthy(w)[0]).toMatch(
      /^Warning Unhealthy: Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "web": invalid syntax/,
    );
  });

  test("defaults hold where nothing, or 0, is said [PR1]", async () => {
    await using w = await world();
    w.sandbox.network.isSilent = true;
    const livenessProbe = {
      tcpSocket: { port: 80 },
      periodSeconds: 0,
      timeoutSeconds: 0,
      failureThreshold: 0,
    };
    await w.run("p", { containers: [container("app", { livenessProbe })] });
    await elapse(w, 10_999);
    expect(unhealthy(w)).toEqual([]);
    await elapse(w, 1);
    expect(unhealthy(w)).toEqual([
      "Warning Unhealthy: Liveness probe failed: dial tcp 10.99.1.1:80: i/o timeout",
    ]);
    await elapse(w, 19_000);
    expect(w.status("app").restartCount).toBe(0);
    await elapse(w, 1000);
    expect(w.status("app").restartCount).toBe(1);
  });

  test("a probe that outlasts its period is not run twice at once; the tick it missed comes right after [PR4]", async () => {
    await using w = await world();
    const livenessProbe = { exec: { command: ["hang"] }, periodSeconds: 1, timeoutSeconds: 10 };
    await w.run("p", { containers: [container("app", { livenessProbe })] });
    await elapse(w, 5500);
    const { execs } = w.container("app");
    expect(execs).toHaveLength(1);
    execs[0]?.exit(0);
    await w.settle();
    await elapse(w, 0);
    expect(execs).toHaveLength(2);
    execs[1]?.exit(0);
    await w.settle();
    await elapse(w, 499);
    expect(execs).toHaveLength(2);
    await elapse(w, 1);
    expect(execs).toHaveLength(3);
  });

  test("a wall clock that jumps neither fires nor delays a probe [PR4]", async () => {
    await using w = await world();
    serve(w);
    const livenessProbe = { ...HTTP, periodSeconds: 10, initialDelaySeconds: 15 };
    await w.run("p", { containers: [container("app", { livenessProbe })] });
    w.clock.jump(3_600_000);
    await w.settle();
    await elapse(w, 19_999);
    expect(w.sandbox.network.attempts).toEqual([]);
    w.clock.jump(-7_200_000);
    await elapse(w, 1);
    expect(w.sandbox.network.attempts).toHaveLength(1);
    await elapse(w, 10_000);
    expect(w.sandbox.network.attempts).toHaveLength(2);
  });

  test("leaves no timer behind when its container or pod has ended", async () => {
    await using w = await world();
    serve(w);
    const probes = { livenessProbe: HTTP, readinessProbe: HTTP, startupProbe: { ...HTTP, periodSeconds: 1 } };
    const idle = w.clock.pending;
    await w.run("p", { restartPolicy: "Never", containers: [container("app", probes)] });
    await elapse(w, 30_000);
    expect(w.clock.pending).toBe(idle + 2);
    await w.exit("app", 0);
    expect(w.clock.pending).toBe(idle);
  });
});

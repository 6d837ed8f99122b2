import { describe, expect, test } from "bun:test";
import type { Container, LifecycleHandler } from "../../../../generated/kubernetes.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import type { ExecProcess } from "../../sandbox/process-io.ts";
import type { RunningContainer } from "../../sandbox/sandbox.ts";
import { FakeExec } from "../test-support/fake-exec.ts";
import { FakeNetwork, type FakeServer, httpServer, statusServer } from "../test-support/fake-server.ts";
import { HookError, type HookTarget, runHook } from "./run-hook.ts";

const POD: StoredPod = {
  metadata: { name: "p", namespace: "default", uid: "u-1" },
  spec: { containers: [] },
};
const CONTAINER: Container = {
  name: "app",
  env: [{ name: "A", value: "b" }],
  ports: [{ name: "web", containerPort: 8080 }],
};
const IP = "10.244.0.5";

function bench({
  servers = {},
  exec,
}: { servers?: Record<string, FakeServer>; exec?: () => ExecProcess } = {}) {
  const network = new FakeNetwork();
  for (const [address, server] of Object.entries(servers)) network.servers.set(address, server);
  const clock = new ManualClock();
  const events: string[] = [];
  const execs: FakeExec[] = [];
  const start: RunningContainer["exec"] = (spec) => {
    if (exec !== undefined) return Promise.resolve(exec());
    const started = new FakeExec(spec);
    execs.push(started);
    return Promise.resolve(started);
  };
  const controller = new AbortController();
  const context: HookTarget["context"] = {
    sandbox: { connect: network.connect.bind(network) },
    clock,
    recorder: {
      record({ type, reason, message }) {
        events.push(`${type} ${reason}: ${message}`);
      },
    },
  };
  const running = { exec: start };
  const target = { context, pod: POD, podIP: IP, container: CONTAINER, running };
  const run = async (handler: LifecycleHandler): Promise<string> => {
    try {
      await runHook(handler, target, controller.signal);
      return "done";
    } catch (error) {
      return error instanceof HookError ? error.message : `not a HookError: ${String(error)}`;
    }
  };
  return { network, clock, events, execs, controller, run };
}

async function settle(): Promise<void> {
  for (let round = 0; round < 12; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const FAILED = 'for Container "app" in Pod "p_default(u-1)" failed - error:';

function process(exitCode: number, stdout: string, stderr: string): ExecProcess {
  const stream = async function* (text: string) {
    yield await Promise.resolve(Buffer.from(text));
  };
  return {
    stdout: stream(stdout),
    stderr: stream(stderr),
    exited: Promise.resolve({ exitCode }),
    kill() {},
    resize() {},
    detach() {},
  };
}

describe("exec", () => {
  test("runs in the container as it is written, without expansion [H3, H6]", async () => {
    const { execs, run } = bench();
    expect(await run({ exec: { command: ["true", "$(A)", "$$"] } })).toBe("done");
    expect(execs.map(({ argv }) => argv)).toEqual([["true", "$(A)", "$$"]]);
  });

  test("a failure says how the command ended and what it said [H6]", async () => {
    const { run } = bench({ exec: () => process(3, "out\n", 'err "x"\n') });
    expect(await run({ exec: { command: ["sh", "-c", "exit 3"] } })).toBe(
      `Exec lifecycle hook ([sh -c exit 3]) ${FAILED} command 'sh -c exit 3' exited with 3: err "x"\n, message: "out\\nerr \\"x\\"\\n"`,
    );
  });

  test("has no time limit of its own; who waits gives it up, and the command is killed [H1, H6]", async () => {
    const { clock, controller, execs, run } = bench();
    const outcome = run({ exec: { command: ["hang"] } });
    await settle();
    clock.advance(86_400_000);
    await settle();
    expect([Bun.peek.status(outcome), execs[0]?.hasEnded]).toEqual(["pending", false]);
    controller.abort();
    expect(await outcome).toBe(`Exec lifecycle hook ([hang]) ${FAILED} context canceled, message: ""`);
    expect(execs[0]?.hasEnded).toBe(true);
  });

  test("an output without end is read on, and not kept", async () => {
    let read = 0;
    const endless = process(1, "", "");
    const flood = async function* () {
      for (; read < 5_000_000; read += 65_536) yield await Promise.resolve(Buffer.alloc(65_536, "x"));
    };
    const { run } = bench({ exec: () => ({ ...endless, stdout: flood() }) });
    expect((await run({ exec: { command: ["yes"] } })).length).toBeLessThan(11_000);
    expect(read).toBeGreaterThan(4_900_000);
  });
});

describe("httpGet", () => {
  test("any answer will do; the request names the kubelet's hooks [H4, Q9]", async () => {
    let asked = "";
    const server = httpServer((request) => {
      asked = request;
      return "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";
    });
    const { network, run } = bench({ servers: { 8080: server } });
    expect(await run({ httpGet: { port: "web", path: "/x" } })).toBe("done");
    expect(asked).toStartWith(`GET /x HTTP/1.1\r\nHost: ${IP}:8080\r\nUser-Agent: kube-lifecycle/1.36\r\n`);
    expect(network.attempts).toEqual([`${IP}:8080`]);
  });

  test("an answer that breaks off after its status will do, too [H4]", async () => {
    const broken: FakeServer = (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    expect(await bench({ servers: { 80: broken } }).run({ httpGet: { port: 80 } })).toBe("done");
  });

  test("what the network says is a failure [H4]", async () => {
    expect(await bench().run({ httpGet: { port: 81, path: "/x" } })).toBe(
      `HTTP lifecycle hook (/x) ${FAILED} Get "http://10.244.0.5:81/x": dial tcp 10.244.0.5:81: connect: connection refused`,
    );
    expect(await bench().run({ httpGet: { port: "none", path: "/" } })).toBe(
      `HTTP lifecycle hook (/) ${FAILED} strconv.Atoi: parsing "none": invalid syntax`,
    );
  });

  test("a server that never answers is waited for, until the hook is given up [H1]", async () => {
    const { clock, controller, run } = bench({ servers: { 80: () => undefined } });
    const outcome = run({ httpGet: { port: 80, path: "/" } });
    await settle();
    clock.advance(86_400_000);
    await settle();
    expect(Bun.peek.status(outcome)).toBe("pending");
    controller.abort();
    expect(await outcome).toBe(
      `HTTP lifecycle hook (/) ${FAILED} Get "http://10.244.0.5:80/": context canceled`,
    );
  });

  test("redirects to another host are not followed", async () => {
    const server = httpServer(
      () => "HTTP/1.1 302 Found\r\nLocation: http://10.244.0.9/\r\nContent-Length: 0\r\n\r\n",
    );
    const { network, run } = bench({ servers: { 80: server } });
    expect(await run({ httpGet: { port: 80 } })).toBe("done");
    expect(network.attempts).toHaveLength(1);
  });
});

describe("sleep", () => {
  test("takes its seconds, of which there may be none [H3]", async () => {
    const { clock, run } = bench();
    const outcome = run({ sleep: { seconds: 5 } });
    clock.advance(4999);
    await settle();
    expect(Bun.peek.status(outcome)).toBe("pending");
    clock.advance(1);
    expect(await outcome).toBe("done");
    const none = run({ sleep: { seconds: 0 } });
    clock.advance(0);
    expect(await none).toBe("done");
  });

  test("is cut short by who waits", async () => {
    const { clock, controller, run } = bench();
    const outcome = run({ sleep: { seconds: 500 } });
    controller.abort();
    expect(await outcome).toBe(
      `Sleep lifecycle hook (500) ${FAILED} container terminated before sleep hook finished`,
    );
    expect(clock.pending).toBe(0);
  });
});

test("tcpSocket passes validation and cannot be run [H3]", async () => {
  const { network, run } = bench({ servers: { 80: statusServer(() => 200) } });
  expect(await run({ tcpSocket: { port: 80 } })).toBe(
    "Cannot run handler: invalid handler: &LifecycleHandler{Exec:nil,HTTPGet:nil,TCPSocket:&TCPSocketAction{Port:{0 80 },Host:,},Sleep:nil,}",
  );
  expect(await run({ tcpSocket: { port: "web", host: "x" } })).toContain("Port:{1 0 web},Host:x,}");
  expect(network.attempts).toEqual([]);
});

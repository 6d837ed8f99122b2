/** Streams to containers with four versions of kubectl and client-node, over WebSocket and SPDY: exec, attach, cp, port-forward, debug, top. */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { kubectlPath, type KubectlVersion } from "../../src/testing/kubectl.ts";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 20_000;
const NAMESPACE = "default";

interface Client {
  readonly version: KubectlVersion;
  readonly transport: "WebSocket" | "SPDY";
}

/** 1.29 knows only SPDY for port-forward, and speaks WebSocket for exec when it is told to. */
const CLIENTS: readonly Client[] = (["29", "31", "33", "35"] as const).flatMap((version) =>
  (["WebSocket", "SPDY"] as const).map((transport) => ({ version, transport })),
);

let home: PillionHome;
let kubectl: KubectlSession;

function transportEnv(transport: Client["transport"]): Record<string, string> {
  const value = String(transport === "WebSocket");
  return { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: value, KUBECTL_PORT_FORWARD_WEBSOCKETS: value };
}

function open({ version, transport }: Client): Promise<KubectlSession> {
  return openKubectl(home, { version, namespace: NAMESPACE, env: transportEnv(transport) });
}

function pod(name: string, script: string, container: object = {}): string {
  const main = { name: "main", image: "busybox", command: ["sh", "-c", script], ...container };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 1, restartPolicy: "Never", containers: [main] },
  });
}

const ENDS_ON_TERM = "trap 'exit 0' TERM; sleep 1000 & wait";
/** Answers each connection to 127.0.0.1:8080 with what it got, in capital letters, when the other side has ended. */
const SHOUT = `exec bun -e '
  require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
    const chunks = [];
    socket.on("error", () => {});
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => socket.end(Buffer.concat(chunks).toString().toUpperCase()));
  }).listen(8080, "127.0.0.1", () => console.log("listening"));
'`;

/** Resolves when the pod's server listens. */
async function listens(name: string): Promise<void> {
  await kubectl.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]);
  await kubectl.start(["logs", "-f", name]).line(/^listening$/);
}

beforeAll(async () => {
  home = new PillionHome();
  // This bun lies in the checkout, which may be where no container sees it.
  const bun = { host: { copy: { [process.execPath]: "/usr/local/bin/bun" } } };
  writeFileSync(join(home.path, "images.yaml"), JSON.stringify({ images: { busybox: "host", bun } }));
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  kubectl = await openKubectl(home, { version: "35", namespace: NAMESPACE });
  await kubectl.must(["create", "-f", "-"], pod("box", ENDS_ON_TERM));
  await kubectl.must(["create", "-f", "-"], pod("shout", SHOUT, { image: "bun" }));
  await kubectl.must(["wait", "--for=condition=Ready", "pod/box", "--timeout=30s"]);
  await listens("shout");
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A terminal with kubectl in it. */
async function openTerminal(
  { version, transport }: Client,
  args: readonly string[],
): Promise<{
  readonly child: Bun.Subprocess;
  readonly terminal: Bun.Terminal;
  /** Resolves when the screen has had it. */
  readonly shows: (pattern: RegExp) => Promise<void>;
}> {
  let screen = "";
  let check = () => undefined as void;
  const decoder = new TextDecoder();
  const child = Bun.spawn([await kubectlPath(version), "-n", NAMESPACE, ...args], {
    env: {
      ...home.env,
      ...transportEnv(transport),
      KUBECONFIG: home.kubeconfig(),
      KUBECACHEDIR: join(home.path, `kube-cache-${version}`),
    },
    terminal: {
      cols: 77,
      rows: 33,
      data(_terminal, bytes) {
        screen += decoder.decode(bytes, { stream: true });
        check();
      },
    },
  });
  const { terminal } = child;
  if (terminal === undefined) throw new Error("no terminal");
  const shows = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      check = () => {
        if (pattern.test(screen)) resolve();
      };
      void child.exited.then((code) => reject(new Error(`ended with ${code}: ${screen}`)));
      check();
    });
  return { child, terminal, shows };
}

describe.each(CLIENTS)("kubectl 1.$version over $transport", (client) => {
  let own: KubectlSession;

  beforeAll(async () => {
    own = await open(client);
  });

  test("exec gives both outputs and the exit code", async () => {
    const { code, stdout, stderr } = await own.run([
      "exec",
      "box",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 7",
    ]);
    expect({ code, stdout, stderr }).toEqual({
      code: 7,
      stdout: "out\n",
      stderr: "err\ncommand terminated with exit code 7\n",
    });
  });

  test("exec of a program that is not there says so", async () => {
    const { code, stderr } = await own.run(["exec", "box", "--", "no-such-program"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('exec: "no-such-program": executable file not found in $PATH');
  });

  test(
    "8 MiB go in and come back the same",
    async () => {
      const bytes = randomBytes(8 * 1024 * 1024);
      const child = Bun.spawn([await kubectlPath(client.version), "exec", "-i", "box", "--", "cat"], {
        env: { ...home.env, ...transportEnv(client.transport), KUBECONFIG: home.kubeconfig() },
        stdio: [new Blob([bytes]), "pipe", "inherit"],
      });
      expect(sha256(await new Response(child.stdout).bytes())).toBe(sha256(bytes));
      expect(await child.exited).toBe(0);
    },
    TEST_MS,
  );

  test(
    "a terminal has its size, sees it change, and gives the exit code",
    async () => {
      const { child, terminal, shows } = await openTerminal(client, ["exec", "-it", "box", "--", "sh"]);
      await shows(/[#$] /);
      // Until the size has arrived, which is sent behind the start.
      terminal.write("until stty size | grep -q '33 77'; do :; done; tty; echo small\n");
      await shows(/\/dev\/pts\/\d+\s+small\r\n/);
      terminal.resize(101, 41);
      terminal.write("until stty size | grep -q '41 101'; do :; done; echo lar''ge\n");
      await shows(/large/);
      terminal.write("exit 5\n");
      expect(await child.exited).toBe(5);
    },
    TEST_MS,
  );

  test(
    "port-forward carries many connections at once, each to the end of both ways",
    async () => {
      await using forward = await forwarding(own, "shout", 8080);
      const texts = await Promise.all(
        Array.from({ length: 12 }, (_, index) => talk(forward.port, `hello ${index}`)),
      );
      expect(texts).toEqual(Array.from({ length: 12 }, (_, index) => `HELLO ${index}`));
      const large = "abcdefgh".repeat(500_000);
      expect(await talk(forward.port, large)).toBe(large.toUpperCase());
    },
    TEST_MS,
  );

  test("port-forward to a port that nobody listens on says so", async () => {
    const forward = await forwarding(own, "shout", 81);
    await talk(forward.port, "x");
    await forward.running.line(/error forwarding port 81 to pod .*connection refused/);
    await forward[Symbol.asyncDispose]();
  });
});

interface Forwarding extends AsyncDisposable {
  readonly port: number;
  readonly running: ReturnType<KubectlSession["start"]>;
}

async function forwarding(session: KubectlSession, name: string, to: number): Promise<Forwarding> {
  const running = session.start(["port-forward", name, `:${to}`]);
  const line = await running.line(/^Forwarding from 127\.0\.0\.1:\d+/);
  return {
    running,
    port: Number(/:(\d+)/.exec(line)?.[1]),
    async [Symbol.asyncDispose]() {
      running.kill("SIGTERM");
      await running.exited;
    },
  };
}

/** Sends, half-closes, and reads to the end; a connection that breaks off gives what came before. */
async function talk(port: number, text: string): Promise<string> {
  const socket: Socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let answer = "";
  socket.on("data", (bytes: Buffer) => (answer += bytes.toString()));
  socket.end(text);
  await new Promise<void>((resolve) => {
    socket.once("end", resolve);
    socket.once("error", () => resolve());
    socket.once("close", () => resolve());
  });
  socket.destroy();
  return answer;
}

describe.each<KubectlVersion>(["29", "31", "33", "35"])("kubectl 1.%s", (version) => {
  let own: KubectlSession;

  beforeAll(async () => {
    own = await openKubectl(home, { version, namespace: NAMESPACE });
  });

  test(
    "cp takes a folder there and back",
    async () => {
      const folder = join(home.path, `there-${version}`);
      mkdirSync(join(folder, "deep"), { recursive: true });
      const bytes = randomBytes(1_000_000);
      writeFileSync(join(folder, "deep/data.bin"), bytes);
      writeFileSync(join(folder, "a file"), "text");
      await own.must(["cp", folder, `box:/tmp/copy-${version}`]);
      const back = join(home.path, `back-${version}`);
      await own.must(["cp", `box:/tmp/copy-${version}`, back]);
      expect(sha256(readFileSync(join(back, "deep/data.bin")))).toBe(sha256(bytes));
      expect(readFileSync(join(back, "a file"), "utf8")).toBe("text");
    },
    TEST_MS,
  );

  test(
    "run -i --rm gives output and exit code, and leaves no pod",
    async () => {
      const args = ["run", `run-${version}`, "-i", "--rm", "--restart=Never", "--image=busybox", "--"];
      const { code, stdout } = await own.run(
        [...args, "sh", "-c", "read line; echo got $line; exit 3"],
        "a line\n",
      );
      expect(stdout).toContain("got a line\n");
      expect(code).toBe(3);
      expect((await own.run(["get", "pod", `run-${version}`])).stderr).toContain("NotFound");
    },
    TEST_MS,
  );

  test(
    "attach reaches the program that runs, and its terminal",
    async () => {
      const name = `attached-${version}`;
      const script = 'while read line; do echo "<$line>"; [ "$line" = end ] && exit 0; done';
      await own.must(["create", "-f", "-"], pod(name, script, { stdin: true, stdinOnce: true }));
      await own.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]);
      const attached = await own.run(["attach", "-i", name], "one\nend\n");
      expect(attached.stdout).toBe("<one>\n<end>\n");
      expect(attached.code).toBe(0);
      await own.must(["delete", "pod", name, "--now"]);
    },
    TEST_MS,
  );

  test(
    "debug adds a container that sees the processes of another [EC1, EC3]",
    async () => {
      const name = `debugged-${version}`;
      await own.must(["create", "-f", "-"], pod(name, "trap 'exit 0' TERM; sleep 4321 & wait"));
      await own.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]);
      const args = ["debug", name, "--image=busybox", "--target=main", "-c", "visitor", "-it", "--", "sh"];
      const { child, terminal, shows } = await openTerminal({ version, transport: "WebSocket" }, args);
      // The shell's own prompt may have come before kubectl did.
      await shows(/try pressing enter/);
      terminal.write("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo\n");
      await shows(/sleep 4321/);
      terminal.write("exit 0\n");
      expect(await child.exited).toBe(0);
      const jsonpath = "-o=jsonpath={.spec.ephemeralContainers[*].name} {.status.phase}";
      expect(await own.must(["get", "pod", name, jsonpath])).toBe("visitor Running");
      await own.must(["delete", "pod", name, "--now"]);
    },
    TEST_MS,
  );

  test(
    "debug -i shows all output of a program that reads its input, and of one that ends at once",
    async () => {
      const name = `debugged-twice-${version}`;
      await own.must(["create", "-f", "-"], pod(name, ENDS_ON_TERM));
      await own.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]);
      const debug = (container: string) => ["debug", name, "-i", "--image=busybox", "-c", container, "--"];
      for (let round = 0; round < 10; round++) {
        const reads = await own.run([...debug(`reads-${round}`), "sh"], `echo read $((${round} + 1))\n`);
        expect(reads).toMatchObject({ code: 0, stdout: `read ${round + 1}\n` });
        const ends = await own.run([...debug(`ends-${round}`), "sh", "-c", `echo ended ${round}`], "");
        expect(ends).toMatchObject({ code: 0, stdout: `ended ${round}\n` });
      }
      await own.must(["delete", "pod", name, "--now"]);
    },
    TEST_MS,
  );

  test("create token makes one that the API knows and does not let do much", async () => {
    const token = (await own.must(["create", "token", "default", "--duration=10m"])).trim();
    const config = ["--kubeconfig", writeTokenConfig(token)];
    const { stderr, code } = await own.run([...config, "get", "pods"]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"',
      ),
    });
    expect((await own.run([...config, "auth", "can-i", "list", "pods"])).stdout).toContain("no");
    const tooShort = await own.run(["create", "token", "default", "--duration=5m"]);
    expect(tooShort.stderr).toContain("may not specify a duration less than 10 minutes");
  });

  test("top shows what nodes, pods and containers use", async () => {
    expect(await own.must(["top", "pod", "--containers"])).toMatch(/^box +main +\d+m +\d+Mi *$/m);
    expect(await own.must(["top", "pod", "-l", "app=shout"])).toMatch(/^shout +\d+m +\d+Mi *$/m);
    expect(await own.must(["top", "node"])).toMatch(/^\S+ +\d+m +\d+% +\d+Mi +\d+% *$/m);
    expect((await own.run(["top", "pod", "none"])).stderr).toContain("not found");
  });
});

/** The administrator's configuration, with another token. */
function writeTokenConfig(token: string): string {
  const path = join(home.path, "token-config");
  const text = readFileSync(home.kubeconfig(), "utf8");
  writeFileSync(path, text.replace(/"token": ".*"/, `"token": "${token}"`));
  return path;
}

test(
  "client-node on Node runs programs, attaches and forwards a port",
  async () => {
    await kubectl.must(
      ["create", "-f", "-"],
      pod("node-client", `(while :; do echo tick; sleep 0.1; done) & ${SHOUT}`, { image: "bun" }),
    );
    await listens("node-client");
    const script = join(import.meta.dirname, "client-node-streams.mjs");
    const child = Bun.spawn(["node", script, home.kubeconfig(), NAMESPACE, "node-client", "8080"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const text = await new Response(child.stdout).text();
    expect(JSON.parse(text)).toEqual({
      exec: { out: "typed", err: "err\n", reason: "NonZeroExitCode", code: "9" },
      attach: true,
      forward: "THROUGH THE PORT",
    });
    await kubectl.must(["delete", "pod", "node-client", "--now"]);
  },
  TEST_MS,
);

test(
  "a port-forward whose pod goes ends its connections",
  async () => {
    await kubectl.must(["create", "-f", "-"], pod("goes", SHOUT, { image: "bun" }));
    await listens("goes");
    await using forward = await forwarding(kubectl, "goes", 8080);
    const socket = connect({ port: forward.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    const isClosed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("data", () => undefined);
    await new Promise((resolve) => socket.once("connect", resolve));
    expect(await talk(forward.port, "x")).toBe("X");
    await kubectl.must(["delete", "pod", "goes", "--now"]);
    await isClosed;
  },
  TEST_MS,
);

test(
  "an exec whose client is killed leaves the engine with what it had",
  async () => {
    const engine = home.enginePid();
    await kubectl.must(["exec", "box", "--", "true"]);
    const before = openFiles(engine);
    const sessions = Array.from({ length: 10 }, () =>
      kubectl.start(["exec", "-i", "box", "--", "sh", "-c", "echo up; cat"]),
    );
    for (const session of sessions) await session.line(/^up$/);
    expect(openFiles(engine)).toBeGreaterThan(before);
    for (const session of sessions) session.kill("SIGKILL");
    await Promise.all(sessions.map((session) => session.exited));
    // Each `cat` reads the end of its input.
    const count = "grep -lx cat /proc/[0-9]*/comm 2>/dev/null | wc -l";
    await kubectl.must(["exec", "box", "--", "sh", "-c", `while [ "$(${count})" != 0 ]; do :; done`]);
    // The kernel tells the engine of a connection's end after kubectl has ended: what is kept for good fails by the time limit.
    while (openFiles(engine) > before) await Bun.sleep(10);
  },
  TEST_MS,
);

function openFiles(pid: number): number {
  return Array.from(new Bun.Glob("*").scanSync({ cwd: `/proc/${pid}/fd`, onlyFiles: false })).length;
}

test(
  "30 execs at once end each with its own output",
  async () => {
    const ended = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        kubectl.run(["exec", "box", "--", "sh", "-c", `echo ${index}; exit ${index}`]),
      ),
    );
    expect(ended.map(({ code, stdout }) => [code, stdout])).toEqual(
      ended.map((_, index) => [index, `${index}\n`]),
    );
  },
  TEST_MS,
);

test(
  "drain evicts pods, respecting their budget",
  async () => {
    await kubectl.must(["create", "pdb", "box", "--selector=app=box", "--min-available=1"]);
    const node = (await kubectl.must(["get", "nodes", "-o=jsonpath={.items[0].metadata.name}"])).trim();
    const drain = ["drain", node, "--force", "--grace-period=1", "--pod-selector=app=box"];
    const { stderr } = await kubectl.run([...drain, "--timeout=1s"]);
    expect(stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
    await kubectl.must(["delete", "pdb", "box"]);
    expect(await kubectl.must([...drain, "--timeout=30s"])).toContain("pod/box evicted");
    await kubectl.must(["uncordon", node]);
  },
  TEST_MS,
);

import { describe, expect, test } from "bun:test";
import type { Container, Probe } from "../../../../generated/kubernetes.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { FakeNetwork, httpServer, type FakeServer, statusServer } from "../test-support/fake-server.ts";
import { runProbe, type ProbeOutcome } from "./run-probe.ts";

const IP = "10.244.0.5";
const CONTAINER: Container = { name: "app" };

interface Bench {
  readonly network: FakeNetwork;
  readonly clock: ManualClock;
  readonly run: (probe: Probe) => Promise<ProbeOutcome>;
}

function bench(servers: Record<string, FakeServer> = {}): Bench {
  const network = new FakeNetwork();
  for (const [address, server] of Object.entries(servers)) network.servers.set(address, server);
  const clock = new ManualClock();
  const sandbox = { connect: network.connect.bind(network) };
  const running = { exec: () => Promise.reject(new Error("no exec here")) };
  const target = { sandbox, clock, container: CONTAINER, podIP: IP, running };
  return { network, clock, run: (probe) => runProbe(probe, target, new AbortController().signal) };
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let round = 0; round < 12; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const http = (more: Partial<NonNullable<Probe["httpGet"]>> = {}): Probe => ({
  httpGet: { port: 80, path: "/", ...more },
});

function failure(output: string): ProbeOutcome {
  return { kind: "failure", output };
}

function answer(text: string): FakeServer {
  return httpServer(() => text);
}

const redirect = (location: string) =>
  `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 2\r\n\r\nxx`;

describe("httpGet", () => {
  test.each([199, 200, 204, 299, 399, 400, 404, 500])(
    "statuses from 200 to 399 are a success: %i [PR15]",
    async (status) => {
      // A 199 comes before an answer; the answer never comes.
      const outcome = await bench({ 80: statusServer(() => status) }).run(http());
      if (status === 199) expect(outcome).toEqual(failure('Get "http://10.244.0.5:80/": EOF'));
      else if (status >= 400)
        expect(outcome).toEqual(failure(`HTTP probe failed with statuscode: ${status}`));
      else expect(outcome.kind).toBe(status === 399 ? "warning" : "success");
    },
  );

  test("follows redirects to the same host, with the headers of the first request [PR15]", async () => {
    const requests: string[] = [];
    const server = httpServer((request) => {
      requests.push(request);
      return request.startsWith("GET /last")
        ? "HTTP/1.1 200 OK\r\n\r\n"
        : redirect(request.includes("/next") ? `http://${IP}/last` : "/next?a=b");
    });
    const httpHeaders = [
      { name: "Host", value: "shop.example" },
      { name: "X-Key", value: "k" },
    ];
    expect(await bench({ 80: server }).run(http({ httpHeaders }))).toEqual({ kind: "success" });
    expect(requests.map((request) => request.split("\r\n").slice(0, 2))).toEqual([
      ["GET / HTTP/1.1", "Host: shop.example"],
      ["GET /next?a=b HTTP/1.1", "Host: shop.example"],
      ["GET /last HTTP/1.1", `Host: ${IP}`],
    ]);
    expect(requests.every((request) => request.includes("X-Key: k"))).toBe(true);
    expect(requests[1]).toContain(`Referer: http://${IP}:80/\r\n`);
  });

  test("a redirect to another host, or to nowhere, is a success with a warning, and nobody goes there [PR15]", async () => {
    const { network, run } = bench({ 80: answer(redirect("http://10.244.0.6:81/")) });
    expect(await run(http())).toEqual({
      kind: "warning",
      output: "Probe terminated redirects, Response body: xx",
    });
    expect(network.attempts).toEqual([`${IP}:80`]);
    const outcome = await bench({ 80: answer("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n") }).run(
      http(),
    );
    expect(outcome.kind).toBe("warning");
  });

  test("gives up after ten redirects [PR15]", async () => {
    const { network, run } = bench({ 80: answer(redirect("/loop")) });
    expect(await run(http())).toEqual(failure('Get "/loop": stopped after 10 redirects'));
    expect(network.attempts).toHaveLength(10);
  });

  test.each([
    ["ftp://10.244.0.5/x", 'Get "ftp://10.244.0.5/x": unsupported protocol scheme "ftp"'],
    ["http://[", 'Get "http://10.244.0.5:80/": failed to parse Location header "http://[": invalid URL'],
  ])("a redirect to %s is a failure", async (location, output) => {
    expect(await bench({ 80: answer(redirect(location)) }).run(http())).toEqual(failure(output));
  });

  test("says what the network says, as Go does [PR15]", async () => {
    expect(await bench().run(http())).toEqual(
      failure('Get "http://10.244.0.5:80/": dial tcp 10.244.0.5:80: connect: connection refused'),
    );
    const breaking: FakeServer = (socket) => socket.end();
    expect(await bench({ 80: breaking }).run(http())).toEqual(failure('Get "http://10.244.0.5:80/": EOF'));
    const httpHeaders = [{ name: "X", value: "a\0b" }];
    expect(await bench({ 80: statusServer(() => 200) }).run(http({ httpHeaders }))).toEqual(
      failure('Get "http://10.244.0.5:80/": net/http: invalid header field value for "X"'),
    );
  });

  test("a server that accepts and never answers has failed when the time is over [PR15]", async () => {
    for (const make of [
      () => bench({ 80: () => undefined }),
      () => {
        const silent = bench();
        silent.network.isSilent = true;
        return silent;
      },
    ]) {
      const { clock, run } = make();
      const outcome = run({ ...http(), timeoutSeconds: 2 });
      await settle();
      clock.advance(1999);
      await settle();
      expect(Bun.peek.status(outcome)).toBe("pending");
      clock.advance(1);
      expect(await outcome).toEqual(
        failure(
          'Get "http://10.244.0.5:80/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ),
      );
      expect(clock.pending).toBe(0);
    }
  });

  test("a body that never ends is an error of the probe, not of the container [PR14, PR15]", async () => {
    const { clock, run } = bench({
      80: (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
    });
    const outcome = run(http());
    for (let attempt = 0; attempt < 3; attempt++) {
      await settle();
      clock.advance(1000);
    }
    expect(await outcome).toEqual({
      kind: "error",
      state: "failure",
      message: "context deadline exceeded (Client.Timeout or context cancellation while reading body)",
    });
  });

  test("a huge body is not read to its end [PR15]", async () => {
    let sent = 0;
    const flood: FakeServer = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
      const block = Buffer.alloc(16_384);
      const pump = (): void => {
        if (sent >= 10_000_000) return;
        sent += block.length;
        if (socket.write(block)) setImmediate(pump);
        else socket.once("drain", pump);
      };
      pump();
    };
    expect(await bench({ 80: flood }).run(http())).toEqual({ kind: "success" });
    expect(sent).toBeLessThan(1_000_000);
  });

  test("goes to the host it names instead of the pod", async () => {
    const { network, run } = bench();
    await run(http({ host: "localhost", port: 8080 }));
    await run({ tcpSocket: { host: "10.1.2.3", port: 1 } });
    expect(network.attempts).toEqual(["127.0.0.1:8080", "10.1.2.3:1"]);
  });
});

describe("tcpSocket", () => {
  test("a connection is a success, and is closed at once [PR16]", async () => {
    let isClosed = false;
    const outcome = await bench({ 80: (socket) => socket.on("close", () => (isClosed = true)).resume() }).run(
      {
        tcpSocket: { port: 80 },
      },
    );
    await settle();
    expect([outcome.kind, isClosed]).toEqual(["success", true]);
    expect(await bench().run({ tcpSocket: { port: 80 } })).toEqual(
      failure("dial tcp 10.244.0.5:80: connect: connection refused"),
    );
  });
});

describe("grpc", () => {
  test("a port that refuses is tried until the time is over [PR17]", async () => {
    const { clock, network, run } = bench();
    const outcome = run({ grpc: { port: 90 }, timeoutSeconds: 3 });
    for (let step = 0; step < 15; step++) {
      await settle();
      clock.advance(200);
    }
    expect(await outcome).toEqual(
      failure('timeout: failed to connect service "10.244.0.5:90" within 3s: context deadline exceeded'),
    );
    expect(network.attempts).toHaveLength(3);
  });
});

test("a probe without an action is an error", async () => {
  expect(await bench().run({})).toEqual({
    kind: "error",
    state: "unknown",
    message: "missing probe handler for app",
  });
});

test("a probe that is given up rejects, and leaves no timer", async () => {
  const network = new FakeNetwork();
  network.isSilent = true;
  const clock = new ManualClock();
  const controller = new AbortController();
  const sandbox = { connect: network.connect.bind(network) };
  const running = { exec: () => Promise.reject(new Error("no exec here")) };
  const outcome = runProbe(
    http(),
    { sandbox, clock, container: CONTAINER, podIP: IP, running },
    controller.signal,
  );
  await settle();
  controller.abort(new Error("the container has ended"));
  expect(outcome).rejects.toThrow("the container has ended");
  await outcome.catch(() => undefined);
  expect(clock.pending).toBe(0);
});

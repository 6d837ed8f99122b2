/** An unmodified @kubernetes/client-node from outside: informers over broken connections, leader election by Lease. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestApi, type TestApi } from "../../src/cluster/api/api.test-support.ts";
import { writeKubeconfig } from "../../src/cluster/api/kubeconfig.ts";
import { followProcess, type Running } from "../../src/testing/pillion.ts";

const TEST_MS = 30_000;
const NAMESPACE = "default";
/** Changes that the API remembers. */
const HISTORY = 10;

const folder = mkdtempSync(join(tmpdir(), "client-node-"));
const kubeconfig = join(folder, "kubeconfig");
const programs = { informer: "client-node-informer.mjs", leader: "client-node-leader.mjs" };
let api: TestApi;
let way: Awaited<ReturnType<typeof openWay>>;

/** Between the clients and the API, and can be cut. */
async function openWay(port: number) {
  const sockets = new Set<Socket>();
  let isCut = false;
  const join = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on("error", () => to.destroy()).on("close", () => sockets.delete(from));
    from.pipe(to);
  };
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port });
    join(client, upstream);
    join(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (shut: boolean) => {
    isCut = shut;
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, cut, close: () => server.close() };
}

beforeAll(async () => {
  api = await startTestApi({ historyLimit: HISTORY });
  way = await openWay(api.server.port);
  writeKubeconfig(kubeconfig, {
    cluster: "test",
    server: `https://127.0.0.1:${way.port}`,
    authority: api.pki.authority,
    token: api.pki.token,
  });
  for (const file of Object.values(programs)) {
    // With the HTTP client that it brings, which takes the CA: the one in its place on Bun does not.
    const built = await Bun.build({ entrypoints: [join(import.meta.dirname, file)], target: "node" });
    writeFileSync(join(folder, file), (await built.outputs[0]?.text()) ?? "");
  }
}, TEST_MS);

afterAll(async () => {
  way.cut(true);
  way.close();
  await api[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function start(program: keyof typeof programs, args: readonly string[]): Running {
  const child = Bun.spawn(
    [process.execPath, join(folder, programs[program]), kubeconfig, NAMESPACE, ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", HOME: folder },
    },
  );
  return followProcess(child);
}

async function end(running: Running): Promise<void> {
  running.kill("SIGKILL");
  await running.exited;
}

function setMap(name: string, value: string): void {
  const at = { namespace: NAMESPACE, name };
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: at, data: { value } };
  if (api.store.get("configmaps", at) === undefined) api.store.create("configmaps", object);
  else api.store.update("configmaps", at, (current) => ({ ...current, data: { value } }));
}

describe("an informer", () => {
  test(
    "knows what is there, and goes on after its connection broke, also where the API has forgotten since",
    async () => {
      setMap("a", "1");
      const informer = start("informer", []);
      const line = (pattern: RegExp) => informer.line(pattern);
      await line(/^add a 1$/);
      setMap("a", "2");
      await line(/^update a 2$/);

      way.cut(true);
      await line(/^error /);
      setMap("b", "1");
      way.cut(false);
      await line(/^add b 1$/);

      way.cut(true);
      for (let value = 3; value < 3 + 2 * HISTORY; value++) setMap("a", String(value));
      api.store.delete("configmaps", { namespace: NAMESPACE, name: "b" });
      setMap("c", "1");
      way.cut(false);
      await line(/^add c 1$/);
      await line(new RegExp(`^update a ${2 + 2 * HISTORY}$`));
      await line(/^delete b/);
      setMap("c", "2");
      await line(/^update c 2$/);
      informer.kill("SIGUSR1");
      expect(await line(/^known/)).toBe(`known a=${2 + 2 * HISTORY} c=2`);
      await end(informer);
    },
    TEST_MS,
  );

  test("is told 410 in an event of the watch, as on Kubernetes, and in the list's words when it lists", async () => {
    const { metadata } = (await api.call("/api/v1/namespaces/default/configmaps")).body as {
      metadata: { resourceVersion: string };
    };
    for (let value = 0; value < 2 * HISTORY; value++) setMap("d", String(value));
    const path = `/api/v1/namespaces/default/configmaps?resourceVersion=${metadata.resourceVersion}`;
    for await (const event of await api.lines(`${path}&watch=true`)) {
      expect(event).toMatchObject({
        type: "ERROR",
        object: { kind: "Status", code: 410, reason: "Expired" },
      });
      break;
    }
    const { code, body } = await api.call(`${path}&resourceVersionMatch=Exact&limit=1`);
    expect([code, body["reason"]]).toEqual([410, "Expired"]);
  });
});

describe("a Lease", () => {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
  const post = (spec: object) => {
    const body = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "times" }, spec };
    return api.call(path, { method: "POST", body });
  };

  test(
    "has one of two candidates lead, and the other when that one is killed",
    async () => {
      const lease = async () => (await api.call(`${path}/crown`)).body["spec"] as Record<string, unknown>;
      const first = start("leader", ["crown", "first", "1"]);
      await first.line(/^leading$/);
      const second = start("leader", ["crown", "second", "1"]);
      const { renewTime } = await lease();
      // It is renewed while the other one looks on.
      let now = await lease();
      while (now["renewTime"] === renewTime) now = await lease();
      expect(now).toMatchObject({ holderIdentity: "first", leaseTransitions: 0 });
      expect(String(now["renewTime"])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      await end(first);
      await second.line(/^leading$/);
      expect(await lease()).toMatchObject({ holderIdentity: "second", leaseTransitions: 1 });
      await end(second);
      const { stdout } = await first.exited;
      expect(stdout).toBe("leading\n");
    },
    TEST_MS,
  );

  test("goes to one of those that reach for it at the same moment: the others get 409, in the API's words", async () => {
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "prize" },
      spec: {},
    };
    const { code, body: made } = await api.call(path, { method: "POST", body });
    expect(code).toBe(201);
    const replies = await Promise.all(
      ["x", "y", "z"].map((holderIdentity) =>
        api.call(`${path}/prize`, { method: "PUT", body: { ...made, spec: { holderIdentity } } }),
      ),
    );
    expect(replies.map((reply) => String(reply.code)).toSorted()).toEqual(["200", "409", "409"]);
    expect(replies.find((reply) => reply.code === 409)?.body).toMatchObject({
      reason: "Conflict",
      message:
        'Operation cannot be fulfilled on leases.coordination.k8s.io "prize": the object has been modified; please apply your changes to the latest version and try again',
    });
  });

  test.each<[sent: string, kept: string]>([
    ["2026-11-21T16:00:00.123456Z", "2026-11-21T16:00:00.123456Z"],
    ["2026-11-21T18:00:00.500000+02:00", "2026-11-21T16:00:00.500000Z"],
  ])("keeps %s as %s", async (sent, kept) => {
    const { body } = await post({ renewTime: sent });
    expect(body["spec"]).toEqual({ renewTime: kept });
    await api.call(`${path}/times`, { method: "DELETE" });
  });

  test("with a time that is none, or a duration of nothing, is refused", async () => {
    const noTime = await post({ renewTime: "soon" });
    expect([noTime.code, noTime.body["message"]]).toEqual([400, expect.stringContaining('"soon"')]);
    const short = await post({ renewTime: "2026-11-21T16:00:00.955Z" });
    expect([short.code, short.body["message"]]).toEqual([
      400,
      expect.stringContaining('cannot parse ".955Z" as ".000000"'),
    ]);
    const noDuration = await post({ leaseDurationSeconds: 0 });
    expect([noDuration.code, noDuration.body["message"]]).toEqual([
      422,
      'Lease.coordination.k8s.io "times" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    ]);
  });
});

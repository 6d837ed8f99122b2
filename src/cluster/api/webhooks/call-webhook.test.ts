import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { messageOf } from "../../../kernel/problem.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { type Json, startTestApi, type TestApi } from "../api.test-support.ts";
import { type ConnectService, connectMachine } from "./call-webhook.ts";
import { configuration, startWebhookServer, type WebhookServer } from "./webhook-server.test-support.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io";
const FAILED = 'Internal error occurred: failed calling webhook "test.example.com": ';

let api: TestApi;
let hook: WebhookServer;
let clock: ManualClock;
/** Where endpoints of Services really are. */
let connectService: ConnectService;

beforeEach(async () => {
  clock = new ManualClock();
  connectService = connectMachine;
  api = await startTestApi({ clock, connectService: (to, signal) => connectService(to, signal) });
  hook = await startWebhookServer();
});
afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await hook[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

/** What is answered to a new ConfigMap: with `Fail`, and whether it is there with `Ignore`. */
async function answers(fields: object): Promise<{ readonly message: unknown; readonly ignored: number }> {
  const create = async () => {
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "a-" } };
    return await api.call(MAPS, { method: "POST", body });
  };
  const registered = configuration("Validating", hook, { failurePolicy: "Fail", ...fields });
  api.store.create(VALIDATING, registered);
  const { code, body } = await create();
  expect(code).toBe(500);
  api.store.update(VALIDATING, { namespace: "", name: "test" }, (current) => ({
    ...current,
    ...configuration("Validating", hook, { ...fields, failurePolicy: "Ignore" }),
    metadata: current.metadata,
  }));
  return { message: body["message"], ignored: (await create()).code };
}

/** A server that does to each connection what it is told. */
async function listening(
  onConnection: (socket: Socket) => void,
): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer(onConnection);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The server has a port");
  return { port: address.port, server };
}

function url(port: number, host = "127.0.0.1"): { readonly clientConfig: object } {
  return { clientConfig: { url: `https://${host}:${port}/hook`, caBundle: hook.caBundle } };
}

describe("a webhook that cannot be asked", () => {
  test("because nobody listens", async () => {
    const { port, server } = await listening((socket) => socket.destroy());
    await new Promise((resolve) => server.close(resolve));
    expect(await answers(url(port))).toEqual({
      message: `${FAILED}failed to call webhook: Post "https://127.0.0.1:${port}/hook?timeout=10s": dial tcp 127.0.0.1:${port}: connect: connection refused`,
      ignored: 201,
    });
  });

  test("because its name means nothing", async () => {
    expect(await answers(url(8443, "hook.invalid"))).toEqual({
      message: `${FAILED}failed to call webhook: Post "https://hook.invalid:8443/hook?timeout=10s": dial tcp: lookup hook.invalid: no such host`,
      ignored: 201,
    });
  });

  test("because it hangs up", async () => {
    const { port, server } = await listening((socket) => socket.destroy());
    const { message, ignored } = await answers(url(port));
    expect(message).toStartWith(
      `${FAILED}failed to call webhook: Post "https://127.0.0.1:${port}/hook?timeout=10s": `,
    );
    expect(ignored).toBe(201);
    server.close();
  });

  test("because it speaks no TLS", async () => {
    const { port, server } = await listening((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    const { message } = await answers(url(port));
    expect(message).toEndWith("http: server gave HTTP response to HTTPS client");
    server.close();
  });

  test("because its certificate is nobody's", async () => {
    const { message, ignored } = await answers({
      clientConfig: { url: `https://127.0.0.1:${hook.port}/hook` },
    });
    expect(message).toEndWith(
      "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    );
    expect(ignored).toBe(201);
    expect(hook.requests).toEqual([]);
  });

  test("because its certificate is for somebody else", async () => {
    const { message } = await answers(url(hook.port, "localhost"));
    expect(message).toEndWith(
      "tls: failed to verify certificate: x509: certificate is valid for hook.default.svc, injector.mesh.svc, not localhost",
    );
    expect(hook.requests).toEqual([]);
  });

  test("because its certificate is of yesterday", async () => {
    await using expired = await startWebhookServer({ isExpired: true });
    const { message } = await answers(url(expired.port));
    expect(message).toEndWith("x509: certificate has expired or is not yet valid");
    expect(expired.requests).toEqual([]);
  });

  test("because its authority is none", async () => {
    const caBundle = Buffer.from("no PEM").toString("base64");
    const { message } = await answers({
      clientConfig: { url: `https://127.0.0.1:${hook.port}/hook`, caBundle },
    });
    expect(message).toEndWith("unable to load root certificates: unable to parse bytes as PEM block");
  });

  test("in time", async () => {
    const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const held = Promise.withResolvers<void>();
    hook.answer = async () => {
      asked[hook.requests.length === 1 ? 0 : 1].resolve();
      await held.promise;
      return { allowed: false };
    };
    const answered = answers({ timeoutSeconds: 3 });
    for (const { promise } of asked) {
      await promise;
      clock.advance(3000);
    }
    expect(await answered).toEqual({
      message: `${FAILED}failed to call webhook: Post "https://127.0.0.1:${hook.port}/hook?timeout=3s": context deadline exceeded`,
      ignored: 201,
    });
    held.resolve();
  });
});

describe("an answer that is none", () => {
  const failed = `${FAILED}failed to call webhook: `;
  test.each<[string, () => Response, string]>([
    [
      "no JSON",
      () => new Response("no"),
      `${failed}couldn't get version/kind; json parse error: invalid character 'o' in literal null (expecting 'u')`,
    ],
    [
      "nothing",
      () => new Response(""),
      `${failed}couldn't get version/kind; json parse error: unexpected end of JSON input`,
    ],
    [
      "another's uid",
      () =>
        Response.json({
          apiVersion: "admission.k8s.io/v1",
          kind: "AdmissionReview",
          response: { uid: "x", allowed: true },
        }),
      `${FAILED}received invalid webhook response: expected response.uid=`,
    ],
    [
      "a failure",
      () => new Response("oops\n", { status: 500 }),
      `${failed}an error on the server ("oops") has prevented the request from succeeding`,
    ],
    [
      "a failure in JSON",
      () => Response.json({ a: "b" }, { status: 502 }),
      `${failed}an error on the server ("unknown") has prevented the request from succeeding`,
    ],
    [
      "nobody there",
      () => new Response("", { status: 404 }),
      `${failed}the server could not find the requested resource`,
    ],
    [
      "not now",
      () => new Response("", { status: 503 }),
      `${failed}the server is currently unable to handle the request`,
    ],
    [
      "somewhere else",
      () => Response.redirect("https://127.0.0.1/other", 307),
      `${failed}the server responded with the status code 307 but did not return more details`,
    ],
    [
      "without end",
      () =>
        new Response(
          new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)) }),
        ),
      `${failed}the answer has more than 4194304 bytes`,
    ],
  ])("%s", async (_, respond, message) => {
    hook.answer = respond;
    const answered = await answers({});
    expect(answered.message).toStartWith(message);
    expect(answered.ignored).toBe(201);
  });
});

describe("a webhook behind a Service", () => {
  const byService = (fields: object = {}) => ({
    clientConfig: { service: { namespace: "default", name: "hook", ...fields }, caBundle: hook.caBundle },
  });
  const post = (path: string, body: Json) => api.call(path, { method: "POST", body });

  async function serve(spec: object = {}): Promise<void> {
    const ports = [{ name: "https", port: 443, targetPort: 8443 }];
    const { code } = await post("/api/v1/namespaces/default/services", {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "hook" },
      spec: { ports, ...spec },
    });
    expect(code).toBe(201);
  }

  function endpoint(ip: string, ready: boolean): void {
    api.store.create("endpointslices.discovery.k8s.io", {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        generateName: "hook-",
        namespace: "default",
        labels: { "kubernetes.io/service-name": "hook" },
      },
      addressType: "IPv4",
      ports: [{ name: "https", port: 8443, protocol: "TCP" }],
      endpoints: [{ addresses: [ip], conditions: { ready } }],
    });
  }

  test.each<[string, object]>([
    ["an address", {}],
    ["none", { clusterIP: "None" }],
  ])("that has %s is asked at a ready endpoint, and has to be who it says", async (_, spec) => {
    const dialled: object[] = [];
    connectService = async (to, signal) => {
      dialled.push(to);
      return await connectMachine({ ip: "127.0.0.1", port: hook.port }, signal);
    };
    await serve(spec);
    endpoint("10.244.0.7", true);
    endpoint("10.244.0.8", false);
    hook.answer = () => ({ allowed: false, status: { message: "reached" } });
    api.store.create(VALIDATING, configuration("Validating", hook, byService({ path: "/v/" })));
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } };
    expect((await post(MAPS, body)).body["message"]).toEndWith("denied the request: reached");
    expect(dialled).toEqual([{ ip: "10.244.0.7", port: 8443 }]);
    expect(hook.paths).toEqual(["/v?timeout=10s kube-apiserver-admission"]);
  });

  test("that is called as nobody certifies is not asked", async () => {
    connectService = (_, signal) => connectMachine({ ip: "127.0.0.1", port: hook.port }, signal);
    await post("/api/v1/namespaces/default/services", {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "other" },
      spec: { ports: [{ name: "https", port: 443, targetPort: 8443 }] },
    });
    api.store.create("endpointslices.discovery.k8s.io", {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "other-1", namespace: "default", labels: { "kubernetes.io/service-name": "other" } },
      addressType: "IPv4",
      ports: [{ name: "https", port: 8443, protocol: "TCP" }],
      endpoints: [{ addresses: ["10.244.0.7"] }],
    });
    const { message } = await answers(byService({ name: "other" }));
    expect(message).toEndWith(
      "certificate is valid for hook.default.svc, injector.mesh.svc, not other.default.svc",
    );
    expect(hook.requests).toEqual([]);
  });

  test("that is not there, or has nobody behind it, or not at that port", async () => {
    const at = (port: number, why: string) =>
      `${FAILED}failed to call webhook: Post "https://hook.default.svc:${port}/?timeout=10s": ${why}`;
    expect(await answers(byService())).toEqual({
      message: at(443, 'service "hook" not found'),
      ignored: 201,
    });
    api.store.delete(VALIDATING, { namespace: "", name: "test" });
    await serve();
    endpoint("10.244.0.8", false);
    expect((await answers(byService())).message).toBe(at(443, 'no endpoints available for service "hook"'));
    api.store.delete(VALIDATING, { namespace: "", name: "test" });
    expect((await answers(byService({ port: 8443 }))).message).toBe(
      at(8443, 'no service port 8443 found for service "hook"'),
    );
  });

  test("outside of the cluster is none", async () => {
    await serve({ type: "ExternalName", externalName: "example.com" });
    expect((await answers(byService())).message).toEndWith('unsupported service type "ExternalName"');
  });

  test("whose pod does not answer", async () => {
    await serve();
    endpoint("10.244.0.7", true);
    connectService = () => Promise.reject(Object.assign(new Error("no"), { code: "EHOSTUNREACH" }));
    expect((await answers(byService())).message).toEndWith(
      "dial tcp 10.244.0.7:8443: connect: no route to host",
    );
  });
});

test("a client that leaves takes its question along", async () => {
  const asked = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const { port, server } = await listening((socket) => {
    socket.on("error", () => undefined).once("close", () => left.resolve());
    socket.once("data", () => asked.resolve());
  });
  api.store.create(VALIDATING, configuration("Validating", hook, url(port)));
  const leave = new AbortController();
  const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } };
  const answer = api.call(MAPS, { method: "POST", body, signal: leave.signal });
  await asked.promise;
  leave.abort();
  await expect(answer).rejects.toThrow();
  await left.promise;
  expect(api.store.get("configmaps", { namespace: "default", name: "a" })).toBeUndefined();
  server.close();
});

test("a cluster that ends waits for no webhook", async () => {
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  hook.answer = async () => {
    asked.resolve();
    await held.promise;
    return { allowed: true };
  };
  api.store.create(VALIDATING, configuration("Validating", hook, { timeoutSeconds: 30 }));
  const metadata = { name: "a", namespace: "default" };
  const creation = api.server.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata });
  const refused = creation.then(
    () => "created",
    (error: unknown) => messageOf(error),
  );
  await asked.promise;
  await api.server.close();
  expect(await refused).toEndWith("context canceled");
  expect(api.store.get("configmaps", metadata)).toBeUndefined();
  expect(clock.pending).toBe(0);
  held.resolve();
});

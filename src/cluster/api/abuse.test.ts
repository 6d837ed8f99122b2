import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CallOptions, startTestApi, type TestApi } from "./api.test-support.ts";
import { MAX_BODY_BYTES } from "./request-body.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

function configMap(name: string): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name } };
}

const REFUSED: readonly (readonly [string, string, CallOptions, readonly [number, string, string]])[] = [
  ["no token", "/api/v1/pods", { headers: { Authorization: "" } }, [401, "Unauthorized", "Unauthorized"]],
  [
    "a wrong token",
    "/api",
    { headers: { Authorization: "Bearer x" } },
    [401, "Unauthorized", "Unauthorized"],
  ],
  [
    "another scheme",
    "/api",
    { headers: { Authorization: "Basic eDp5" } },
    [401, "Unauthorized", "Unauthorized"],
  ],
  [
    "another site's name in Host",
    "/version",
    { headers: { Host: "evil.example:80" } },
    [403, "Forbidden", 'Host "evil.example:80" is not a name of this cluster; use 127.0.0.1 or localhost'],
  ],
  [
    "a page's Origin",
    "/version",
    { headers: { Origin: "https://evil.example" } },
    [403, "Forbidden", "requests from web pages are not allowed"],
  ],
  [
    "a path that is not UTF-8",
    "/api/v1/%ff",
    {},
    [400, "BadRequest", 'the path "/api/v1/%ff" is not a valid URL path'],
  ],
  [
    "a name that leaves its place",
    `${CONFIG_MAPS}/..%2f..%2fsecrets`,
    {},
    [400, "BadRequest", "invalid resource name \"../../secrets\": [may not contain '/']"],
  ],
  [
    "an unknown resource",
    "/api/v1/namespaces/default/bogus",
    {},
    [404, "NotFound", "the server could not find the requested resource"],
  ],
  [
    "an unknown group",
    "/apis/example.com/v1/things",
    {},
    [404, "NotFound", "the server could not find the requested resource"],
  ],
  [
    "a subresource that is not served",
    "/api/v1/namespaces/default/pods/x/proxy",
    { method: "POST" },
    [405, "MethodNotAllowed", "pillion: pods/proxy is not served yet"],
  ],
  [
    "a method without a verb",
    CONFIG_MAPS,
    { method: "PUT", body: configMap("x") },
    [405, "MethodNotAllowed", "the server does not allow this method on the requested resource"],
  ],
  [
    "text that is not JSON",
    CONFIG_MAPS,
    { method: "POST", body: "nonsense" },
    [
      400,
      "BadRequest",
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'o' in literal null (expecting 'u') (6e6f6e73656e7365)",
    ],
  ],
  [
    "an empty body",
    CONFIG_MAPS,
    { method: "POST", body: "" },
    [
      400,
      "BadRequest",
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
    ],
  ],
  [
    "bytes that are no protobuf message",
    CONFIG_MAPS,
    {
      method: "POST",
      body: "k8s\0\xff\xff",
      headers: { "Content-Type": "application/vnd.kubernetes.protobuf" },
    },
    [400, "BadRequest", "the object provided is unrecognized (must be of type ConfigMap): "],
  ],
  [
    "broken YAML",
    CONFIG_MAPS,
    { method: "POST", body: "a: [", headers: { "Content-Type": "application/yaml" } },
    [
      400,
      "BadRequest",
      "the object provided is unrecognized (must be of type ConfigMap): error converting YAML to JSON: yaml: ",
    ],
  ],
  [
    "YAML whose aliases multiply",
    CONFIG_MAPS,
    { method: "POST", body: billionLaughs(), headers: { "Content-Type": "application/yaml" } },
    [
      400,
      "BadRequest",
      "the object provided is unrecognized (must be of type ConfigMap): error converting YAML to JSON: yaml: ",
    ],
  ],
  [
    "JSON nested beyond reason",
    CONFIG_MAPS,
    { method: "POST", body: `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}` },
    [
      400,
      "BadRequest",
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; ",
    ],
  ],
  [
    "another kind than the path's",
    CONFIG_MAPS,
    { method: "POST", body: { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } } },
    [
      400,
      "BadRequest",
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    ],
  ],
  [
    "a compressed body",
    CONFIG_MAPS,
    { method: "POST", body: configMap("x"), headers: { "Content-Encoding": "gzip" } },
    [415, "UnsupportedMediaType", 'the request body is encoded as "gzip", which is not supported'],
  ],
  [
    "an unknown media type",
    CONFIG_MAPS,
    { method: "POST", body: "<x/>", headers: { "Content-Type": "text/xml" } },
    [
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    ],
  ],
  [
    "an answer in XML",
    CONFIG_MAPS,
    { headers: { Accept: "text/xml" } },
    [
      406,
      "NotAcceptable",
      "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    ],
  ],
  [
    "a limit that is no number",
    `${CONFIG_MAPS}?limit=many`,
    {},
    [400, "BadRequest", 'strconv.ParseInt: parsing "many": invalid syntax'],
  ],
  [
    "an unknown dryRun",
    `${CONFIG_MAPS}?dryRun=Some`,
    { method: "POST", body: configMap("x") },
    [
      422,
      "Invalid",
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    ],
  ],
  [
    "an unknown fieldValidation",
    `${CONFIG_MAPS}?fieldValidation=Loose`,
    { method: "POST", body: configMap("x") },
    [
      422,
      "Invalid",
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Loose": supported values: "Ignore", "Strict", "Warn"',
    ],
  ],
  [
    "an unknown includeObject",
    `${CONFIG_MAPS}?includeObject=All`,
    { headers: { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } },
    [400, "BadRequest", 'unrecognized includeObject value: "All"'],
  ],
  [
    "a label selector that cannot be parsed",
    `${CONFIG_MAPS}?labelSelector=a+in`,
    {},
    [400, "BadRequest", "unable to parse requirement: "],
  ],
  [
    "a field that cannot be selected by",
    `${CONFIG_MAPS}?fieldSelector=data.x%3Dy`,
    {},
    [400, "BadRequest", '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"'],
  ],
  [
    "a continue token of nobody's",
    `${CONFIG_MAPS}?limit=1&continue=zzz`,
    {},
    [400, "BadRequest", "invalid continue token: continue key is not valid"],
  ],
  [
    "a watch that sends initial events without saying from when",
    `${CONFIG_MAPS}?watch=true&sendInitialEvents=true`,
    {},
    [
      422,
      "Invalid",
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    ],
  ],
];

function billionLaughs(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 9; i += 1) lines.push(`a${i}: &a${i} [${`*a${i - 1}, `.repeat(8)}*a${i - 1}]`);
  return lines.join("\n");
}

describe("refuses, with a Status,", () => {
  test.each(REFUSED)("%s", async (_, path, options, [code, reason, message]) => {
    const response = await api.call(path, options);
    expect(response.body).toMatchObject({
      kind: "Status",
      apiVersion: "v1",
      status: "Failure",
      code,
      reason,
    });
    expect(response.code).toBe(code);
    expect(response.body["message"]).toStartWith(message);
    expect(api.bugs).toEqual([]);
  });
});

test("a path with dots is not walked: it names nothing", async () => {
  const socket = await api.connect();
  socket.write(
    `GET /healthz/../api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.pki.token}\r\nConnection: close\r\n\r\n`,
  );
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  expect(text).toStartWith("HTTP/1.1 404");
});

test("health and version need no token, and nothing else goes without", async () => {
  const open = { headers: { Authorization: "" } };
  const codes = async (paths: readonly string[]) =>
    await Promise.all(paths.map(async (path) => (await api.fetch(path, open)).status));
  expect(await codes(["/healthz", "/livez", "/readyz", "/version"])).toEqual([200, 200, 200, 200]);
  const closed = ["/", "/api", "/apis", "/openapi/v3", "/api/v1/pods", "/pillion/v1/stop", "/metrics", "/x"];
  expect(await codes(closed)).toEqual(closed.map(() => 401));
});

test("a body of exactly the limit is read, one byte more is RequestEntityTooLarge", async () => {
  const head = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"x":"';
  const body = (size: number) => `${head}${"x".repeat(size - head.length - 3)}"}}`;
  const send = async (size: number) =>
    await api.call(`${CONFIG_MAPS}?dryRun=All`, { method: "POST", body: body(size) });
  expect((await send(MAX_BODY_BYTES)).body["reason"]).not.toBe("RequestEntityTooLarge");
  expect((await send(MAX_BODY_BYTES + 1)).body).toMatchObject({
    code: 413,
    reason: "RequestEntityTooLarge",
    message: "Request entity too large: limit is 3145728",
  });
});

/** What is reachable: the process's own size also holds what earlier tests have given back. */
function keptBytes(): number {
  Bun.gc(true);
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test.each(["Content-Length: 104857600", "Transfer-Encoding: chunked"])(
  "a body of 100 MB (%s) is answered with 413 while it is being sent, and is not kept",
  async (framing) => {
    const socket = await api.connect();
    const answer = new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data))));
    socket.on("error", () => {}); // The server may cut the connection in the end.
    let goOn = () => {};
    socket.on("drain", () => goOn());
    socket.on("close", () => goOn());
    const head = `POST ${CONFIG_MAPS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.pki.token}\r\n`;
    socket.write(`${head}Content-Type: application/json\r\n${framing}\r\n\r\n`);
    const before = keptBytes();
    const chunk = Buffer.alloc(1 << 20, "x");
    const piece = framing.includes("chunked")
      ? Buffer.concat([Buffer.from("100000\r\n"), chunk, Buffer.from("\r\n")])
      : chunk;
    for (let sent = 0; sent < 100 && socket.writable; sent += 1) {
      if (!socket.write(piece)) await new Promise<void>((resolve) => (goOn = resolve));
    }
    expect(await answer).toStartWith("HTTP/1.1 413");
    socket.destroy();
    expect(keptBytes() - before).toBeLessThan(32 << 20);
    expect((await api.call("/version")).code).toBe(200);
  },
);

test("bytes that are not HTTP close their own connection only", async () => {
  const socket = await api.connect();
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.write("\0\x01 this is not HTTP\r\n\r\n");
  socket.resume();
  await closed;
  expect((await api.call("/version")).code).toBe(200);
});

test("octets that are no UTF-8 become U+FFFD, as in Go", async () => {
  const body = Buffer.from('{"metadata":{"name":"latin"},"data":{"x":"caf\xe9"}}', "latin1");
  const response = await fetch(`${api.url}${CONFIG_MAPS}?dryRun=All`, {
    method: "POST",
    headers: { Authorization: `Bearer ${api.pki.token}`, "Content-Type": "application/json" },
    body,
    tls: { ca: api.pki.authority },
  });
  expect(await response.json()).toMatchObject({ data: { x: "caf\ufffd" } });
});

test("keys such as __proto__ are data and nothing else", async () => {
  const body = '{"metadata":{"name":"proto"},"data":{"__proto__":"x","constructor":"y"}}';
  const text = await (await api.fetch(`${CONFIG_MAPS}?dryRun=All`, { method: "POST", body })).text();
  expect(text).toContain('"data":{"__proto__":"x","constructor":"y"}');
});

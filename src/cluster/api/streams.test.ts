import { describe, expect, test } from "bun:test";
import { Problem } from "../../kernel/problem.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { KubeletPort, LogOptions } from "../kubelet/port.ts";
import { idleKubelet, startTestApi, type TestApi } from "./api.test-support.ts";
import type { ExtensionCall } from "./extension.ts";

const PODS = "/api/v1/namespaces/default/pods";

interface Asked {
  readonly options: LogOptions;
  readonly signal: AbortSignal;
}

/** A kubelet that remembers what it was asked, and answers with `chunks`. */
function scriptedKubelet(
  chunks: (asked: Asked) => AsyncIterable<Uint8Array>,
): KubeletPort & { asked: Asked[] } {
  const asked: Asked[] = [];
  return {
    ...idleKubelet,
    asked,
    async openLog(pod, options, signal) {
      if (pod.name === "waiting") {
        throw new StatusError(
          "BadRequest",
          `container "a" in pod "waiting" is waiting to start: ContainerCreating`,
        );
      }
      asked.push({ options, signal });
      return chunks({ options, signal });
    },
  };
}

async function createPod(api: TestApi, name: string, spec: object): Promise<void> {
  const { code, body } = await api.call(PODS, { method: "POST", body: { metadata: { name }, spec } });
  if (code !== 201) throw new Error(String(body["message"]));
}

const ONE = { containers: [{ name: "a", image: "x" }] };
const TWO = {
  containers: [
    { name: "a", image: "x" },
    { name: "b", image: "x" },
  ],
  initContainers: [{ name: "i", image: "x" }],
};

describe("GET pods/NAME/log", () => {
  test("hands every option to the kubelet, and its bytes to the client", async () => {
    const kubelet = scriptedKubelet(async function* () {
      yield Buffer.from("one\n");
      yield Buffer.from("two \xff\n", "latin1");
    });
    await using api = await startTestApi({ kubelet });
    await createPod(api, "two", TWO);
    const query =
      "container=i&follow=true&previous=false&timestamps=1&tailLines=5&sinceSeconds=60&limitBytes=100";
    const response = await api.fetch(`${PODS}/two/log?${query}`);
    expect(response.headers.get("content-type")).toBe("text/plain");
    expect(Buffer.from(await response.arrayBuffer()).toString("latin1")).toBe("one\ntwo \xff\n");
    expect(kubelet.asked.map(({ options }) => options)).toEqual([
      {
        container: "i",
        follow: true,
        previous: false,
        timestamps: true,
        tailLines: 5,
        sinceSeconds: 60,
        limitBytes: 100,
      },
    ]);
  });

  test("takes the only container when none is named", async () => {
    const kubelet = scriptedKubelet(async function* () {});
    await using api = await startTestApi({ kubelet });
    await createPod(api, "one", ONE);
    expect(await (await api.fetch(`${PODS}/one/log`)).text()).toBe("");
    expect(kubelet.asked.map(({ options }) => options.container)).toEqual(["a"]);
  });

  test.each([
    [
      "two",
      "",
      "a container name must be specified for pod two, choose one of: [a b] or one of the init containers: [i]",
    ],
    ["two", "container=c", "container c is not valid for pod two"],
    ["waiting", "container=a", 'container "a" in pod "waiting" is waiting to start: ContainerCreating'],
    ["absent", "", 'pods "absent" not found'],
    [
      "two",
      "container=a&tailLines=-1",
      'PodLogOptions "two" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ],
    ["two", "container=a&limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"],
    ["two", "container=a&sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"],
    [
      "two",
      "container=a&sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
      "at most one of `sinceTime` or `sinceSeconds` may be specified",
    ],
    ["two", "container=a&sinceTime=yesterday", 'parsing time "yesterday" as RFC 3339'],
    ["two", "container=a&tailLines=x", 'strconv.ParseInt: parsing "x": invalid syntax'],
  ])("of %s with %j says %j", async (name, query, message) => {
    await using api = await startTestApi({ kubelet: scriptedKubelet(async function* () {}) });
    await createPod(api, "two", TWO);
    await createPod(api, "waiting", ONE);
    const { body } = await api.call(`${PODS}/${name}/log?${query}`);
    expect(body["message"]).toContain(message);
  });

  test("goes no faster than its reader, and tells the kubelet when the reader leaves", async () => {
    const progress = { written: 0 };
    const kubelet = scriptedKubelet(async function* ({ signal }) {
      while (!signal.aborted) {
        progress.written += 65_536;
        yield Buffer.alloc(65_536, "x");
      }
    });
    await using api = await startTestApi({ kubelet });
    await createPod(api, "one", ONE);
    const socket = await api.connect();
    socket.on("error", () => {});
    socket.pause();
    socket.write(
      `GET ${PODS}/one/log?follow=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.pki.token}\r\n\r\n`,
    );
    // The kernel's buffers fill, and then nothing moves any more.
    for (let before = -1; progress.written === 0 || progress.written !== before; await Bun.sleep(50)) {
      before = progress.written;
    }
    expect(progress.written).toBeLessThan(32 << 20);
    const [{ signal } = expect.unreachable()] = kubelet.asked;
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    socket.destroy();
    await aborted;
  });

  test("that ends with an error breaks the connection off, so that nobody takes it for the whole log", async () => {
    const kubelet = scriptedKubelet(async function* () {
      yield Buffer.from("first\n");
      throw new Error("the disk is gone");
    });
    await using api = await startTestApi({ kubelet });
    await createPod(api, "one", ONE);
    const read = async () => await (await api.fetch(`${PODS}/one/log`)).text();
    expect(await read().catch(() => "broken off")).toBe("broken off");
    expect(api.bugs).toHaveLength(1);
  });
});

describe("extensions", () => {
  const calls: ExtensionCall[] = [];
  const extension = {
    prefix: "/pillion/v1/",
    async *handle(call: ExtensionCall) {
      calls.push(call);
      if (call.path === "refused") {
        throw new Problem({ code: "E_X", message: "Cannot do x: y is so", fix: "Do z" });
      }
      yield { line: 1 };
      yield { line: 2 };
    },
  };

  test("get method, path and body, and answer line by line", async () => {
    await using api = await startTestApi({ extensions: [extension] });
    const response = await api.fetch("/pillion/v1/images/pull?force=true", {
      method: "POST",
      body: { name: "x" },
    });
    expect([response.headers.get("content-type"), await response.text()]).toEqual([
      "application/x-ndjson",
      '{"line":1}\n{"line":2}\n',
    ]);
    expect(calls.at(-1)).toEqual({ method: "POST", path: "images/pull?force=true", body: { name: "x" } });
  });

  test("say no with a code and a fix, and are not reached without a token", async () => {
    await using api = await startTestApi({ extensions: [extension] });
    expect((await api.call("/pillion/v1/refused")).body).toMatchObject({
      code: 400,
      message: "Cannot do x: y is so",
      details: { causes: [{ reason: "E_X", message: "Do z" }] },
    });
    const before = calls.length;
    expect(
      (await api.call("/pillion/v1/stop", { method: "POST", headers: { Authorization: "" } })).code,
    ).toBe(401);
    expect(calls.length).toBe(before);
  });
});

test("startApi() explains a port that is taken", async () => {
  await using api = await startTestApi();
  const second = startTestApi({ port: api.server.port });
  expect(await second.catch((error: unknown) => error)).toMatchObject({
    code: "E_PORT_TAKEN",
    message: `Cannot start the API on 127.0.0.1:${api.server.port}: another process listens there`,
  });
});

test("startApi() takes the port of before when nobody else has it", async () => {
  const first = await startTestApi();
  const wishedPort = first.server.port;
  await first[Symbol.asyncDispose]();
  await using again = await startTestApi({ wishedPort });
  expect(again.server.port).toBe(wishedPort);
  await using another = await startTestApi({ wishedPort });
  expect(another.server.port).not.toBe(wishedPort);
});

test("a connection serves on after refusals and pauses, whatever was sent with the request", async () => {
  await using api = await startTestApi();
  const socket = await api.connect();
  const closed = { yet: false };
  socket.once("close", () => (closed.yet = true));
  const answers = { text: "" };
  socket.on("data", (data) => (answers.text += String(data)));
  const body = JSON.stringify({ metadata: { name: "kept" } });
  const head = (line: string, token: string) =>
    `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const statusesAfter = async (request: string, count: number) => {
    socket.write(request);
    while ((answers.text.match(/HTTP\/1\.1 /g) ?? []).length < count) await Bun.sleep(1);
    return answers.text.match(/(?<=HTTP\/1\.1 )\d+/g);
  };
  const path = "/api/v1/namespaces/default/configmaps";
  expect(await statusesAfter(head(`POST ${path}`, "wrong"), 1)).toEqual(["401"]);
  expect(await statusesAfter(head(`GET ${path}`, api.pki.token), 2)).toEqual(["401", "200"]);
  await Bun.sleep(700); // Longer than a refused client's connection lingers.
  expect(closed.yet).toBe(false);
  expect(await statusesAfter(head(`POST ${path}`, api.pki.token), 3)).toEqual(["401", "200", "201"]);
  socket.destroy();
});

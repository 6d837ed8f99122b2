import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Json, startTestApi, type TestApi } from "../api.test-support.ts";
import {
  configuration,
  patched,
  startWebhookServer,
  type WebhookServer,
} from "./webhook-server.test-support.ts";

const DEFAULT = "/api/v1/namespaces/default";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const CONFIGURATIONS = "admissionregistration.k8s.io";

let api: TestApi;
let hook: WebhookServer;

beforeEach(async () => {
  api = await startTestApi();
  hook = await startWebhookServer();
});
afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await hook[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

async function post(path: string, body: Json) {
  return await api.call(path, { method: "POST", body });
}

function register(type: "Mutating" | "Validating", resources: string, fields: object = {}): void {
  const rules = [{ operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: [resources] }];
  const resource = `${type.toLowerCase()}webhookconfigurations.${CONFIGURATIONS}`;
  api.store.create(resource, configuration(type, hook, { rules, ...fields }));
}

async function addPod(name: string): Promise<void> {
  const spec = { containers: [{ name: "main", image: "main" }] };
  const { code } = await post(`${DEFAULT}/pods`, { apiVersion: "v1", kind: "Pod", metadata: { name }, spec });
  expect(code).toBe(201);
}

function denying(message: string): void {
  hook.answer = () => ({ allowed: false, status: { message, code: 403, reason: "Forbidden" } });
}

const DENIED = 'admission webhook "test.example.com" denied the request';

describe("webhooks see", () => {
  test("evictions", async () => {
    await addPod("p");
    denying("not now");
    register("Validating", "pods/eviction");
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "p" } };
    const evict = () => post(`${DEFAULT}/pods/p/eviction`, eviction);
    expect((await evict()).body).toMatchObject({ message: `${DENIED}: not now`, code: 403 });
    expect(hook.requests).toMatchObject([
      {
        operation: "CREATE",
        subResource: "eviction",
        kind: { group: "policy", version: "v1", kind: "Eviction" },
        resource: { group: "", resource: "pods" },
        name: "p",
        object: { kind: "Eviction", metadata: { name: "p" } },
      },
    ]);
    hook.answer = () => ({ allowed: true });
    expect((await evict()).code).toBe(201);
    // The pod's end is not a deletion of its own.
    expect(hook.requests).toHaveLength(2);
  });

  test("tokens that are asked for", async () => {
    api.store.create("serviceaccounts", {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "robot", namespace: "default" },
    });
    hook.answer = () => patched([{ op: "replace", path: "/spec/expirationSeconds", value: 700 }]);
    register("Mutating", "serviceaccounts/token");
    const spec = { expirationSeconds: 9000, audiences: ["a"] };
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    const answer = await post(`${DEFAULT}/serviceaccounts/robot/token`, body);
    expect(answer.body).toMatchObject({ spec: { expirationSeconds: 700, audiences: ["a"] } });
  });

  test("bindings", async () => {
    await addPod("p");
    denying("somewhere else");
    register("Validating", "pods/binding");
    const binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "p" },
      target: { kind: "Node", name: "node-1" },
    };
    const { body } = await post(`${DEFAULT}/pods/p/binding`, binding);
    expect(body).toMatchObject({ message: `${DENIED}: somewhere else` });
  });

  test("connections", async () => {
    await addPod("p");
    denying("keep out");
    register("Validating", "pods/exec");
    const socket = await api.connect();
    const query = "container=main&command=ls&command=-l&stdout=true&tty=false";
    const lines = [
      `GET ${DEFAULT}/pods/p/exec?${query} HTTP/1.1`,
      `Host: 127.0.0.1:${api.server.port}`,
      `Authorization: Bearer ${api.pki.token}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol: v5.channel.k8s.io",
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    expect(text).toStartWith("HTTP/1.1 403 Forbidden");
    expect(text).toContain("denied the request: keep out");
    expect(hook.requests).toMatchObject([
      {
        operation: "CONNECT",
        subResource: "exec",
        kind: { kind: "PodExecOptions" },
        name: "p",
        namespace: "default",
        object: { kind: "PodExecOptions", container: "main", command: ["ls", "-l"], stdout: true },
        oldObject: null,
        options: null,
      },
    ]);
    expect(hook.requests[0]?.object).not.toHaveProperty("tty");
  });
});

describe("webhooks and custom resources", () => {
  const schema = {
    openAPIV3Schema: {
      type: "object",
      properties: {
        spec: {
          type: "object",
          properties: { size: { type: "integer", maximum: 9 }, color: { type: "string", default: "blue" } },
        },
      },
    },
  };
  const version = (name: string, storage: boolean) => ({ name, served: true, storage, schema });
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "shops.example.com" },
    spec: {
      group: "example.com",
      names: { plural: "shops", singular: "shop", kind: "Shop", listKind: "ShopList" },
      scope: "Namespaced",
      versions: [version("v1", true), version("v2", false)],
    },
  };
  const SHOPS = "/apis/example.com/v1/namespaces/default/shops";
  const shop = (spec: object) => ({
    apiVersion: "example.com/v1",
    kind: "Shop",
    metadata: { name: "a" },
    spec,
  });

  beforeEach(async () => {
    expect((await post(CRDS, definition)).code).toBe(201);
  });

  test("change what is created, which is completed and checked behind them", async () => {
    hook.answer = () => patched([{ op: "add", path: "/spec", value: { size: 3, unknown: "x" } }]);
    register("Mutating", "shops");
    const { body } = await post(SHOPS, shop({ size: 1 }));
    expect(body).toMatchObject({ spec: { size: 3, color: "blue" } });
    expect(body["spec"]).not.toHaveProperty("unknown");
    hook.answer = () => patched([{ op: "replace", path: "/spec/size", value: 10 }]);
    const change = await api.call(`${SHOPS}/a`, {
      method: "PATCH",
      body: { spec: { color: "red" } },
      headers: { "Content-Type": "application/merge-patch+json" },
    });
    expect(change.code).toBe(422);
    expect(hook.requests[1]).toMatchObject({
      oldObject: { spec: { size: 3 } },
      object: { spec: { color: "red" } },
    });
  });

  test("see them in the version that they know, and delete them", async () => {
    const seen: unknown[] = [];
    hook.answer = ({ operation, object, oldObject, kind, requestResource }) => {
      seen.push([operation, (object ?? oldObject)?.apiVersion, kind.version, requestResource.version]);
      return operation === "CREATE"
        ? patched([{ op: "add", path: "/spec/size", value: 4 }])
        : { allowed: true };
    };
    const rules = [
      { operations: ["*"], apiGroups: ["example.com"], apiVersions: ["v2"], resources: ["shops"] },
    ];
    register("Mutating", "shops", { rules });
    expect((await post(SHOPS, shop({}))).body).toMatchObject({
      apiVersion: "example.com/v1",
      spec: { size: 4 },
    });
    expect((await api.call(`${SHOPS}/a`, { method: "DELETE" })).code).toBe(200);
    expect(seen).toEqual([
      ["CREATE", "example.com/v2", "v2", "v1"],
      ["DELETE", "example.com/v2", "v2", "v1"],
    ]);
  });
});

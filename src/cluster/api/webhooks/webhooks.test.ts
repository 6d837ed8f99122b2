import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Json, startTestApi, type TestApi } from "../api.test-support.ts";
import {
  configuration,
  patched,
  startWebhookServer,
  type WebhookServer,
} from "./webhook-server.test-support.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1";

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

async function register(...given: readonly ReturnType<typeof configuration>[]): Promise<void> {
  for (const body of given) {
    const { code, body: answer } = await api.call(`${CONFIGURATIONS}/${body.kind.toLowerCase()}s`, {
      method: "POST",
      body,
    });
    expect({ code, answer }).toMatchObject({ code: 201 });
  }
}

function map(name: string, fields: object = {}): Json {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, ...fields };
}

async function create(body: Json, path = MAPS) {
  return await api.call(path, { method: "POST", body });
}

describe("a mutating webhook", () => {
  test("changes a new object", async () => {
    hook.answer = () => patched([{ op: "add", path: "/metadata/labels", value: { hooked: "yes" } }]);
    await register(configuration("Mutating", hook));
    const { code, body } = await create(map("a", { data: { k: "v" } }));
    expect(code).toBe(201);
    expect(body).toMatchObject({ metadata: { labels: { hooked: "yes" } }, data: { k: "v" } });
    expect(hook.paths).toEqual(["/hook?timeout=10s kube-apiserver-admission"]);
  });
});

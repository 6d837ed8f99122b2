import { expect, test } from "bun:test";
import { startTestApi, type TestApi } from "./api.test-support.ts";

const APPS = "/apis/apps/v1/namespaces/default";
const labels = { app: "web" };
const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "i" }] } };

async function createScalable(api: TestApi, path: string, kind: string): Promise<void> {
  const isOld = kind === "ReplicationController";
  const { code, body } = await api.call(path, {
    method: "POST",
    body: {
      apiVersion: isOld ? "v1" : "apps/v1",
      kind,
      metadata: { name: "web" },
      spec: {
        replicas: 2,
        selector: isOld ? labels : { matchLabels: labels },
        template,
        ...(kind === "StatefulSet" ? { serviceName: "web" } : {}),
      },
    },
  });
  expect([code, body]).toEqual([201, expect.anything()]);
}

test.each([
  ["deployments", "Deployment", APPS],
  ["replicasets", "ReplicaSet", APPS],
  ["statefulsets", "StatefulSet", APPS],
  ["replicationcontrollers", "ReplicationController", "/api/v1/namespaces/default"],
])("the scale of %s is read, replaced and patched", async (plural, kind, prefix) => {
  await using api = await startTestApi();
  await createScalable(api, `${prefix}/${plural}`, kind);
  const path = `${prefix}/${plural}/web/scale`;
  const { body: scale } = await api.call(path);
  expect(scale).toEqual({
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: {
      name: "web",
      namespace: "default",
      uid: expect.any(String),
      resourceVersion: expect.any(String),
      creationTimestamp: expect.any(String),
    },
    spec: { replicas: 2 },
    status: { replicas: 0, selector: "app=web" },
  });
  const table = await api.call(path, {
    headers: { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
  });
  expect(table.body).toMatchObject({ kind: "Table", rows: [{ cells: ["web", 2, 0, expect.any(String)] }] });
  // kubectl sends no Content-Type.
  const replaced = await api.call(path, {
    method: "PUT",
    headers: { "Content-Type": "" },
    body: { ...scale, spec: { replicas: 5 } },
  });
  expect([replaced.code, replaced.body["spec"]]).toEqual([200, { replicas: 5 }]);
  const patched = await api.call(path, {
    method: "PATCH",
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { spec: { replicas: 3 } },
  });
  expect([patched.code, patched.body["spec"]]).toEqual([200, { replicas: 3 }]);
  const { body: object } = await api.call(`${prefix}/${plural}/web`);
  expect(object).toMatchObject({ kind, metadata: { generation: 3 }, spec: { replicas: 3, template } });
});

test.each<[string, object, number, string]>([
  [
    "fewer than none",
    { spec: { replicas: -1 } },
    422,
    'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
  ],
  ["a stale version", { metadata: { resourceVersion: "1" } }, 409, "the object has been modified"],
  ["another name", { metadata: { name: "other" } }, 400, "does not match the name on the URL (web)"],
])("a patch of a scale with %s is refused", async (_what, patch, code, message) => {
  await using api = await startTestApi();
  await createScalable(api, `${APPS}/deployments`, "Deployment");
  const answer = await api.call(`${APPS}/deployments/web/scale`, {
    method: "PATCH",
    headers: { "Content-Type": "application/merge-patch+json" },
    body: patch,
  });
  expect([answer.code, answer.body["message"]]).toEqual([code, expect.stringContaining(message)]);
  const { body } = await api.call(`${APPS}/deployments/web/scale`);
  expect(body["spec"]).toEqual({ replicas: 2 });
});

test("what is not there has no scale, and a dry run changes nothing", async () => {
  await using api = await startTestApi();
  expect((await api.call(`${APPS}/deployments/none/scale`)).code).toBe(404);
  await createScalable(api, `${APPS}/deployments`, "Deployment");
  const path = `${APPS}/deployments/web/scale`;
  const tried = await api.call(`${path}?dryRun=All`, {
    method: "PATCH",
    headers: { "Content-Type": "application/json-patch+json" },
    body: [{ op: "replace", path: "/spec/replicas", value: 0 }],
  });
  expect([tried.code, tried.body["spec"]]).toEqual([200, {}]);
  expect((await api.call(path)).body["spec"]).toEqual({ replicas: 2 });
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Pod } from "../../../../generated/kubernetes.ts";
import { type Json, startTestApi, type TestApi } from "../api.test-support.ts";
import {
  configuration,
  patched,
  startWebhookServer,
  type WebhookServer,
} from "./webhook-server.test-support.ts";

const DEFAULT = "/api/v1/namespaces/default";
const MAPS = `${DEFAULT}/configmaps`;
const PODS = `${DEFAULT}/pods`;
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1";
const DENIED = 'admission webhook "test.example.com" denied the request';

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
    const at = `${CONFIGURATIONS}/${body.kind.toLowerCase()}s`;
    const { code, body: answer } = await api.call(at, { method: "POST", body });
    expect({ code, answer }).toMatchObject({ code: 201 });
  }
}

function map(name: string, fields: object = {}): Json {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, ...fields };
}

function pod(name: string): Json {
  const containers = [{ name: "main", image: "main" }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { containers } };
}

function deployment(name: string): Json {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "main" }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec };
}

async function post(path: string, body: Json) {
  return await api.call(path, { method: "POST", body });
}

async function patch(path: string, type: string, body: object) {
  const headers = { "Content-Type": `application/${type}` };
  return await api.call(path, { method: "PATCH", body, headers });
}

const rule = (resources: string, operations = ["*"], apiGroups = ["*"]) => ({
  rules: [{ operations, apiGroups, apiVersions: ["*"], resources: [resources] }],
});
const LABEL = [{ op: "add", path: "/metadata/labels", value: { hooked: "yes" } }];

describe("a mutating webhook", () => {
  test("changes a new object", async () => {
    hook.answer = () => patched(LABEL);
    await register(configuration("Mutating", hook));
    const { code, body } = await post(MAPS, map("a", { data: { k: "v" } }));
    expect(code).toBe(201);
    expect(body).toMatchObject({ metadata: { labels: { hooked: "yes" } }, data: { k: "v" } });
    expect(hook.paths).toEqual(["/hook?timeout=10s kube-apiserver-admission"]);
    expect(hook.requests).toMatchObject([
      {
        kind: { group: "", version: "v1", kind: "ConfigMap" },
        resource: { group: "", version: "v1", resource: "configmaps" },
        requestResource: { group: "", version: "v1", resource: "configmaps" },
        name: "a",
        namespace: "default",
        operation: "CREATE",
        userInfo: { groups: expect.arrayContaining(["system:masters"]) },
        object: { kind: "ConfigMap", metadata: { name: "a", namespace: "default" } },
        oldObject: null,
        dryRun: false,
        options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
      },
    ]);
  });

  test("comes behind those of configurations with smaller names, and sees what they did", async () => {
    await using second = await startWebhookServer();
    hook.answer = () => patched(LABEL);
    second.answer = ({ object }) =>
      patched([{ op: "add", path: "/data", value: { seen: object?.metadata.labels?.["hooked"] ?? "no" } }]);
    await register(
      configuration("Mutating", second, { name: "b" }),
      configuration("Mutating", hook, { name: "a" }),
    );
    expect((await post(MAPS, map("x"))).body).toMatchObject({ data: { seen: "yes" } });
  });

  test("adds a container, which gets its defaults; the pod is scheduled as it is then", async () => {
    hook.answer = () =>
      patched([
        { op: "add", path: "/spec/containers/-", value: { name: "side", image: "side" } },
        { op: "add", path: "/metadata/annotations", value: { injected: "true" } },
      ]);
    await register(configuration("Mutating", hook, rule("pods", ["CREATE"])));
    const { body } = await post(PODS, pod("p"));
    expect(body).toMatchObject({
      spec: {
        nodeName: "node-1",
        containers: [{ name: "main" }, { name: "side", terminationMessagePolicy: "File" }],
      },
    });
    // A scheduler comes later; the account was there before.
    expect(hook.requests[0]?.object?.["spec"]).toMatchObject({ serviceAccountName: "default", priority: 0 });
    expect(hook.requests[0]?.object?.["spec"]).not.toHaveProperty("nodeName");
  });

  test("is asked a second time when another has changed the object after it, if it wants to be", async () => {
    await using second = await startWebhookServer();
    const counts = (field: string) => (request: { readonly object: unknown }) => {
      const data = (request.object as { data?: Record<string, string> }).data ?? {};
      return patched([
        { op: "add", path: "/data", value: { ...data, [field]: `${Number(data[field] ?? 0) + 1}` } },
      ]);
    };
    hook.answer = counts("first");
    second.answer = counts("second");
    await register(
      configuration("Mutating", hook, { name: "a", reinvocationPolicy: "IfNeeded" }),
      configuration("Mutating", second, { name: "b", reinvocationPolicy: "Never" }),
    );
    expect((await post(MAPS, map("x"))).body).toMatchObject({ data: { first: "2", second: "1" } });
  });

  test("gets nothing past the built-in steps by what it says the second time", async () => {
    await using second = await startWebhookServer();
    hook.answer = ({ object }) =>
      object?.metadata.labels === undefined
        ? { allowed: true }
        : patched([{ op: "replace", path: "/spec/serviceAccountName", value: "nobody" }]);
    second.answer = () => patched(LABEL);
    const pods = rule("pods", ["CREATE"]);
    await register(
      configuration("Mutating", hook, { name: "a", reinvocationPolicy: "IfNeeded", ...pods }),
      configuration("Mutating", second, { name: "b", ...pods }),
    );
    const { code, body } = await post(PODS, pod("p"));
    expect({ code, body }).toMatchObject({
      code: 403,
      body: { message: expect.stringContaining("error looking up service account default/nobody") },
    });
  });

  test.each<[string, readonly object[], object]>([
    [
      "an invalid object",
      [{ op: "add", path: "/metadata/labels", value: { "a b": "c" } }],
      { code: 422, reason: "Invalid" },
    ],
    [
      "an object of another kind",
      [{ op: "replace", path: "/kind", value: "Secret" }],
      { code: 500, reason: "InternalError" },
    ],
    [
      "a wrong type",
      [{ op: "add", path: "/data", value: { a: 1 } }],
      { code: 500, message: expect.stringContaining("cannot unmarshal number") },
    ],
    [
      "another namespace",
      [{ op: "replace", path: "/metadata/namespace", value: "kube-system" }],
      { code: 400, message: expect.stringContaining("does not match the namespace") },
    ],
    [
      "what its patch does not fit",
      [{ op: "remove", path: "/data/none" }],
      {
        code: 500,
        message: expect.stringMatching(/^Internal error occurred: remove operation does not apply/),
      },
    ],
  ])("cannot make %s of it", async (_, operations, answer) => {
    hook.answer = () => patched(operations);
    // What is no failure of the call is not ignored.
    await register(configuration("Mutating", hook, { failurePolicy: "Ignore" }));
    expect((await post(MAPS, map("a"))).body).toMatchObject(answer);
    expect(api.store.list("configmaps", { namespace: "kube-system" }).items).toHaveLength(0);
  });

  test("keeps what others own, and owns nothing itself", async () => {
    hook.answer = () => patched([...LABEL, { op: "add", path: "/metadata/managedFields", value: [{}] }]);
    await register(configuration("Mutating", hook));
    const path = `${MAPS}/a?fieldManager=me`;
    const { body } = await patch(path, "apply-patch+yaml", map("a", { data: { k: "v" } }));
    expect(body).toMatchObject({
      metadata: {
        labels: { hooked: "yes" },
        managedFields: [{ manager: "me", operation: "Apply", fieldsV1: { "f:data": { "f:k": {} } } }],
      },
    });
  });

  test("takes no part in a dry run that it may not hear of, and hears of one that it may", async () => {
    await register(configuration("Mutating", hook, { sideEffects: "NoneOnDryRun" }));
    const { code } = await post(`${MAPS}?dryRun=All`, map("a"));
    expect(code).toBe(201);
    expect(hook.requests).toMatchObject([{ dryRun: true, options: { dryRun: ["All"] } }]);
    expect(api.store.get("configmaps", { namespace: "default", name: "a" })).toBeUndefined();
    // From a time when nobody checked configurations.
    const some = configuration("Validating", hook, { name: "some", sideEffects: "Some" });
    api.store.create("validatingwebhookconfigurations.admissionregistration.k8s.io", some);
    expect((await post(`${MAPS}?dryRun=All`, map("a"))).body).toMatchObject({
      code: 400,
      message: 'admission webhook "some.example.com" does not support dry run',
    });
  });
});

describe("a validating webhook", () => {
  test("refuses in its own words", async () => {
    hook.answer = () => ({ allowed: false, status: { code: 403, reason: "Forbidden", message: "not here" } });
    await register(configuration("Validating", hook));
    const { code, body } = await post(MAPS, map("a"));
    expect(code).toBe(403);
    expect(body).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      reason: "Forbidden",
      message: `${DENIED}: not here`,
      code: 403,
    });
    expect(api.store.get("configmaps", { namespace: "default", name: "a" })).toBeUndefined();
  });

  test("warns", async () => {
    hook.answer = () => ({ allowed: true, warnings: ["mind the gap"] });
    await register(configuration("Validating", hook));
    const { headers } = await post(MAPS, map("a"));
    expect(headers.get("warning")).toBe('299 - "mind the gap"');
  });

  test("sees the object as it will be: named, and with what it is given", async () => {
    await register(configuration("Validating", hook, rule("services")));
    const ports = [{ port: 80 }];
    const metadata = { generateName: "svc-" };
    const { body } = await post(`${DEFAULT}/services`, {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { ports },
    });
    const { name, clusterIP } = { ...(body["metadata"] as Json), ...(body["spec"] as Json) };
    expect(hook.requests).toMatchObject([{ object: { metadata: { name }, spec: { clusterIP } } }]);
    expect(hook.requests[0]).not.toHaveProperty("name");
  });

  test("does not see what is wrong anyway", async () => {
    await register(configuration("Validating", hook));
    const { code } = await post(MAPS, { ...map("a"), metadata: { name: "A" } });
    expect(code).toBe(422);
    const { body } = await post("/api/v1/namespaces/none/configmaps", map("a"));
    expect(body).toMatchObject({ code: 404, message: 'namespaces "none" not found' });
    await post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "going" } });
    await api.call("/api/v1/namespaces/going", { method: "DELETE" });
    const late = await post("/api/v1/namespaces/going/configmaps", map("a"));
    expect(late.body).toMatchObject({ code: 403, message: expect.stringContaining("is being terminated") });
    expect(hook.requests).toEqual([]);
  });

  test("is one of several, each of which may refuse", async () => {
    await using second = await startWebhookServer();
    second.answer = () => ({ allowed: false });
    await register(
      configuration("Validating", hook, { name: "a" }),
      configuration("Validating", second, { name: "b" }),
    );
    expect((await post(MAPS, map("a"))).body).toMatchObject({
      code: 400,
      message: 'admission webhook "b.example.com" denied the request without explanation',
    });
    expect(hook.requests).toHaveLength(1);
  });

  test("must not change anything", async () => {
    hook.answer = () => patched(LABEL);
    await register(configuration("Validating", hook));
    expect((await post(MAPS, map("a"))).body).toMatchObject({
      message:
        'Internal error occurred: failed calling webhook "test.example.com": received invalid webhook response: validating webhook may not return response.patch',
    });
  });

  test("may understand v1beta1 only", async () => {
    hook.answer = () => Response.json({ response: { allowed: false, status: { message: "old" } } });
    await register(configuration("Validating", hook, { admissionReviewVersions: ["v2", "v1beta1"] }));
    expect((await post(MAPS, map("a"))).body).toMatchObject({ message: `${DENIED}: old` });
  });
});

describe("changes", () => {
  const update = (name: string, body: Json) => api.call(`${MAPS}/${name}`, { method: "PUT", body });

  test("by PUT, patch and apply are seen with the object before", async () => {
    await post(MAPS, map("a", { data: { k: "1" } }));
    hook.answer = () => patched(LABEL);
    await register(configuration("Mutating", hook));
    const answers = [
      await update("a", map("a", { data: { k: "2" } })),
      await patch(`${MAPS}/a`, "merge-patch+json", { data: { k: "3" } }),
      await patch(`${MAPS}/a`, "json-patch+json", [{ op: "replace", path: "/data/k", value: "4" }]),
      await patch(`${MAPS}/a?fieldManager=me&force=true`, "apply-patch+yaml", map("a", { data: { k: "5" } })),
    ];
    expect(answers.map(({ code }) => code)).toEqual([200, 200, 200, 200]);
    expect(hook.requests).toMatchObject(
      ["2", "3", "4", "5"].map((k, index) => ({
        operation: "UPDATE",
        name: "a",
        object: { data: { k } },
        oldObject: { data: { k: `${index + 1}` } },
        options: { kind: "UpdateOptions" },
      })),
    );
    const stored = api.store.get("configmaps", { namespace: "default", name: "a" });
    expect(stored).toMatchObject({ data: { k: "5" }, metadata: { labels: { hooked: "yes" } } });
  });

  test("of a status are those of the subresource", async () => {
    await post(DEPLOYMENTS, deployment("d"));
    hook.answer = () => ({ allowed: false, status: { message: "no status" } });
    await register(configuration("Validating", hook, rule("deployments/status")));
    const status = { status: { replicas: 1 } };
    expect((await patch(`${DEPLOYMENTS}/d`, "merge-patch+json", { spec: { replicas: 2 } })).code).toBe(200);
    const refused = await patch(`${DEPLOYMENTS}/d/status`, "merge-patch+json", status);
    expect(refused.body).toMatchObject({ message: `${DENIED}: no status` });
    expect(hook.requests).toMatchObject([
      { subResource: "status", kind: { kind: "Deployment" }, object: { status: { replicas: 1 } } },
    ]);
  });

  test("of a scale are seen, and made, as a Scale", async () => {
    await post(DEPLOYMENTS, deployment("d"));
    hook.answer = ({ object }) => {
      expect(object?.["spec"]).toEqual({ replicas: 9 });
      return patched([{ op: "replace", path: "/spec/replicas", value: 3 }]);
    };
    await register(configuration("Mutating", hook, rule("deployments/scale")));
    const { body } = await patch(`${DEPLOYMENTS}/d/scale`, "merge-patch+json", { spec: { replicas: 9 } });
    expect(body).toMatchObject({ kind: "Scale", spec: { replicas: 3 } });
    expect(hook.requests).toMatchObject([
      {
        subResource: "scale",
        kind: { group: "autoscaling", version: "v1", kind: "Scale" },
        resource: { group: "apps", resource: "deployments" },
        oldObject: { kind: "Scale", spec: { replicas: 1 } },
      },
    ]);
    const stored = api.store.get("deployments.apps", { namespace: "default", name: "d" });
    expect(stored).toMatchObject({ spec: { replicas: 3 } });
  });

  test("begin again when they were overtaken, but not for ever", async () => {
    await post(MAPS, map("a", { data: { n: "0" } }));
    const overtake = () => {
      const next = (current: Json) => {
        const data = current["data"] as { readonly n: string };
        return { ...current, data: { n: String(Number(data.n) + 1) } };
      };
      api.store.update("configmaps", { namespace: "default", name: "a" }, (current) => ({
        ...current,
        ...next(current),
      }));
    };
    let times = 3;
    hook.answer = () => {
      if (times-- > 0) overtake();
      return patched(LABEL);
    };
    await register(configuration("Mutating", hook));
    const answer = await patch(`${MAPS}/a`, "merge-patch+json", { data: { more: "yes" } });
    expect(answer.body).toMatchObject({
      data: { n: "3", more: "yes" },
      metadata: { labels: { hooked: "yes" } },
    });
    expect(hook.requests).toHaveLength(4);
    times = Number.POSITIVE_INFINITY;
    expect((await patch(`${MAPS}/a`, "merge-patch+json", { data: { more: "no" } })).body).toMatchObject({
      code: 409,
      message:
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    });
    expect(hook.requests).toHaveLength(9);
  });

  test("that come at once are all there, or refused", async () => {
    await post(MAPS, map("a", { data: {} }));
    hook.answer = async ({ uid }) => {
      // In an order of their own.
      for (let turns = Number.parseInt(uid.slice(0, 2), 16) % 8; turns > 0; turns--) await Promise.resolve();
      return patched(LABEL);
    };
    await using judge = await startWebhookServer();
    await register(configuration("Mutating", hook), configuration("Validating", judge));
    const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`);
    const answers = await Promise.all(
      keys.map((key) => patch(`${MAPS}/a`, "merge-patch+json", { data: { [key]: "here" } })),
    );
    const done = keys.filter((_, index) => answers[index]?.code === 200);
    expect(answers.filter(({ code }) => code !== 200 && code !== 409)).toEqual([]);
    expect(done.length).toBeGreaterThan(0);
    const stored = api.store.get("configmaps", { namespace: "default", name: "a" });
    expect(Object.keys(stored?.["data"] as object).toSorted()).toEqual(done.toSorted());
  });

  test("of a version that is gone meanwhile are conflicts", async () => {
    const { body } = await post(MAPS, map("a"));
    const { resourceVersion } = body["metadata"] as { readonly resourceVersion: string };
    hook.answer = () => {
      api.store.update("configmaps", { namespace: "default", name: "a" }, (current) => ({
        ...current,
        data: { other: "was first" },
      }));
      return { allowed: true };
    };
    await register(configuration("Validating", hook));
    const mine = { ...map("a", { data: { mine: "x" } }), metadata: { name: "a", resourceVersion } };
    expect((await update("a", mine)).body).toMatchObject({ code: 409, reason: "Conflict" });
    const stored = api.store.get("configmaps", { namespace: "default", name: "a" });
    expect(stored?.["data"]).toEqual({ other: "was first" });
  });

  test("may find that another has created meanwhile what they were to create", async () => {
    hook.answer = ({ operation }) => {
      if (operation === "CREATE") {
        const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "default" } };
        api.store.create("configmaps", { ...object, data: { theirs: "1" } });
      }
      return { allowed: true };
    };
    await register(configuration("Validating", hook));
    const path = `${MAPS}/a?fieldManager=me`;
    const applied = await patch(path, "apply-patch+yaml", map("a", { data: { mine: "2" } }));
    expect(applied).toMatchObject({ code: 200, body: { data: { theirs: "1", mine: "2" } } });
    expect(hook.requests.map(({ operation }) => operation)).toEqual(["CREATE", "UPDATE"]);
    api.store.delete("configmaps", { namespace: "default", name: "a" });
    expect((await post(MAPS, map("a"))).body).toMatchObject({ reason: "AlreadyExists" });
  });

  test("by ephemeral containers change nothing else, webhook or not", async () => {
    await post(PODS, pod("p"));
    hook.answer = () =>
      patched([{ op: "add", path: "/spec/ephemeralContainers/0/env", value: [{ name: "A", value: "b" }] }]);
    await register(configuration("Mutating", hook, rule("pods/ephemeralcontainers")));
    const visitor = { spec: { ephemeralContainers: [{ name: "debug", image: "debug" }] } };
    const { body } = await patch(`${PODS}/p/ephemeralcontainers`, "strategic-merge-patch+json", visitor);
    expect(body).toMatchObject({
      spec: { ephemeralContainers: [{ name: "debug", env: [{ name: "A", value: "b" }] }] },
    });
    hook.answer = () => patched([{ op: "replace", path: "/spec/containers/0/image", value: "other" }]);
    const other = { spec: { ephemeralContainers: [{ name: "more", image: "debug" }] } };
    const answer = await patch(`${PODS}/p/ephemeralcontainers`, "strategic-merge-patch+json", other);
    const stored = api.store.get("pods", { namespace: "default", name: "p" });
    const { containers, ephemeralContainers }: Pod["spec"] & object = (stored as Pod | undefined)?.spec ?? {
      containers: [],
    };
    expect(containers).toMatchObject([{ image: "main" }]);
    expect(ephemeralContainers).toHaveLength(2);
    expect(answer.code).toBe(200);
  });

  test("of what is not there are nobody's business", async () => {
    await register(configuration("Validating", hook));
    expect((await update("none", map("none"))).code).toBe(404);
    expect((await api.call(`${MAPS}/none`, { method: "DELETE" })).code).toBe(404);
    expect(hook.requests).toEqual([]);
  });
});

describe("deletions", () => {
  test("are seen with the object that goes, and may be refused", async () => {
    await post(MAPS, map("a", { data: { k: "v" } }));
    hook.answer = () => ({ allowed: false, status: { message: "it stays", code: 409 } });
    await register(configuration("Validating", hook));
    const remove = () => api.call(`${MAPS}/a`, { method: "DELETE" });
    expect(await remove()).toMatchObject({ code: 409, body: { message: `${DENIED}: it stays` } });
    expect(hook.requests).toMatchObject([
      {
        operation: "DELETE",
        name: "a",
        object: null,
        oldObject: { data: { k: "v" } },
        options: { kind: "DeleteOptions" },
      },
    ]);
    hook.answer = () => ({ allowed: true });
    expect((await remove()).code).toBe(200);
    expect(api.store.get("configmaps", { namespace: "default", name: "a" })).toBeUndefined();
  });

  test("of a collection are seen one by one", async () => {
    await post(MAPS, map("a"));
    await post(MAPS, map("b"));
    await register(configuration("Validating", hook));
    expect((await api.call(MAPS, { method: "DELETE" })).code).toBe(200);
    expect(hook.requests.map(({ oldObject }) => oldObject?.metadata.name)).toContain("b");
    expect(hook.requests.every(({ name, operation }) => name === undefined && operation === "DELETE")).toBe(
      true,
    );
  });

  test("change nothing", async () => {
    await post(MAPS, map("a"));
    hook.answer = () => patched(LABEL);
    await register(configuration("Mutating", hook));
    expect((await api.call(`${MAPS}/a`, { method: "DELETE" })).body).toMatchObject({
      code: 500,
      message:
        'Internal error occurred: admission webhook "test.example.com" attempted to modify the object, which is not supported for this operation',
    });
  });
});

describe("webhooks", () => {
  test("never see the configurations of webhooks", async () => {
    hook.answer = () => ({ allowed: false });
    await register(configuration("Validating", hook, rule("*/*")));
    expect((await post(MAPS, map("a"))).code).toBe(400);
    const at = `${CONFIGURATIONS}/validatingwebhookconfigurations/test`;
    expect((await api.call(at, { method: "DELETE" })).code).toBe(200);
    expect((await post(MAPS, map("a"))).code).toBe(201);
  });

  test("see what controllers make, and who they are", async () => {
    hook.answer = () => patched([{ op: "add", path: "/metadata/annotations", value: { by: "hook" } }]);
    await register(configuration("Mutating", hook, rule("pods", ["CREATE"])));
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "rs", uid: "u", controller: true };
    const made = await api.server.create("pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { generateName: "rs-", namespace: "default", ownerReferences: [owner] },
      spec: { containers: [{ name: "main", image: "main" }] },
    });
    expect(made).toMatchObject({ metadata: { annotations: { by: "hook" } }, spec: { nodeName: "node-1" } });
    expect(made.metadata).not.toHaveProperty("managedFields");
    expect(hook.requests[0]?.userInfo).toEqual({
      username: "system:serviceaccount:kube-system:replicaset-controller",
      groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    });
  });

  test("are acted on; policies are not, as a warning says", async () => {
    const hooks = configuration("Validating", hook);
    const { headers } = await post(`${CONFIGURATIONS}/validatingwebhookconfigurations`, { ...hooks });
    expect(headers.get("warning")).toBeNull();
    const policy = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: "none" },
      spec: { validations: [{ expression: "true" }] },
    };
    const inert = await post(`${CONFIGURATIONS}/validatingadmissionpolicies`, policy);
    expect(inert.headers.get("warning")).toContain("nothing acts on them yet");
  });

  test("are asked where the namespace's labels say so", async () => {
    hook.answer = () => ({ allowed: false });
    const namespaceSelector = { matchLabels: { guarded: "yes" } };
    await register(configuration("Validating", hook, { namespaceSelector }));
    expect((await post(MAPS, map("a"))).code).toBe(201);
    await patch(DEFAULT, "merge-patch+json", { metadata: { labels: { guarded: "yes" } } });
    expect((await post(MAPS, map("b"))).code).toBe(400);
  });

  test("see namespaces as being in themselves, by the labels they are to have", async () => {
    const namespaceSelector = { matchLabels: { guarded: "yes" } };
    await register(configuration("Validating", hook, { namespaceSelector, ...rule("namespaces") }));
    const namespace = (name: string, labels: object) => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels },
    });
    await post("/api/v1/namespaces", namespace("open", {}));
    await post("/api/v1/namespaces", namespace("shut", { guarded: "yes" }));
    await patch("/api/v1/namespaces/open", "merge-patch+json", { metadata: { labels: { guarded: "yes" } } });
    expect(hook.requests).toMatchObject([
      { operation: "CREATE", name: "shut", namespace: "shut", object: { status: { phase: "Active" } } },
      { operation: "UPDATE", name: "open", namespace: "open" },
    ]);
  });

  test("see what is in no namespace, whatever they select", async () => {
    const namespaceSelector = { matchLabels: { guarded: "yes" } };
    await register(configuration("Validating", hook, { namespaceSelector, ...rule("priorityclasses") }));
    await post("/apis/scheduling.k8s.io/v1/priorityclasses", {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name: "high" },
      value: 7,
    });
    expect(hook.requests).toMatchObject([{ operation: "CREATE", name: "high" }]);
    expect(hook.requests[0]).not.toHaveProperty("namespace");
  });

  test("are asked where all conditions hold, and conditions that fail are as a webhook that does", async () => {
    hook.answer = () => ({ allowed: false });
    const matchConditions = [
      { name: "not-mine", expression: "!request.userInfo.username.startsWith('system:node')" },
      { name: "guarded", expression: "object.metadata.labels.guarded == 'yes'" },
    ];
    await register(configuration("Validating", hook, { matchConditions }));
    const labelled = (guarded: string) => ({
      ...map(guarded),
      metadata: { name: guarded, labels: { guarded } },
    });
    expect((await post(MAPS, labelled("no"))).code).toBe(201);
    expect((await post(MAPS, labelled("yes"))).code).toBe(400);
    const { body } = await post(MAPS, map("b"));
    expect(body).toMatchObject({
      reason: "Forbidden",
      message: `configmaps "b" is forbidden: expression 'object.metadata.labels.guarded == 'yes'' resulted in error: no such key: labels`,
    });
    const failing = { op: "replace", path: "/webhooks/0/failurePolicy", value: "Ignore" };
    await patch(`${CONFIGURATIONS}/validatingwebhookconfigurations/test`, "json-patch+json", [failing]);
    expect((await post(MAPS, map("b"))).code).toBe(201);
    expect(hook.requests).toHaveLength(1);
  });

  test("that nobody checked do not stop the API", async () => {
    const broken = configuration("Validating", hook, {
      objectSelector: { matchExpressions: [{ key: "a", operator: "Like" }] },
    });
    api.store.create("validatingwebhookconfigurations.admissionregistration.k8s.io", broken);
    expect((await post(MAPS, map("a"))).code).toBe(201);
  });

  test("get two Services that come at once two addresses", async () => {
    const ready = Promise.withResolvers<void>();
    hook.answer = async () => {
      if (hook.requests.length === 2) ready.resolve();
      await ready.promise;
      return { allowed: true };
    };
    await register(configuration("Validating", hook, rule("services", ["CREATE"])));
    const service = (name: string) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { type: "NodePort", ports: [{ port: 80, nodePort: 31_000 }] },
    });
    const answers = await Promise.all([
      post(`${DEFAULT}/services`, service("a")),
      post(`${DEFAULT}/services`, service("b")),
    ]);
    expect(answers.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([201, 422]);
  });
});

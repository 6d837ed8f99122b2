import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Json, startTestApi, type TestApi } from "./api.test-support.ts";

const PODS = "/api/v1/namespaces/default/pods";
const STRATEGIC = { "Content-Type": "application/strategic-merge-patch+json" };

let api: TestApi;

beforeEach(async () => {
  api = await startTestApi();
});

afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api[Symbol.asyncDispose]();
});

interface Wanted {
  readonly spec?: object;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ready?: boolean;
  readonly phase?: string;
}

async function createPod(
  name: string,
  { spec, labels, ready = true, phase = "Running" }: Wanted = {},
): Promise<Json> {
  const body = {
    metadata: { name, ...(labels === undefined ? {} : { labels }) },
    spec: { containers: [{ name: "main", image: "x:1" }], ...spec },
  };
  const created = await api.call(PODS, { method: "POST", body });
  expect(created.body).toMatchObject({ kind: "Pod" });
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  const status = { status: { phase, conditions } };
  const patch = { method: "PATCH", headers: STRATEGIC, body: status };
  return (await api.call(`${PODS}/${name}/status`, patch)).body;
}

interface Shown {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string; readonly generation: number };
  readonly spec: { readonly ephemeralContainers?: readonly Json[]; readonly nodeName?: string };
  readonly status: { readonly conditions?: readonly Json[] };
}

async function getPod(name: string): Promise<Shown> {
  return (await api.call(`${PODS}/${name}`)).body as unknown as Shown;
}

describe("pods/ephemeralcontainers", () => {
  const debug = { name: "debug", image: "busybox", targetContainerName: "main", stdin: true };
  const add = (...ephemeralContainers: readonly object[]) =>
    api.call(`${PODS}/p/ephemeralcontainers`, {
      method: "PATCH",
      headers: STRATEGIC,
      body: { spec: { ephemeralContainers } },
    });

  test("adds one to a pod that exists, with defaults, and nothing else [EC1]", async () => {
    await createPod("p");
    const { generation } = (await getPod("p")).metadata;
    const { code, body } = await api.call(`${PODS}/p/ephemeralcontainers`, {
      method: "PATCH",
      headers: STRATEGIC,
      body: {
        metadata: { labels: { no: "label" } },
        spec: { activeDeadlineSeconds: 5, ephemeralContainers: [debug] },
      },
    });
    expect(code).toBe(200);
    expect(body).toMatchObject({ kind: "Pod" });
    const pod = await getPod("p");
    expect(pod.spec.ephemeralContainers).toEqual([
      {
        ...debug,
        imagePullPolicy: "Always",
        resources: {},
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      },
    ]);
    expect(pod.spec).not.toHaveProperty("activeDeadlineSeconds");
    expect(pod.metadata).not.toHaveProperty("labels");
    expect(pod.metadata.generation).toBe(generation + 1);
  });

  test("takes JSON patches and whole pods, and shows the pod [EC1]", async () => {
    await createPod("p");
    const patched = await api.call(`${PODS}/p/ephemeralcontainers`, {
      method: "PATCH",
      headers: { "Content-Type": "application/json-patch+json" },
      body: [{ op: "add", path: "/spec/ephemeralContainers", value: [debug] }],
    });
    expect(patched.code).toBe(200);
    const { body } = await api.call(`${PODS}/p/ephemeralcontainers`);
    const pod = body as unknown as Shown & Json;
    const ephemeralContainers = [...(pod.spec.ephemeralContainers ?? []), { name: "two", image: "x:1" }];
    const replaced = await api.call(`${PODS}/p/ephemeralcontainers`, {
      method: "PUT",
      body: { ...pod, spec: { ...pod.spec, ephemeralContainers } },
    });
    expect(replaced.code).toBe(200);
    expect((await getPod("p")).spec.ephemeralContainers?.map((one) => one["name"])).toEqual(["debug", "two"]);
  });

  test("never removes or changes one, nor adds one in another way [EC1]", async () => {
    await createPod("p");
    await add(debug);
    const removed = await api.call(`${PODS}/p/ephemeralcontainers`, {
      method: "PATCH",
      headers: { "Content-Type": "application/merge-patch+json" },
      body: { spec: { ephemeralContainers: null } },
    });
    expect([removed.code, removed.body["message"]]).toEqual([
      422,
      'Pod "p" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n',
    ]);
    const changed = await add({ ...debug, image: "other" });
    expect([changed.code, changed.body["message"]]).toEqual([
      422,
      expect.stringContaining('existing ephemeral containers "debug" may not be changed'),
    ]);
    const other = await api.call(`${PODS}/p`, {
      method: "PATCH",
      headers: STRATEGIC,
      body: { spec: { ephemeralContainers: [{ name: "x", image: "x" }] } },
    });
    expect([other.code, other.body["message"]]).toEqual([
      422,
      expect.stringContaining("pod updates may not change fields other than"),
    ]);
  });

  test.each<[string, object]>([
    ["ports", { ports: [{ containerPort: 80 }] }],
    ["livenessProbe", { livenessProbe: { exec: { command: ["true"] } } }],
    ["readinessProbe", { readinessProbe: { exec: { command: ["true"] } } }],
    ["startupProbe", { startupProbe: { exec: { command: ["true"] } } }],
    ["lifecycle", { lifecycle: { preStop: { exec: { command: ["true"] } } } }],
    ["resources", { resources: { limits: { cpu: "1" } } }],
    ["restartPolicy", { restartPolicy: "Always" }],
  ])("has no %s [EC2]", async (field, extra) => {
    await createPod("p");
    const { code, body } = await add({ ...debug, ...extra });
    expect([code, body["message"]]).toEqual([
      422,
      expect.stringContaining(
        `spec.ephemeralContainers[0].${field}: Forbidden: cannot be set for an Ephemeral Container`,
      ),
    ]);
  });

  test("has no subPath [EC2]", async () => {
    await createPod("p", { spec: { volumes: [{ name: "v", emptyDir: {} }] } });
    const { code, body } = await add({
      ...debug,
      volumeMounts: [{ name: "v", mountPath: "/v", subPath: "s" }],
    });
    expect([code, body["message"]]).toEqual([
      422,
      expect.stringContaining("cannot be set for an Ephemeral Container"),
    ]);
  });
});

describe("pods/eviction", () => {
  const evict = (name: string, rest: object = {}) =>
    api.call(`${PODS}/${name}/eviction`, {
      method: "POST",
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name }, ...rest },
    });
  const budget = (name: string, spec: object) =>
    api.call("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {
      method: "POST",
      body: { metadata: { name }, spec: { selector: { matchLabels: { app: "web" } }, ...spec } },
    });
  const labels = { app: "web" };

  test("deletes a pod with its grace period, and says why in a condition [C7, T1]", async () => {
    await createPod("p");
    const { code, body } = await evict("p", { deleteOptions: { gracePeriodSeconds: 7 } });
    expect([code, body]).toEqual([
      201,
      { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 },
    ]);
    const pod = await getPod("p");
    expect(pod.metadata).toMatchObject({
      deletionGracePeriodSeconds: 7,
      deletionTimestamp: expect.any(String),
    });
    expect(pod.status.conditions).toContainEqual({
      type: "DisruptionTarget",
      status: "True",
      reason: "EvictionByEvictionAPI",
      message: "Eviction API: evicting",
      lastTransitionTime: expect.any(String),
      observedGeneration: 1,
    });
  });

  test("with dryRun changes nothing", async () => {
    await createPod("p");
    const before = await getPod("p");
    expect((await evict("p", { deleteOptions: { dryRun: ["All"] } })).code).toBe(201);
    expect(await getPod("p")).toEqual(before);
  });

  test("waits for a disruption budget, which counts the pods that are ready", async () => {
    await createPod("a", { labels });
    await createPod("b", { labels });
    await createPod("c", { labels, ready: false });
    await createPod("other");
    await budget("web", { minAvailable: 2 });
    const { code, body } = await evict("a");
    expect([code, body["reason"], body["message"], body["details"]]).toEqual([
      429,
      "TooManyRequests",
      "Cannot evict pod as it would violate the pod's disruption budget.",
      {
        name: "a",
        kind: "pods",
        causes: [
          {
            reason: "DisruptionBudget",
            message: "The disruption budget web needs 2 healthy pods and has 2 currently",
          },
        ],
      },
    ]);
    // Not ready, so nobody misses it as long as the others are.
    expect((await evict("c")).code).toBe(201);
    expect((await evict("other")).code).toBe(201);
    await createPod("d", { labels });
    expect((await evict("a")).code).toBe(201);
    expect((await evict("b")).code).toBe(429);
  });

  /** Shares are of what the owner wants. */
  async function own(name: string, owner: { readonly name: string; readonly uid: string }): Promise<void> {
    const ownerReferences = [{ apiVersion: "apps/v1", kind: "StatefulSet", controller: true, ...owner }];
    const body = { metadata: { ownerReferences } };
    await api.call(`${PODS}/${name}`, { method: "PATCH", headers: STRATEGIC, body });
  }

  test.each<[object, boolean, number]>([
    [{ maxUnavailable: 1 }, true, 201],
    [{ maxUnavailable: 0 }, true, 429],
    [{ maxUnavailable: "50%" }, true, 201],
    [{ minAvailable: "51%" }, true, 429],
    [{ minAvailable: "50%" }, true, 201],
    [{ minAvailable: 0 }, true, 201],
    [{ minAvailable: 1 }, false, 201],
    [{ minAvailable: 2 }, false, 429],
    [{ maxUnavailable: 1 }, false, 429],
  ])("takes a budget of %j over two ready pods, with a controller: %p, %d", async (spec, isOwned, code) => {
    await createPod("a", { labels });
    await createPod("b", { labels });
    const set = {
      metadata: { name: "web" },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x:1" }] } },
      },
    };
    const url = "/apis/apps/v1/namespaces/default/statefulsets";
    const { metadata } = (await api.call(url, { method: "POST", body: set })).body as unknown as Shown;
    for (const name of isOwned ? ["a", "b"] : []) await own(name, { name: "web", uid: metadata.uid });
    await budget("web", spec);
    expect((await evict("a")).code).toBe(code);
  });

  test("does not choose between two budgets", async () => {
    await createPod("a", { labels });
    await budget("one", { minAvailable: 0 });
    await budget("two", { minAvailable: 0 });
    const { code, body } = await evict("a");
    expect([code, body["message"]]).toEqual([
      500,
      "Internal error occurred: This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    ]);
  });

  test("of a pod that does not run asks no budget", async () => {
    await createPod("a", { labels, phase: "Pending" });
    await budget("web", { minAvailable: 1 });
    expect((await evict("a")).code).toBe(201);
  });

  test("is refused for another pod than the path's, a pod that is not there, and other preconditions", async () => {
    await createPod("p");
    const other = { method: "POST", body: { metadata: { name: "q" } } };
    expect((await api.call(`${PODS}/p/eviction`, other)).body["message"]).toBe(
      "name in URL does not match name in Eviction object",
    );
    expect((await evict("none")).code).toBe(404);
    const stale = await evict("p", { deleteOptions: { preconditions: { uid: "old" } } });
    expect([stale.code, stale.body["message"]]).toEqual([
      409,
      expect.stringContaining("the UID in the precondition (old) does not match the UID in record"),
    ]);
    expect((await getPod("p")).metadata).not.toHaveProperty("deletionTimestamp");
  });
});

describe("pods/resize", () => {
  test("shows the pod, and says what to do instead of changing it", async () => {
    await createPod("p");
    expect((await api.call(`${PODS}/p/resize`)).body).toMatchObject({ kind: "Pod" });
    const { code, body } = await api.call(`${PODS}/p/resize`, {
      method: "PATCH",
      headers: STRATEGIC,
      body: {},
    });
    expect([code, body["message"]]).toEqual([
      405,
      "pillion: pods/resize is not supported: change the resources in the manifest and create the pod again",
    ]);
  });
});

describe("pods/binding", () => {
  const bind = (name: string, target: object = { kind: "Node", name: "n" }) =>
    api.call(`${PODS}/${name}/binding`, { method: "POST", body: { metadata: { name }, target } });

  test("gives a pod its node, once", async () => {
    api.store.create("pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "default" },
      spec: { containers: [{ name: "main", image: "x" }] },
    });
    expect((await bind("p")).code).toBe(201);
    expect((await getPod("p")).spec.nodeName).toBe("n");
    const again = await bind("p");
    expect([again.code, again.body["message"]]).toEqual([
      409,
      'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"',
    ]);
  });

  test("does not bind behind a gate, nor to what is no node", async () => {
    await createPod("gated", { spec: { schedulingGates: [{ name: "a/b" }] } });
    expect((await bind("gated")).body["message"]).toBe(
      'Operation cannot be fulfilled on pods/binding "gated": pod gated has non-empty .spec.schedulingGates',
    );
    const wrong = await bind("gated", { kind: "Pod" });
    expect([wrong.code, wrong.body["message"]]).toEqual([
      422,
      expect.stringContaining('target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'),
    ]);
  });
});

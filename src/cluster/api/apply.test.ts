import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../testing/manual-clock.ts";
import { startTestApi, type TestApi } from "./api.test-support.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const APPLY = { "Content-Type": "application/apply-patch+yaml" };
const MERGE = { "Content-Type": "application/merge-patch+json" };

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
  readonly fieldsV1: object;
}

interface Answer {
  readonly code: number;
  readonly body: {
    readonly metadata: { readonly resourceVersion: string; readonly managedFields?: readonly Entry[] };
    readonly message?: string;
    readonly [field: string]: unknown;
  };
}

async function patch(
  api: TestApi,
  path: string,
  body: object,
  headers: Record<string, string>,
): Promise<Answer> {
  return (await api.call(path, { method: "PATCH", headers, body })) as unknown as Answer;
}

async function apply(api: TestApi, path: string, config: object, query = "fieldManager=me"): Promise<Answer> {
  return await patch(api, `${path}?${query}`, config, APPLY);
}

function owners({ body }: Answer): Record<string, object> {
  const name = ({ manager, operation, subresource }: Entry) =>
    [manager, operation, ...(subresource === undefined ? [] : [subresource])].join(" ");
  return Object.fromEntries((body.metadata.managedFields ?? []).map((one) => [name(one), one.fieldsV1]));
}

function map(data: object, metadata: object = {}): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", ...metadata }, data };
}

const template = {
  metadata: { labels: { app: "a" } },
  spec: { containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }] }] },
};

function deployment(spec: object = {}, metadata: object = {}): object {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "a", ...metadata },
    spec: { selector: { matchLabels: { app: "a" } }, template, ...spec },
  };
}

test.each<[string, string, object]>([
  ["a manifest", `${DEPLOYMENTS}/a`, deployment({ replicas: 2 })],
  ["one with empty maps and lists", `${DEPLOYMENTS}/a`, deployment({}, { labels: {}, finalizers: [] })],
  ["one with fields that are null", `${MAPS}/a`, map({ x: "1" }, { labels: null })],
])("applying %s twice writes once", async (_what, path, config) => {
  const clock = new ManualClock();
  await using api = await startTestApi({ clock });
  const first = await apply(api, path, config);
  expect(first.code).toBe(201);
  clock.advance(2000);
  const second = await apply(api, path, config);
  expect([second.code, second.body]).toEqual([200, first.body]);
});

test("a list that names an item twice is refused, and nothing is made of it", async () => {
  await using api = await startTestApi();
  const twice = {
    ...template,
    spec: { containers: [...template.spec.containers, { name: "c", image: "j" }] },
  };
  const { code, body } = await apply(api, `${DEPLOYMENTS}/a`, deployment({ template: twice }));
  const answered: unknown = [code, body];
  expect(answered).toEqual([
    500,
    {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message:
        'failed to create typed patch object (default/a; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="c"]',
      code: 500,
    },
  ]);
  expect((await api.call(`${DEPLOYMENTS}/a`)).code).toBe(404);
});

test("a manager has a name that can be printed", async () => {
  await using api = await startTestApi();
  const { code, body } = await apply(api, `${MAPS}/a`, map({}), `fieldManager=${encodeURIComponent("mé\t")}`);
  expect([code, body.message]).toEqual([
    422,
    'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "mé\\t": invalid character U+0009 (at position 3), should only contain printable characters',
  ]);
});

test("who has owned what the cluster has removed is in nobody's way", async () => {
  await using api = await startTestApi();
  await apply(api, `${MAPS}/a`, map({ x: "1", y: "1" }));
  api.store.update("configmaps", { namespace: "default", name: "a" }, (current) => ({
    ...current,
    data: { y: "1" },
  }));
  const other = await apply(api, `${MAPS}/a`, map({ x: "2" }), "fieldManager=you");
  expect([other.code, other.body["data"]]).toEqual([200, { x: "2", y: "1" }]);
  expect(owners(other)).toEqual({
    "me Apply": { "f:data": { "f:y": {} } },
    "you Apply": { "f:data": { "f:x": {} } },
  });
});

describe("the status of an object", () => {
  const status = { conditions: [{ type: "Good", status: "True" }], replicas: 1 };
  const of = (rest: object) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "a" },
    ...rest,
  });

  test("belongs to who writes it, apart from the rest that he owns", async () => {
    await using api = await startTestApi();
    await apply(api, `${DEPLOYMENTS}/a`, deployment());
    const written = await patch(api, `${DEPLOYMENTS}/a/status?fieldManager=me`, { status }, MERGE);
    expect(written.code).toBe(200);
    expect(owners(written)["me Update status"]).toEqual({
      "f:status": {
        "f:replicas": {},
        "f:conditions": { ".": {}, 'k:{"type":"Good"}': { ".": {}, "f:status": {}, "f:type": {} } },
      },
    });
    const whole = await apply(api, `${DEPLOYMENTS}/a`, { ...deployment(), status: { replicas: 9 } });
    expect(whole.body["status"]).toMatchObject({ replicas: 1 });
    expect(Object.keys(owners(whole)).toSorted()).toEqual(["me Apply", "me Update status"]);
  });

  test("is applied with conflicts of its own, and says nothing of the specification", async () => {
    await using api = await startTestApi();
    await apply(api, `${DEPLOYMENTS}/a`, deployment());
    await patch(api, `${DEPLOYMENTS}/a/status?fieldManager=you`, { status: { replicas: 1 } }, MERGE);
    const config = of({ spec: { paused: true }, status: { replicas: 2, observedGeneration: 1 } });
    const refused = await apply(api, `${DEPLOYMENTS}/a/status`, config);
    expect([refused.code, refused.body.message]).toEqual([
      409,
      'Apply failed with 1 conflict: conflict with "you" with subresource "status" using apps/v1: .status.replicas',
    ]);
    const forced = await apply(api, `${DEPLOYMENTS}/a/status`, config, "fieldManager=me&force=true");
    expect(owners(forced)).toMatchObject({
      "me Apply status": { "f:status": { "f:replicas": {}, "f:observedGeneration": {} } },
    });
    expect(forced.body["spec"]).not.toHaveProperty("paused");
    const dropped = await apply(api, `${DEPLOYMENTS}/a/status`, of({ status: { replicas: 2 } }));
    expect(dropped.body["status"]).toEqual({ replicas: 2 });
  });
});

test("kubectl takes over what it has applied on the client's side, and keeps its note of it true", async () => {
  await using api = await startTestApi();
  const NOTE = "kubectl.kubernetes.io/last-applied-configuration";
  const before = map({ x: "1", y: "1" });
  const noted = map({ x: "1", y: "1" }, { annotations: { [NOTE]: JSON.stringify(before) } });
  await api.call(`${MAPS}?fieldManager=kubectl-client-side-apply`, { method: "POST", body: noted });
  await patch(api, `${MAPS}/a?fieldManager=you`, { data: { z: "1" } }, MERGE);
  const config = map({ x: "2", z: "2" });
  const refused = await apply(api, `${MAPS}/a`, config, "fieldManager=kubectl");
  expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "you" using v1: .data.z');
  const done = await apply(api, `${MAPS}/a`, map({ x: "2" }), "fieldManager=kubectl");
  expect([done.code, done.body["data"]]).toEqual([200, { x: "2", y: "1", z: "1" }]);
  const { annotations } = done.body.metadata as { annotations?: Record<string, string> };
  expect(JSON.parse(annotations?.[NOTE] ?? "")).toMatchObject({ data: { x: "2" } });
  // Others have no such predecessor.
  const other = await apply(api, `${MAPS}/a`, map({ x: "3" }), "fieldManager=other");
  expect(other.code).toBe(409);
});

describe("a Scale", () => {
  const SCALE = `${DEPLOYMENTS}/a/scale`;
  const scale = (spec: object, metadata: object = {}) => ({
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name: "a", ...metadata },
    spec,
  });
  const REPLICAS = { "f:spec": { "f:replicas": {} } };
  const read = async (api: TestApi) => (await api.call(`${DEPLOYMENTS}/a`)) as unknown as Answer;

  test("that is patched makes its writer the owner of the replicas", async () => {
    await using api = await startTestApi();
    await apply(api, `${DEPLOYMENTS}/a`, deployment({ replicas: 1 }));
    await patch(api, `${SCALE}?fieldManager=kubectl`, { spec: { replicas: 3 } }, MERGE);
    const scaled = await read(api);
    expect(owners(scaled)["kubectl Update scale"]).toEqual(REPLICAS);
    expect(owners(scaled)["me Apply"]).not.toHaveProperty(["f:spec", "f:replicas"]);
    const refused = await apply(api, `${DEPLOYMENTS}/a`, deployment({ replicas: 1 }));
    expect(refused.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
    );
    const handedOver = await apply(api, `${DEPLOYMENTS}/a`, deployment());
    expect(handedOver.body["spec"]).toMatchObject({ replicas: 3 });
  });

  test("that is applied is recorded as such, with conflicts and force", async () => {
    await using api = await startTestApi();
    await apply(api, `${DEPLOYMENTS}/a`, deployment({ replicas: 1 }));
    const refused = await apply(api, SCALE, scale({ replicas: 2 }), "fieldManager=you");
    expect([refused.code, refused.body.message]).toEqual([
      409,
      'Apply failed with 1 conflict: conflict with "me": .spec.replicas',
    ]);
    const forced = await apply(api, SCALE, scale({ replicas: 2 }), "fieldManager=you&force=true");
    expect([forced.code, forced.body["spec"]]).toEqual([200, { replicas: 2 }]);
    const first = await read(api);
    expect(owners(first)["you Apply scale"]).toEqual(REPLICAS);
    await apply(api, SCALE, scale({ replicas: 2 }), "fieldManager=you");
    expect((await read(api)).body).toEqual(first.body);
    const dropped = await apply(api, SCALE, scale({}), "fieldManager=you");
    expect(dropped.body["spec"]).toEqual({});
    expect(owners(await read(api))).not.toHaveProperty(["you Apply scale"]);
  });

  test("is shared by who applies the same number to the whole", async () => {
    await using api = await startTestApi();
    await apply(api, `${DEPLOYMENTS}/a`, deployment({ replicas: 2 }));
    expect((await apply(api, SCALE, scale({ replicas: 2 }), "fieldManager=you")).code).toBe(200);
    const both = owners(await read(api));
    expect(both["you Apply scale"]).toEqual(REPLICAS);
    expect(both["me Apply"]).toHaveProperty(["f:spec", "f:replicas"], {});
  });

  test.each<[string, object, string, number, string]>([
    [
      "without a manager",
      scale({ replicas: 2 }),
      "",
      422,
      "fieldManager: Required value: is required for apply patch",
    ],
    [
      "of fewer than none",
      scale({ replicas: -1 }),
      "fieldManager=me",
      422,
      "spec.replicas: Invalid value: -1",
    ],
    [
      "of another name",
      scale({}, { name: "b" }),
      "fieldManager=me",
      400,
      "does not match the name on the URL (a)",
    ],
    [
      "of a stale version",
      scale({ replicas: 2 }, { resourceVersion: "1" }),
      "fieldManager=me&force=true",
      409,
      "has been modified",
    ],
    [
      "with owners in it",
      scale({}, { managedFields: [{}] }),
      "fieldManager=me",
      400,
      "metadata.managedFields must be nil",
    ],
  ])("%s is refused", async (_what, body, query, code, message) => {
    await using api = await startTestApi();
    await api.call(DEPLOYMENTS, { method: "POST", body: deployment({ replicas: 1 }) });
    const answer = await apply(api, SCALE, body, query);
    expect([answer.code, answer.body.message]).toEqual([code, expect.stringContaining(message)]);
    expect((await api.call(SCALE)).body["spec"]).toEqual({ replicas: 1 });
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type JsonResponse, startTestApi, type TestApi } from "./api.test-support.ts";

const NAMESPACE = "/api/v1/namespaces/default";
const CONFIG_MAPS = `${NAMESPACE}/configmaps`;
const PODS = `${NAMESPACE}/pods`;

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

function configMap(name: string, data: Record<string, string> = {}, metadata: object = {}): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, ...metadata }, data };
}

function pod(name: string, spec: object = {}): object {
  const containers = [{ name: "main", image: "busybox" }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { containers, ...spec } };
}

async function post(path: string, body: object, headers = {}): Promise<JsonResponse> {
  return await api.call(path, { method: "POST", body, headers });
}

async function patch(path: string, type: string, body: object): Promise<JsonResponse> {
  return await api.call(path, {
    method: "PATCH",
    body,
    headers: { "Content-Type": `application/${type}` },
  });
}

function warningsOf({ headers }: JsonResponse): string | null {
  return headers.get("warning");
}

function metadataOf({ body }: JsonResponse): Record<string, unknown> {
  return body["metadata"] as Record<string, unknown>;
}

describe("create", () => {
  test("answers 201 with what the system adds, and takes namespace, apiVersion and kind from the path", async () => {
    const created = await post(CONFIG_MAPS, { metadata: { name: "bare" }, data: { a: "1" } });
    expect(created.code).toBe(201);
    expect(created.body).toEqual({
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: {
        name: "bare",
        namespace: "default",
        uid: expect.any(String),
        resourceVersion: expect.any(String),
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        managedFields: [expect.objectContaining({ fieldsV1: { "f:data": { ".": {}, "f:a": {} } } })],
      },
      data: { a: "1" },
    });
  });

  test("drops the namespace of what has none, and ownership that cannot be read", async () => {
    const metadata = { name: "plain", namespace: "default", managedFields: [{ manager: "x" }] };
    const created = await post("/api/v1/namespaces", { metadata });
    expect(created.code).toBe(201);
    expect(metadataOf(created)).not.toContainKey("namespace");
    expect(metadataOf(created)["managedFields"]).toEqual([expect.objectContaining({ operation: "Update" })]);
  });

  test("refuses a name that is taken and a namespace that is missing or another", async () => {
    await post(CONFIG_MAPS, configMap("taken"));
    const codes = [
      await post(CONFIG_MAPS, configMap("taken")),
      await post("/api/v1/namespaces/nowhere/configmaps", configMap("x")),
      await post(CONFIG_MAPS, configMap("x", {}, { namespace: "other" })),
    ].map(({ code, body }) => [code, body["message"]]);
    expect(codes).toEqual([
      [409, 'configmaps "taken" already exists'],
      [404, 'namespaces "nowhere" not found'],
      [400, "the namespace of the provided object does not match the namespace sent on the request"],
    ]);
  });

  test("with dryRun=All does everything but keep the object", async () => {
    expect((await post(`${CONFIG_MAPS}?dryRun=All`, configMap("ghost"))).code).toBe(201);
    expect((await api.call(`${CONFIG_MAPS}/ghost`)).body).toMatchObject({
      code: 404,
      reason: "NotFound",
      message: 'configmaps "ghost" not found',
      details: { name: "ghost", kind: "configmaps" },
    });
  });

  test("treats unknown fields as fieldValidation says", async () => {
    const body = { ...configMap("loose"), dat: {}, metadata: { name: "loose", lables: {} } };
    const answers = {
      strict: await post(`${CONFIG_MAPS}?dryRun=All&fieldValidation=Strict`, body),
      warn: await post(`${CONFIG_MAPS}?dryRun=All&fieldValidation=Warn`, body),
      byDefault: await post(`${CONFIG_MAPS}?dryRun=All`, body),
      ignore: await post(`${CONFIG_MAPS}?dryRun=All&fieldValidation=Ignore`, body),
    };
    expect(answers.strict.body["message"]).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "metadata.lables", unknown field "dat"',
    );
    const warning = String.raw`299 - "unknown field \"metadata.lables\"", 299 - "unknown field \"dat\""`;
    expect(warningsOf(answers.warn)).toBe(warning);
    expect(warningsOf(answers.byDefault)).toBe(warning);
    expect(warningsOf(answers.ignore)).toBeNull();
  });

  test("warns of what a Service asks for in vain, on every write", async () => {
    const spec = { type: "NodePort", externalTrafficPolicy: "Local", ports: [{ port: 80 }] };
    const path = `${NAMESPACE}/services`;
    const body = { apiVersion: "v1", kind: "Service", metadata: { name: "local" }, spec };
    const expected = expect.stringContaining('"pillion: spec.externalTrafficPolicy: Local does not keep');
    expect(warningsOf(await post(path, body))).toEqual(expected);
    const headers = { "Content-Type": "application/merge-patch+json" };
    const labelled = { metadata: { labels: { a: "b" } } };
    expect(warningsOf(await api.call(`${path}/local`, { method: "PATCH", headers, body: labelled }))).toEqual(
      expected,
    );
  });

  test("warns of kinds that are only stored", async () => {
    const body = { metadata: { name: "inert" }, spec: { hard: { pods: "1" } } };
    const created = await post(`${NAMESPACE}/resourcequotas`, body);
    expect(warningsOf(created)).toBe(
      '299 - "pillion: ResourceQuota objects are stored, but nothing acts on them yet"',
    );
    expect(warningsOf(await api.call(`${NAMESPACE}/resourcequotas/inert`))).toBeNull();
  });

  test("names keys that come twice, in JSON and in YAML", async () => {
    const send = async (type: string, body: string) =>
      await api.call(`${CONFIG_MAPS}?dryRun=All`, {
        method: "POST",
        body,
        headers: { "Content-Type": `application/${type}` },
      });
    const json = await send("json", '{"metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}');
    const yaml = await send("yaml", "metadata: {name: twice}\ndata:\n  a: '1'\n  a: '2'\n");
    const warning = String.raw`299 - "duplicate field \"data.a\""`;
    expect([warningsOf(json), warningsOf(yaml)]).toEqual([warning, warning]);
    expect(yaml.body["data"]).toEqual({ a: "2" });
  });

  test("keeps warnings within what a header can carry", async () => {
    const many = Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`${"x".repeat(300)}${i}`, 1]));
    const created = await post(`${CONFIG_MAPS}?dryRun=All`, { ...configMap("many"), ...many });
    expect(created.code).toBe(201);
    expect(warningsOf(created)?.length).toBeLessThan(6 * 1024);
  });

  test("gives a Pod its node, account, defaults and first status, whatever status was sent, and says it is scheduled", async () => {
    const created = await post(PODS, { ...pod("fresh"), status: { phase: "Running" } });
    expect(created.body).toMatchObject({
      spec: {
        nodeName: "node-1",
        serviceAccountName: "default",
        serviceAccount: "default",
        restartPolicy: "Always",
      },
      status: { phase: "Pending", qosClass: "BestEffort" },
    });
    const events = await api.call(`${NAMESPACE}/events?fieldSelector=involvedObject.name=fresh`);
    expect(events.body["items"]).toMatchObject([
      {
        involvedObject: { kind: "Pod", name: "fresh", uid: metadataOf(created)["uid"] },
        reason: "Scheduled",
        message: "Successfully assigned default/fresh to node-1",
        source: { component: "default-scheduler" },
        type: "Normal",
        count: 1,
      },
    ]);
  });

  test("leaves a Pod alone that chose its node, or is gated until its gates are gone", async () => {
    const chosen = await post(PODS, pod("chosen", { nodeName: "other" }));
    expect(chosen.body).toMatchObject({ spec: { nodeName: "other" } });
    const gated = await post(PODS, pod("gated", { schedulingGates: [{ name: "example.com/wait" }] }));
    expect(gated.body["spec"]).not.toHaveProperty("nodeName");
    const freed = await patch(`${PODS}/gated`, "merge-patch+json", { spec: { schedulingGates: [] } });
    expect(freed.body).toMatchObject({ spec: { nodeName: "node-1" } });
    const selector = "fieldSelector=reason=Scheduled,involvedObject.name";
    const about = async (name: string) =>
      ((await api.call(`${NAMESPACE}/events?${selector}=${name}`)).body["items"] as unknown[]).length;
    expect([await about("chosen"), await about("gated")]).toEqual([0, 1]);
  });

  test("refuses a Pod whose service account does not exist", async () => {
    const refused = await post(PODS, pod("orphan", { serviceAccountName: "robot" }));
    expect(refused.body).toMatchObject({
      code: 403,
      reason: "Forbidden",
      message:
        'pods "orphan" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
    });
  });

  test("runs the admission steps that were handed in, and defaults what they add", async () => {
    await using other = await startTestApi({
      admit: [
        ({ info, object, operation }) => {
          if (info.groupResource !== "pods" || operation !== "CREATE") return object;
          const spec = object["spec"] as { containers: object[] };
          return {
            ...object,
            spec: { ...spec, containers: [...spec.containers, { name: "side", image: "x" }] },
          };
        },
      ],
    });
    const created = await other.call(PODS, { method: "POST", body: pod("injected") });
    expect(created.body).toMatchObject({
      spec: {
        containers: [{ name: "main" }, { name: "side", image: "x", terminationMessagePolicy: "File" }],
      },
    });
  });
});

describe("update", () => {
  test("fills uid, namespace and resourceVersion that the body lacks, as helm relies on", async () => {
    const created = await post(CONFIG_MAPS, configMap("release", { status: "pending" }));
    const replaced = await api.call(`${CONFIG_MAPS}/release`, {
      method: "PUT",
      body: JSON.stringify({ metadata: { name: "release" }, data: { status: "deployed" } }),
      headers: { "Content-Type": "" },
    });
    expect(replaced).toMatchObject({ code: 200, body: { data: { status: "deployed" } } });
    expect(metadataOf(replaced)).toMatchObject({ uid: metadataOf(created)["uid"], namespace: "default" });
  });

  test("refuses a stale resourceVersion, another uid and another name", async () => {
    const created = await post(CONFIG_MAPS, configMap("contended", { n: "1" }));
    const put = async (metadata: object) =>
      await api.call(`${CONFIG_MAPS}/contended`, {
        method: "PUT",
        body: configMap("contended", { n: "2" }, metadata),
      });
    await put({});
    const answers = [
      await put({ resourceVersion: metadataOf(created)["resourceVersion"] }),
      await put({ uid: "11111111-2222-3333-4444-555555555555" }),
      await put({ name: "other" }),
      await put({ name: "" }),
    ].map(({ body }) => [body["code"], body["message"]]);
    expect(answers).toEqual([
      [
        409,
        'Operation cannot be fulfilled on configmaps "contended": the object has been modified; please apply your changes to the latest version and try again',
      ],
      [409, expect.stringContaining("Precondition failed: UID in precondition: 11111111-2222")],
      [400, "the name of the object (other) does not match the name on the URL (contended)"],
      [400, "the name of the object (contended based on URL) was undeterminable: name must be provided"],
    ]);
  });

  test("of an equal object changes nothing, not even the resourceVersion", async () => {
    const created = await post(CONFIG_MAPS, configMap("same", { a: "1" }));
    const again = await api.call(`${CONFIG_MAPS}/same`, {
      method: "PUT",
      body: configMap("same", { a: "1" }),
    });
    expect(again.body).toEqual(created.body);
  });

  test("of the status subresource changes the status only, of the main resource everything else", async () => {
    await post(PODS, pod("split"));
    const current = (await api.call(`${PODS}/split`)).body;
    const body = {
      ...current,
      metadata: { name: "split", labels: { a: "b" } },
      status: { phase: "Running" },
    };
    const status = await api.call(`${PODS}/split/status`, { method: "PUT", body });
    expect(status.body["status"]).toEqual({ phase: "Running" });
    expect(metadataOf(status)).not.toHaveProperty("labels");
    const main = await api.call(`${PODS}/split`, {
      method: "PUT",
      body: { ...body, status: { phase: "Failed" } },
    });
    expect(main.body["status"]).toEqual({ phase: "Running" });
    expect(metadataOf(main)).toMatchObject({ labels: { a: "b" } });
  });

  test("creates where the resource's strategy allows it, and answers NotFound elsewhere", async () => {
    const lease = { metadata: { name: "leader" }, spec: { holderIdentity: "me" } };
    const path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader";
    expect((await api.call(path, { method: "PUT", body: lease })).code).toBe(201);
    expect((await api.call(path, { method: "PUT", body: lease })).code).toBe(200);
    const missing = await api.call(`${CONFIG_MAPS}/missing`, { method: "PUT", body: configMap("missing") });
    expect(missing.body["message"]).toBe('configmaps "missing" not found');
  });
});

describe("validation", () => {
  test("names every mistake of a new object, also of one whose name is yet to be generated", async () => {
    const containers = [{ name: "Main" }];
    const body = { metadata: { generateName: "wrong-" }, spec: { containers } };
    const refused = await post(PODS, body);
    expect(refused.body).toMatchObject({
      code: 422,
      reason: "Invalid",
      message: expect.stringMatching(
        /^Pod "wrong-[a-z0-9]{5}" is invalid: \[spec.containers\[0\].name: Invalid value: "Main": .*/,
      ),
      details: {
        causes: [
          { field: "spec.containers[0].name" },
          { field: "spec.containers[0].image", reason: "FieldValueRequired" },
        ],
      },
    });
    const good = await post(PODS, {
      metadata: { generateName: "right-" },
      spec: { containers: [{ name: "a", image: "x" }] },
    });
    expect(metadataOf(good)["name"]).toMatch(/^right-[a-z0-9]{5}$/);
  });

  test("of a change comes after the conflict of a stale one", async () => {
    const created = await post(PODS, pod("strict"));
    const invalidChange = { spec: { restartPolicy: "Never" } };
    const refused = await patch(`${PODS}/strict`, "merge-patch+json", invalidChange);
    expect(refused.body).toMatchObject({
      code: 422,
      message: expect.stringContaining("pod updates may not change fields"),
    });
    await patch(`${PODS}/strict`, "merge-patch+json", { metadata: { labels: { a: "b" } } });
    const { resourceVersion } = metadataOf(created);
    const stale = await patch(`${PODS}/strict`, "merge-patch+json", {
      ...invalidChange,
      metadata: { resourceVersion },
    });
    expect(stale.body).toMatchObject({ code: 409, reason: "Conflict" });
  });
});

describe("patch", () => {
  test("takes JSON, merge and strategic merge patches", async () => {
    await post(PODS, pod("patched"));
    const path = `${PODS}/patched`;
    await patch(path, "merge-patch+json", { metadata: { labels: { a: "1", b: "2" } } });
    await patch(path, "json-patch+json", [{ op: "remove", path: "/metadata/labels/a" }]);
    const result = await patch(path, "strategic-merge-patch+json", {
      spec: { containers: [{ name: "main", image: "busybox:2" }] },
    });
    expect(result).toMatchObject({
      code: 200,
      body: {
        metadata: { labels: { b: "2" } },
        spec: { containers: [{ name: "main", image: "busybox:2", terminationMessagePolicy: "File" }] },
      },
    });
  });

  test("refuses what is no patch, does not fit, or makes no object of the kind", async () => {
    await post(CONFIG_MAPS, configMap("stubborn", { a: "1" }));
    const path = `${CONFIG_MAPS}/stubborn`;
    const strict = `${path}?fieldValidation=Strict`;
    const answers = [
      await patch(path, "json", {}),
      await patch(path, "merge-patch+json", []),
      await patch(path, "json-patch+json", [{ op: "test", path: "/data/a", value: "2" }]),
      await patch(path, "merge-patch+json", { data: { a: 1 } }),
      await patch(strict, "strategic-merge-patch+json", { dat: {} }),
      await patch(path, "merge-patch+json", { kind: "Secret" }),
      await patch(path, "merge-patch+json", { metadata: { name: "x" } }),
      await patch(path, "merge-patch+json", { metadata: { resourceVersion: "1" } }),
      await patch(`${path}?force=true`, "merge-patch+json", {}),
    ].map(({ body }) => [body["code"], String(body["message"])]);
    expect(answers).toEqual([
      [415, expect.stringContaining("accepted media types include: application/json-patch+json, ")],
      [
        400,
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
      ],
      [422, "the server rejected our request due to an error in our request"],
      [
        422,
        expect.stringContaining("cannot unmarshal number into Go struct field ConfigMap.data of type string"),
      ],
      [
        422,
        String.raw` "" is invalid: patch: Invalid value: "{\"dat\":{}}": strict decoding error: unknown field "dat"`,
      ],
      [422, expect.stringContaining("apiVersion and kind must stay v1 and ConfigMap")],
      [400, "the name of the object (x) does not match the name on the URL (stubborn)"],
      [409, expect.stringContaining("the object has been modified")],
      [
        422,
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      ],
    ]);
  });

  test("that changes nothing keeps the resourceVersion, and dryRun keeps everything", async () => {
    const created = await post(CONFIG_MAPS, configMap("calm", { a: "1" }));
    const same = await patch(`${CONFIG_MAPS}/calm`, "merge-patch+json", { data: { a: "1" } });
    const dry = await patch(`${CONFIG_MAPS}/calm?dryRun=All`, "merge-patch+json", { data: { a: "2" } });
    expect(dry.body).toMatchObject({ data: { a: "2" } });
    const after = await api.call(`${CONFIG_MAPS}/calm`);
    expect([same.body, after.body]).toEqual([created.body, created.body]);
  });
});

describe("server-side apply", () => {
  const apply = async (path: string, body: object | string) =>
    await api.call(path, {
      method: "PATCH",
      body,
      headers: { "Content-Type": "application/apply-patch+yaml" },
    });

  test("creates what is missing and takes back what it no longer says, in JSON and YAML", async () => {
    const path = `${CONFIG_MAPS}/applied?fieldManager=test`;
    const created = await apply(path, configMap("applied", { a: "1" }));
    const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {b: '2'}\n";
    const merged = await apply(path, yaml);
    expect([created.code, merged.code]).toEqual([201, 200]);
    expect(merged.body["data"]).toEqual({ b: "2" });
  });

  test("needs a field manager, and no managed fields", async () => {
    const anonymous = await apply(`${CONFIG_MAPS}/x`, configMap("x"));
    expect(anonymous.body["message"]).toBe(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
    const managed = await apply(
      `${CONFIG_MAPS}/x?fieldManager=a`,
      configMap("x", {}, { managedFields: [{}] }),
    );
    expect(managed.body["message"]).toBe("metadata.managedFields must be nil");
  });
});

describe("delete", () => {
  test("answers with a Status where the resource is gone, with the object where it stays or the strategy says so", async () => {
    const { body } = await post(CONFIG_MAPS, configMap("doomed"));
    const { uid } = body["metadata"] as { uid: string };
    const gone = await api.call(`${CONFIG_MAPS}/doomed`, { method: "DELETE" });
    expect(gone.body).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Success",
      details: { name: "doomed", kind: "configmaps", uid },
    });
    await post(CONFIG_MAPS, configMap("held", {}, { finalizers: ["example.com/hold"] }));
    const held = await api.call(`${CONFIG_MAPS}/held`, { method: "DELETE" });
    expect(held.body).toMatchObject({
      kind: "ConfigMap",
      metadata: { deletionTimestamp: expect.any(String) },
    });
    await post(PODS, pod("dying"));
    const dying = await api.call(`${PODS}/dying`, { method: "DELETE", body: { gracePeriodSeconds: 5 } });
    expect(dying.body).toMatchObject({ kind: "Pod", metadata: { deletionGracePeriodSeconds: 5 } });
  });

  test("takes its options from the query when there is no body, and checks them", async () => {
    await post(PODS, pod("query"));
    const path = `${PODS}/query`;
    const messages = [
      await api.call(`${path}?propagationPolicy=Later`, { method: "DELETE" }),
      await api.call(`${path}?orphanDependents=true&propagationPolicy=Orphan`, { method: "DELETE" }),
      await api.call(path, { method: "DELETE", body: { gracePeriodSeconds: "soon" } }),
      await api.call(path, { method: "DELETE", body: { preconditions: { uid: "no" } } }),
    ].map(({ body }) => [body["code"], body["message"]]);
    expect(messages).toEqual([
      [
        422,
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Later": supported values: "Foreground", "Background", "Orphan", "nil"',
      ],
      [
        422,
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Forbidden: orphanDependents and deletionPropagation cannot be both set',
      ],
      [
        400,
        'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
      ],
      [409, expect.stringContaining("the UID in the precondition (no) does not match the UID in record")],
    ]);
    const dry = await api.call(`${path}?gracePeriodSeconds=0&dryRun=All`, { method: "DELETE" });
    expect(dry.code).toBe(200);
    const gone = await api.call(`${path}?gracePeriodSeconds=0`, { method: "DELETE" });
    expect(gone.code).toBe(200);
    expect((await api.call(path)).code).toBe(404);
  });

  test("of a collection deletes what the selector selects, and answers with it", async () => {
    const secrets = `${NAMESPACE}/secrets`;
    for (const name of ["a", "b", "c"]) {
      const labels = { group: name === "c" ? "two" : "one" };
      await post(secrets, { metadata: { name, labels }, stringData: { x: "y" } });
    }
    const deleted = await api.call(`${secrets}?labelSelector=group%3Done`, { method: "DELETE" });
    expect(deleted.body).toMatchObject({
      kind: "SecretList",
      items: [{ metadata: { name: "a" } }, { metadata: { name: "b" } }],
    });
    const left = await api.call(secrets);
    expect(left.body["items"]).toMatchObject([{ metadata: { name: "c" }, data: { x: "eQ==" } }]);
  });
});

describe("get and list", () => {
  test("a list names its kind once, and its version is one to watch from", async () => {
    await post(CONFIG_MAPS, configMap("listed"));
    const list = await api.call(`${CONFIG_MAPS}?fieldSelector=metadata.name%3Dlisted`);
    expect(list.body).toEqual({
      kind: "ConfigMapList",
      apiVersion: "v1",
      metadata: { resourceVersion: expect.stringMatching(/^\d+$/) },
      items: [expect.not.objectContaining({ kind: expect.anything() })],
    });
  });

  test("pages follow each other by their continue tokens", async () => {
    await post("/api/v1/namespaces", { metadata: { name: "paged" } });
    const path = "/api/v1/namespaces/paged/configmaps";
    for (const name of ["a", "b", "c", "d", "e"]) await post(path, configMap(name));
    const seen: string[] = [];
    let token = "";
    do {
      const { body } = await api.call(`${path}?limit=2&continue=${encodeURIComponent(token)}`);
      const { metadata, items } = body as {
        metadata: { continue?: string; remainingItemCount?: number };
        items: { metadata: { name: string } }[];
      };
      seen.push(
        items.map(({ metadata: { name } }) => name).join("+") + `:${metadata.remainingItemCount ?? 0}`,
      );
      token = metadata.continue ?? "";
    } while (token !== "");
    expect(seen).toEqual(["a+b:3", "c+d:1", "e:0"]);
  });

  test("answers in YAML, as a Table and as metadata only", async () => {
    await post(CONFIG_MAPS, configMap("shaped", { yes: "no", n: "1" }));
    const path = `${CONFIG_MAPS}/shaped`;
    const yaml = await api.fetch(path, { headers: { Accept: "application/yaml" } });
    expect(yaml.headers.get("content-type")).toBe("application/yaml");
    expect(await yaml.text()).toContain(`data:\n  "yes": "no"\n  "n": "1"\n`);
    const as = async (kind: string, version = "v1") =>
      (
        await api.call(path, {
          headers: { Accept: `application/json;as=${kind};v=${version};g=meta.k8s.io` },
        })
      ).body;
    expect(await as("PartialObjectMetadata", "v1beta1")).toEqual({
      kind: "PartialObjectMetadata",
      apiVersion: "meta.k8s.io/v1beta1",
      metadata: expect.objectContaining({ name: "shaped" }),
    });
    expect(await as("Table")).toMatchObject({
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      columnDefinitions: [{ name: "Name" }, { name: "Data" }, { name: "Age" }],
      rows: [{ cells: ["shaped", 2, expect.any(String)], object: { kind: "PartialObjectMetadata" } }],
    });
  });

  test("includeObject decides what stands beside the cells", async () => {
    await post(CONFIG_MAPS, configMap("beside"));
    const rowWith = async (include: string) => {
      const { body } = await api.call(
        `${CONFIG_MAPS}?fieldSelector=metadata.name%3Dbeside&includeObject=${include}`,
        {
          headers: { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" },
        },
      );
      return (body["rows"] as { object?: { kind: string } }[])[0]?.object?.kind;
    };
    expect([
      await rowWith("None"),
      await rowWith("Metadata"),
      await rowWith("Object"),
      await rowWith(""),
    ]).toEqual([undefined, "PartialObjectMetadata", "ConfigMap", "PartialObjectMetadata"]);
  });

  test("answers protobuf clients in JSON", async () => {
    const accept = "application/vnd.kubernetes.protobuf,application/json";
    const answer = await api.fetch(CONFIG_MAPS, { headers: { Accept: accept } });
    expect(answer.headers.get("content-type")).toBe("application/json");
  });

  test("compresses large answers only, and only for clients that can read them", async () => {
    await post(CONFIG_MAPS, configMap("large", { x: "x".repeat(200_000) }));
    const encodingOf = async (path: string, accept: string) =>
      (await api.fetch(path, { headers: { "Accept-Encoding": accept } })).headers.get("content-encoding");
    expect([
      await encodingOf(`${CONFIG_MAPS}/large`, "gzip"),
      await encodingOf(`${CONFIG_MAPS}/large`, "identity"),
      await encodingOf("/version", "gzip"),
    ]).toEqual(["gzip", null, null]);
    expect((await api.call(`${CONFIG_MAPS}/large`)).body).toMatchObject({ data: { x: "x".repeat(200_000) } });
  });
});

describe("reviews are answered and not stored", () => {
  test("who am I, may I, and what may I", async () => {
    const who = await post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
    expect(who).toMatchObject({
      code: 201,
      body: {
        kind: "SelfSubjectReview",
        status: {
          userInfo: { username: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] },
        },
      },
    });
    const may = await post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      spec: { resourceAttributes: { verb: "create", resource: "pods" } },
    });
    expect(may.body).toMatchObject({ status: { allowed: true } });
    const rules = await post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
      spec: { namespace: "default" },
    });
    const everything = expect.objectContaining({ verbs: ["*"], resources: ["*"] });
    expect(rules.body).toMatchObject({
      status: { resourceRules: expect.arrayContaining([everything]), incomplete: false },
    });
  });

  test("a TokenReview tells the administrator's token from any other", async () => {
    const review = async (token: string) =>
      (await post("/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token } })).body["status"];
    expect(await review(api.pki.token)).toMatchObject({
      authenticated: true,
      user: { username: "kubernetes-admin" },
    });
    expect(await review("guess")).toEqual({ user: {}, error: "invalid bearer token" });
  });
});

/** Custom resources over HTTP: what clients read, in which version, and what becomes of it when the definition changes. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Json, type JsonResponse, startTestApi, type TestApi } from "../api.test-support.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAME = "tulips.flowers.example.com";
const GROUP = "/apis/flowers.example.com";
const TULIPS = `${GROUP}/v1/namespaces/default/tulips`;

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  expect(api.bugs).toEqual([]);
  await api[Symbol.asyncDispose]();
});

const SPEC = {
  type: "object",
  properties: {
    color: { type: "string", default: "red" },
    height: { type: "integer" },
    tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
  },
};

function version(name: string, changes: object = {}): Json {
  const openAPIV3Schema = { type: "object", properties: { spec: SPEC, status: { type: "object" } } };
  return { name, served: true, storage: name === "v1", schema: { openAPIV3Schema }, ...changes };
}

function withProperties(properties: object): Json {
  const spec = { ...SPEC, properties: { ...SPEC.properties, ...properties } };
  return { schema: { openAPIV3Schema: { type: "object", properties: { spec } } } };
}

function definition(versions: readonly Json[]): Json {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: NAME },
    spec: {
      group: "flowers.example.com",
      scope: "Namespaced",
      names: { plural: "tulips", kind: "Tulip", listKind: "Bouquet" },
      versions,
    },
  };
}

async function define(...versions: readonly Json[]): Promise<void> {
  const { code, body } = await api.call(DEFINITIONS, { method: "POST", body: definition(versions) });
  expect({ code, message: body["message"] }).toEqual({ code: 201, message: undefined });
}

async function redefine(...versions: readonly Json[]): Promise<void> {
  const patch = { spec: { versions } };
  const { code } = await merge(`${DEFINITIONS}/${NAME}`, patch);
  expect(code).toBe(200);
}

async function merge(path: string, body: object): Promise<JsonResponse> {
  return await api.call(path, {
    method: "PATCH",
    headers: { "Content-Type": "application/merge-patch+json" },
    body,
  });
}

async function plant(name: string, spec: object = {}, at = "v1"): Promise<JsonResponse> {
  const body = { apiVersion: `flowers.example.com/${at}`, kind: "Tulip", metadata: { name }, spec };
  return await api.call(TULIPS.replace("v1", at), { method: "POST", body });
}

beforeEach(async () => {
  await api.call(`${DEFINITIONS}/${NAME}`, { method: "DELETE" });
});

describe("reading", () => {
  test("a list names its kind as the definition does, and its items say what they are", async () => {
    await define(version("v1"));
    await plant("one");
    const { body } = await api.call(TULIPS);
    expect(body).toMatchObject({
      apiVersion: "flowers.example.com/v1",
      kind: "Bouquet",
      items: [{ apiVersion: "flowers.example.com/v1", kind: "Tulip", spec: { color: "red" } }],
    });
  });

  test("a table has the definition's columns, and else an age", async () => {
    const columns = [
      { name: "Color", type: "string", jsonPath: ".spec.color", description: "As seen." },
      { name: "Height", type: "integer", jsonPath: ".spec.height", priority: 1 },
      { name: "Since", type: "date", jsonPath: ".metadata.creationTimestamp" },
      { name: "Tags", type: "string", jsonPath: ".spec.tags" },
    ];
    await define(version("v1", { additionalPrinterColumns: columns }), version("v2"));
    await plant("one", { tags: ["a", "b"] });
    const accept = { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
    const { body } = await api.call(TULIPS, { headers: accept });
    expect(body).toMatchObject({
      kind: "Table",
      columnDefinitions: [
        { name: "Name", format: "name" },
        { name: "Color", type: "string", description: "As seen.", priority: 0 },
        { name: "Height", type: "integer", priority: 1 },
        { name: "Since", type: "date" },
        { name: "Tags" },
      ],
      rows: [{ cells: ["one", "red", null, expect.stringMatching(/^\d+s$/), '["a","b"]'] }],
    });
    const plain = await api.call(TULIPS.replace("v1", "v2"), { headers: accept });
    expect(plain.body).toMatchObject({
      columnDefinitions: [{ name: "Name" }, { name: "Age", type: "date" }],
    });
  });

  test("selectors know the metadata, and the fields that the definition offers", async () => {
    await define(version("v1", { selectableFields: [{ jsonPath: ".spec.color" }] }));
    await plant("one");
    await plant("two", { color: "blue" });
    const names = async (selector: string) => {
      const { body } = await api.call(`${TULIPS}?fieldSelector=${encodeURIComponent(selector)}`);
      return (body["items"] as { metadata: { name: string } }[] | undefined)?.map(
        ({ metadata }) => metadata.name,
      );
    };
    expect(await names("spec.color=blue")).toEqual(["two"]);
    expect(await names("metadata.name!=two")).toEqual(["one"]);
    const { code, body } = await api.call(`${TULIPS}?fieldSelector=spec.height=1`);
    expect([code, body["message"]]).toEqual([400, "field label not supported: spec.height"]);
  });

  test("metadata alone is shown on demand", async () => {
    await define(version("v1"));
    await plant("one");
    const headers = { Accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io" };
    const { body } = await api.call(`${TULIPS}/one`, { headers });
    expect(body).toMatchObject({ kind: "PartialObjectMetadata", metadata: { name: "one" } });
    expect(body).not.toHaveProperty("spec");
  });
});

describe("watching", () => {
  test("shows every change in the version that was asked for, until the definition goes", async () => {
    await define(
      version("v1"),
      version("v2", withProperties({ smell: { type: "string", default: "faint" } })),
    );
    await plant("one");
    const events = await api.lines(`${GROUP}/v2/tulips?watch=true`);
    const seen: unknown[] = [];
    const next = async () => {
      const { value } = await events.next();
      const { type, object } = value as { type: string; object: { apiVersion: string; spec: object } };
      seen.push([type, object.apiVersion, object.spec]);
    };
    await next();
    await merge(`${TULIPS}/one`, { spec: { color: "white" } });
    await next();
    await api.call(`${DEFINITIONS}/${NAME}`, { method: "DELETE" });
    await next();
    expect(seen).toEqual([
      ["ADDED", "flowers.example.com/v2", { color: "red", smell: "faint" }],
      ["MODIFIED", "flowers.example.com/v2", { color: "white", smell: "faint" }],
      ["DELETED", "flowers.example.com/v2", { color: "white", smell: "faint" }],
    ]);
    expect((await events.next()).done).toBe(true);
  });
});

describe("versions", () => {
  test("what a version does not know is not shown there, and not lost elsewhere unless it is stored from there", async () => {
    await define(version("v1", withProperties({ smell: { type: "string" } })), version("v2"));
    await plant("one", { smell: "sweet" });
    const at = (name: string) => TULIPS.replace("v1", name);
    expect((await api.call(`${at("v2")}/one`)).body["spec"]).toEqual({ color: "red" });
    expect((await api.call(`${at("v1")}/one`)).body["spec"]).toEqual({ color: "red", smell: "sweet" });
    await merge(`${at("v2")}/one`, { spec: { height: 3 } });
    expect((await api.call(`${at("v1")}/one`)).body["spec"]).toEqual({ color: "red", height: 3 });
  });

  test("a version that is not served is not there, and the storage version may change", async () => {
    await define(version("v1"), version("v2", { served: false }));
    await plant("one");
    expect((await api.call(`${GROUP}/v2/tulips`)).code).toBe(404);
    await redefine(version("v1", { storage: false }), version("v2", { storage: true }));
    await plant("two", {}, "v2");
    const { body } = await api.call(`${DEFINITIONS}/${NAME}`);
    expect(body["status"]).toMatchObject({ storedVersions: ["v1", "v2"] });
    const listed = (await api.call(TULIPS)).body["items"] as Json[];
    expect(listed.map(({ apiVersion }) => apiVersion)).toEqual(Array(2).fill("flowers.example.com/v1"));
    expect(api.store.list(NAME).items.map(({ apiVersion }) => apiVersion)).toEqual([
      "flowers.example.com/v1",
      "flowers.example.com/v2",
    ]);
  });

  test("an object gets the defaults that its definition has got since", async () => {
    await define(version("v1"));
    await plant("one");
    await redefine(version("v1", withProperties({ height: { type: "integer", default: 7 } })));
    const { body } = await api.call(`${TULIPS}/one`);
    expect(body).toMatchObject({ spec: { color: "red", height: 7 }, metadata: { generation: 1 } });
  });

  test("protobuf is not spoken, since there is no Go type to write it from", async () => {
    await define(version("v1"));
    const headers = { "Content-Type": "application/vnd.kubernetes.protobuf" };
    const { code, body } = await api.call(TULIPS, { method: "POST", headers, body: "k8s\0" });
    expect([code, body["message"]]).toEqual([
      415,
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
    ]);
  });

  test("a field that the definition has dropped since is not shown", async () => {
    await define(version("v1"));
    await plant("one", { height: 1 });
    await redefine(version("v1", { schema: { openAPIV3Schema: { type: "object", properties: {} } } }));
    expect((await api.call(`${TULIPS}/one`)).body).not.toHaveProperty("spec");
  });

  test("the wrong version or kind is refused", async () => {
    await define(version("v1"), version("v2"));
    const body = { apiVersion: "flowers.example.com/v2", kind: "Tulip", metadata: { name: "x" } };
    expect((await api.call(TULIPS, { method: "POST", body })).body["message"]).toBe(
      "the API version in the data (flowers.example.com/v2) does not match the expected API version (flowers.example.com/v1)",
    );
    const other = { ...body, apiVersion: "flowers.example.com/v1", kind: "Rose" };
    expect((await api.call(TULIPS, { method: "POST", body: other })).body["message"]).toBe(
      'Rose.flowers.example.com "x" is invalid: kind: Invalid value: "Rose": must be Tulip'.replace(
        "Rose.",
        "Tulip.",
      ),
    );
  });
});

describe("a definition without subresources", () => {
  test("has a status like any other field, which counts as a generation", async () => {
    await define(
      version("v1", {
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      }),
    );
    await plant("one");
    const { body } = await merge(`${TULIPS}/one`, { status: { a: 1 } });
    expect(body).toMatchObject({ status: { a: 1 }, metadata: { generation: 2 } });
    expect((await api.call(`${TULIPS}/one/status`)).code).toBe(404);
    expect((await api.call(`${TULIPS}/one/scale`)).code).toBe(404);
  });
});

describe("what the API says of itself", () => {
  test("follows the definitions", async () => {
    const index = async () => {
      const { body } = await api.call("/openapi/v3", { headers: { "User-Agent": "curl" } });
      return (body["paths"] as Record<string, { serverRelativeURL: string } | undefined>)[
        "apis/flowers.example.com/v1"
      ];
    };
    expect((await api.call(GROUP)).code).toBe(404);
    expect(await index()).toBeUndefined();
    await define(version("v1"), version("v1beta1"));
    expect((await api.call(GROUP)).body).toMatchObject({
      versions: [{ version: "v1" }, { version: "v1beta1" }],
      preferredVersion: { version: "v1" },
    });
    const first = await index();
    await redefine(version("v1", withProperties({ petals: { type: "integer" } })), version("v1beta1"));
    const second = await index();
    expect(second?.serverRelativeURL).not.toBe(first?.serverRelativeURL);
    const document = JSON.stringify((await api.call(second?.serverRelativeURL ?? "")).body);
    expect(document).toContain("com.example.flowers.v1.Tulip");
    expect(document).toContain("petals");
  });
});

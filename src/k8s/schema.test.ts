import { describe, expect, test } from "bun:test";
import { apiVersionOf, resources } from "./catalogue.ts";
import { type Field, schemaOf, type TypeSchema, typeOf } from "./schema.ts";

function field(path: string, schema = schemaOf("v1", "Pod")): Field | undefined {
  const [first = "", ...rest] = path.split(".");
  const found = schema?.fields.get(first);
  return rest.length === 0 ? found : field(rest.join("."), typeOf(found?.ref));
}

describe("schemaOf()", () => {
  test("knows every resource, and the kinds that are only sent", () => {
    // Metrics are made, never taken.
    const taken = resources.filter(({ group }) => group !== "metrics.k8s.io");
    const kinds = taken.map((info) => [apiVersionOf(info), info.kind] as const);
    kinds.push(["v1", "DeleteOptions"], ["apps/v1", "DeleteOptions"], ["autoscaling/v1", "Scale"]);
    kinds.push(["policy/v1", "Eviction"], ["authentication.k8s.io/v1", "TokenRequest"]);
    expect(kinds.filter((kind) => schemaOf(...kind)?.fields.has("kind") !== true)).toEqual([]);
  });

  test("knows nothing of other kinds", () => {
    expect(schemaOf("v1", "Deployment")).toBeUndefined();
    expect(schemaOf("example.org/v1", "Pod")).toBeUndefined();
    expect(schemaOf("v1", "__proto__")).toBeUndefined();
    expect(schemaOf("v1", "")).toBeUndefined();
    expect(schemaOf("v1", "Pod")?.fields.get("constructor")).toBeUndefined();
  });
});

describe("a field", () => {
  test("has type, protobuf number, Go type and merge key", () => {
    expect(field("spec.containers")).toEqual({
      name: "containers",
      type: "object",
      ref: "core/v1.Container",
      array: true,
      map: false,
      required: true,
      omitEmpty: false,
      pointer: false,
      number: 2,
      goType: "[]v1.Container",
      patchStrategy: ["merge"],
      mergeKey: "name",
    });
  });

  test.each([
    ["metadata.labels", { type: "string", map: true, goType: "map[string]string" }],
    ["metadata.creationTimestamp", { type: "time", omitEmpty: true, pointer: false, goType: "v1.Time" }],
    ["metadata.ownerReferences", { array: true, mergeKey: "uid", patchStrategy: ["merge"] }],
    ["metadata.finalizers", { array: true, mergeKey: undefined, patchStrategy: ["merge"] }],
    ["metadata.managedFields.fieldsV1", { type: "any" }],
    ["spec.containers.ports.containerPort", { type: "int32", required: true, goType: "int32" }],
    ["spec.containers.ports", { mergeKey: "containerPort" }],
    ["spec.containers.imagePullPolicy", { type: "string", goType: "v1.PullPolicy" }],
    ["spec.containers.resources.limits", { type: "quantity", map: true, goType: "v1.ResourceList" }],
    ["spec.containers.livenessProbe.httpGet.port", { type: "intorstring", goType: "intstr.IntOrString" }],
    ["spec.volumes", { patchStrategy: ["merge", "retainKeys"], mergeKey: "name" }],
    ["spec.volumes.emptyDir.sizeLimit", { type: "quantity", pointer: true }],
    ["spec.volumes.configMap.name", { type: "string" }],
    ["spec.ephemeralContainers.name", { type: "string", required: true }],
    ["spec.tolerations", { array: true, patchStrategy: [], mergeKey: undefined }],
    ["spec.terminationGracePeriodSeconds", { type: "int64", pointer: true, goType: "int64" }],
    ["status.podIPs", { mergeKey: "ip" }],
    ["status.startTime", { type: "time", pointer: true }],
  ] as const)("%s", (path, expected) => {
    expect(field(path)).toMatchObject(expected);
  });

  test("of a Secret's data is base64 text by key", () => {
    expect(field("data", schemaOf("v1", "Secret"))).toMatchObject({
      type: "bytes",
      map: true,
      goType: "map[string][]uint8",
    });
  });

  test("of a deployment's strategy retains keys", () => {
    expect(field("spec.strategy", schemaOf("apps/v1", "Deployment"))).toMatchObject({
      patchStrategy: ["retainKeys"],
    });
  });

  test("of a user's extra is a map to lists", () => {
    const review = schemaOf("authentication.k8s.io/v1", "TokenReview");
    expect(field("status.user.extra", review)).toMatchObject({ map: true, array: true, type: "string" });
  });
});

/** Every type that a kind consists of. */
function reachable(): TypeSchema[] {
  const queue = resources.map((info) => schemaOf(apiVersionOf(info), info.kind)?.name ?? "");
  const found = new Map<string, TypeSchema>();
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const schema = typeOf(name);
    if (schema === undefined || found.has(name)) continue;
    found.set(name, schema);
    for (const { ref } of schema.fields.values()) queue.push(ref ?? "");
  }
  return [...found.values()];
}

describe("the table", () => {
  const all = reachable();

  test("has hundreds of types", () => {
    expect(all.length).toBeGreaterThan(450);
  });

  test("refers to no type it does not have", () => {
    const refs = all.flatMap(({ fields }) => [...fields.values()].flatMap(({ ref }) => ref ?? []));
    expect(refs.filter((ref) => typeOf(ref) === undefined)).toEqual([]);
  });

  test("uses only known types and patch strategies", () => {
    const seen = new Set(all.flatMap(({ fields }) => [...fields.values()].map(({ type }) => type)));
    expect([...seen].toSorted()).toEqual([
      "any",
      "bool",
      "bytes",
      "float64",
      "int32",
      "int64",
      "intorstring",
      "microtime",
      "object",
      "quantity",
      "string",
      "time",
    ]);
    const strategies = all.flatMap(({ fields }) => [...fields.values()].flatMap((one) => one.patchStrategy));
    expect(new Set(strategies)).toEqual(new Set(["merge", "replace", "retainKeys"]));
  });

  test("has no protobuf number twice in a type", () => {
    const twice = all.filter(({ fields, byNumber, inlined }) => {
      const inner = new Set(inlined.flatMap(({ type }) => [...type.fields.keys()]));
      const own = [...fields.values()].filter((one) => one.number > 0 && !inner.has(one.name));
      return own.length !== byNumber.size || inlined.some(({ number }) => byNumber.has(number));
    });
    expect(twice.map(({ name }) => name)).toEqual([]);
  });
});

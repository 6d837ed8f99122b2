import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { mergeTypeOf } from "./merge-type.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";

const podType = mergeTypeOf("v1", "Pod");

function patched(original: JsonObject, patch: JsonObject, type = podType): JsonObject {
  const before = structuredClone([original, patch]);
  const result = applyStrategicMergePatch(original, patch, type);
  expect([original, patch]).toEqual(before);
  return result;
}

const spec = (value: JsonObject): JsonObject => ({ spec: value });
const names = (...list: string[]) => list.map((name) => ({ name }));

describe("applyStrategicMergePatch()", () => {
  test("merges maps and removes what is null", () => {
    const original = { metadata: { labels: { a: "1", b: "2" } } };
    expect(patched(original, { metadata: { labels: { b: null, c: "3" } } })).toEqual({
      metadata: { labels: { a: "1", c: "3" } },
    });
  });

  test("merges containers by name and puts new ones first, as Kubernetes does", () => {
    const original = spec({
      containers: [
        { name: "a", image: "a:1" },
        { name: "b", image: "b:1" },
      ],
    });
    const patch = spec({
      containers: [
        { name: "c", image: "c:1" },
        { name: "b", image: "b:2" },
      ],
    });
    expect(patched(original, patch)).toEqual(
      spec({
        containers: [
          { name: "c", image: "c:1" },
          { name: "a", image: "a:1" },
          { name: "b", image: "b:2" },
        ],
      }),
    );
  });

  test("keeps the order that $setElementOrder states, with items of others where they were", () => {
    const original = spec({ containers: names("a", "x", "b", "y") });
    const patch = spec({
      "$setElementOrder/containers": names("b", "n", "a"),
      containers: [{ name: "n" }],
    });
    expect(patched(original, patch)).toEqual(spec({ containers: names("x", "b", "n", "a", "y") }));
  });

  test("orders new items behind those that stay when others go, as Kubernetes does", () => {
    const original = spec({ containers: names("c", "d") });
    const patch = spec({
      "$setElementOrder/containers": names("a"),
      containers: [{ name: "c", $patch: "delete" }, { name: "a" }],
    });
    expect(patched(original, patch)).toEqual(spec({ containers: names("d", "a") }));
  });

  test("merges empty lists", () => {
    const empty = { metadata: { finalizers: [] }, spec: { containers: [] } };
    expect(patched(empty, empty)).toEqual(empty);
  });

  test("reorders without any change of content", () => {
    const original = spec({ containers: names("a", "b") });
    expect(patched(original, spec({ "$setElementOrder/containers": names("b", "a") }))).toEqual(
      spec({ containers: names("b", "a") }),
    );
  });

  test("deletes an item with $patch: delete", () => {
    const original = spec({ containers: names("a", "b") });
    expect(patched(original, spec({ containers: [{ name: "a", $patch: "delete" }] }))).toEqual(
      spec({ containers: names("b") }),
    );
  });

  test("replaces a list with $patch: replace", () => {
    const original = spec({ containers: names("a", "b") });
    expect(patched(original, spec({ containers: [{ $patch: "replace" }, { name: "c" }] }))).toEqual(
      spec({ containers: names("c") }),
    );
  });

  test("replaces or empties a map with $patch", () => {
    const original = { metadata: { labels: { a: "1" }, annotations: { b: "2" } } };
    const patch = { metadata: { labels: { $patch: "replace", c: "3" }, annotations: { $patch: "delete" } } };
    expect(patched(original, patch)).toEqual({ metadata: { labels: { c: "3" }, annotations: {} } });
  });

  test("drops directives and nulls where nothing was to merge with", () => {
    const patch = spec({
      securityContext: { runAsUser: null, $patch: "replace" },
      containers: [
        { name: "a", $patch: "delete" },
        { name: "b", image: null, $retainKeys: ["name"] },
      ],
    });
    expect(patched({}, patch)).toEqual(spec({ securityContext: {}, containers: names("b") }));
  });

  test("switches a union with $retainKeys", () => {
    const original = spec({ volumes: [{ name: "v", emptyDir: { medium: "Memory" } }] });
    const patch = spec({
      volumes: [{ $retainKeys: ["name", "hostPath"], name: "v", hostPath: { path: "/x" } }],
    });
    expect(patched(original, patch)).toEqual(spec({ volumes: [{ name: "v", hostPath: { path: "/x" } }] }));
  });

  test("merges finalizers as a set and deletes from it", () => {
    const original = { metadata: { finalizers: ["a", "b"] } };
    expect(patched(original, { metadata: { finalizers: ["c", "a"] } })).toEqual({
      metadata: { finalizers: ["c", "a", "b"] },
    });
    expect(patched(original, { metadata: { "$deleteFromPrimitiveList/finalizers": ["a"] } })).toEqual({
      metadata: { finalizers: ["b"] },
    });
    expect(patched({}, { "$deleteFromPrimitiveList/finalizers": ["a"] })).toEqual({});
  });

  test("replaces lists that have no merge strategy", () => {
    const original = spec({ tolerations: [{ key: "a" }, { key: "b" }] });
    expect(patched(original, spec({ tolerations: [{ key: "c" }] }))).toEqual(
      spec({ tolerations: [{ key: "c" }] }),
    );
  });

  test("tells ports of two protocols apart", () => {
    const [tcp, udp] = [
      { containerPort: 53, protocol: "TCP" },
      { containerPort: 53, protocol: "UDP" },
    ];
    const pod = (ports: readonly JsonObject[]) => spec({ containers: [{ name: "a", ports }] });
    const renamed = { ...udp, name: "dns" };
    expect(patched(pod([tcp, udp]), pod([renamed]))).toEqual(pod([tcp, renamed]));
    const added = {
      name: "a",
      "$setElementOrder/ports": [{ containerPort: 53 }, { containerPort: 53 }],
      ports: [udp],
    };
    expect(patched(pod([tcp]), spec({ containers: [added] }))).toEqual(pod([tcp, udp]));
    expect(patched(pod([tcp]), pod([udp]))).toEqual(pod([udp]));
  });

  test("leaves unknown fields to the decoder", () => {
    expect(patched(spec({}), spec({ bogus: [1] }))).toEqual(spec({ bogus: [1] }));
  });

  test("takes __proto__ as a key like any other", () => {
    const patch = JSON.parse('{"metadata":{"labels":{"__proto__":"x"}}}') as JsonObject;
    expect(JSON.stringify(patched({ metadata: { labels: { a: "1" } } }, patch))).toBe(
      '{"metadata":{"labels":{"a":"1","__proto__":"x"}}}',
    );
  });

  test.each([
    [spec({ containers: [{ image: "x" }] }), "map: map[image:x] does not contain declared merge key: name"],
    [
      spec({ containers: [{ name: "a", $patch: "merge" }] }),
      "merging lists cannot yet be specified in the patch",
    ],
    [
      spec({ containers: [{ name: "a", $patch: "nuke" }] }),
      "unknown patch type: nuke in map: map[$patch:nuke name:a]",
    ],
    [spec({ $patch: "merge" }), "unknown patch type: merge in map: map[$patch:merge]"],
    [spec({ containers: ["a"] }), "list element types are not identical: [[map[name:a]] [a]]"],
    [spec({ containers: [["a"]] }), "lists of lists are not supported"],
    [spec({ "$setElementOrder/containers": "a" }), "invalid patch format of setElementOrder list"],
    [spec({ $retainKeys: ["a"], b: 1 }), "invalid patch format of retainKeys"],
    [spec({ "$deleteFromPrimitiveList/containers": "a" }), "invalid patch format of primitive list"],
    [
      spec({ "$setElementOrder/containers": names("b", "a"), containers: names("a", "b") }),
      "The order in patch list:\n[map[name:a] map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:b] map[name:a]]\n",
    ],
  ])("refuses %j", (patch, message) => {
    expect(() => patched(spec({ containers: names("a") }), patch)).toThrow(new Error(message));
  });
});

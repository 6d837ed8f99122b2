import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { mergeTypeOf } from "./merge-type.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";
import { threeWayPatch } from "./three-way.ts";

const podType = mergeTypeOf("v1", "Pod");

const image = fc.constantFrom("a:1", "b:2", "c:3");
const text = fc.constantFrom("x", "y", "z");
const port = fc.record(
  { containerPort: fc.integer({ min: 1, max: 4 }), name: text },
  { requiredKeys: ["containerPort"] },
);
const ports = fc.uniqueArray(port, { selector: (one) => one.containerPort, maxLength: 3 });
const variable = fc.record({ name: text, value: text }, { requiredKeys: ["name"] });
const container = fc.record(
  {
    name: fc.constantFrom("a", "b", "c", "d"),
    image,
    args: fc.array(text, { maxLength: 2 }),
    ports,
    env: fc.uniqueArray(variable, { selector: (one) => one.name, maxLength: 3 }),
  },
  { requiredKeys: ["name", "image"] },
);
const source = fc.oneof(
  fc.record({ emptyDir: fc.record({ medium: fc.constant("Memory") }, { requiredKeys: [] }) }),
  fc.record({ hostPath: fc.record({ path: fc.constant("/x") }) }),
);
const volume = fc.tuple(fc.constantFrom("v", "w"), source).map(([name, rest]) => ({ name, ...rest }));
const metadata = fc.record(
  {
    labels: fc.dictionary(fc.constantFrom("l1", "l2"), text, { noNullPrototype: true }),
    finalizers: fc.uniqueArray(fc.constantFrom("f1", "f2", "f3")),
  },
  { requiredKeys: [] },
);
const pod = fc.record(
  {
    metadata,
    spec: fc.record(
      {
        containers: fc.uniqueArray(container, { selector: (one) => one.name }),
        volumes: fc.uniqueArray(volume, { selector: (one) => one.name }),
        tolerations: fc.array(fc.record({ key: text }), { maxLength: 2 }),
      },
      { requiredKeys: ["containers"] },
    ),
  },
  { requiredKeys: ["spec"] },
);

describe("threeWayPatch()", () => {
  test("of a manifest applied before turns the object into the new manifest", () => {
    fc.assert(
      fc.property(pod, pod, (from, to) => {
        const patch = threeWayPatch({ original: from, modified: to, current: from }, podType);
        expect(applyStrategicMergePatch(from, patch, podType)).toEqual(to);
      }),
    );
  });

  test("is empty when nothing changed", () => {
    fc.assert(
      fc.property(pod, (one) => {
        expect(threeWayPatch({ original: one, modified: one, current: one }, podType)).toEqual({});
      }),
    );
  });

  test("without a type is a JSON merge patch", () => {
    const states = { original: { a: 1, b: [1] }, modified: { b: [2] }, current: { a: 1, b: [1], c: 3 } };
    expect(threeWayPatch(states, undefined)).toEqual({ a: null, b: [2] });
  });

  test("keeps what others wrote and removes what the earlier manifest had", () => {
    const original = {
      spec: {
        containers: [
          { name: "a", image: "a:1", tty: true },
          { name: "old", image: "o" },
        ],
      },
    };
    const current = {
      metadata: { annotations: { theirs: "x" } },
      spec: {
        containers: [
          { name: "a", image: "a:1", tty: true, imagePullPolicy: "Always" },
          { name: "old", image: "o" },
          { name: "injected", image: "i" },
        ],
      },
    };
    const modified = { spec: { containers: [{ name: "a", image: "a:2" }] } };
    const patch = threeWayPatch({ original, modified, current }, podType);
    expect(patch).toEqual({
      spec: {
        "$setElementOrder/containers": [{ name: "a" }],
        containers: [
          { name: "a", image: "a:2", tty: null },
          { name: "old", $patch: "delete" },
        ],
      },
    });
    expect(applyStrategicMergePatch(current, patch, podType)).toEqual({
      metadata: { annotations: { theirs: "x" } },
      spec: {
        containers: [
          { name: "a", image: "a:2", imagePullPolicy: "Always" },
          { name: "injected", image: "i" },
        ],
      },
    });
  });

  test("names the members of a union that stay", () => {
    const original = { spec: { volumes: [{ name: "v", emptyDir: {} }] } };
    const modified: JsonObject = { spec: { volumes: [{ name: "v", hostPath: { path: "/x" } }] } };
    expect(threeWayPatch({ original, modified, current: original }, podType)).toEqual({
      spec: {
        "$setElementOrder/volumes": [{ name: "v" }],
        volumes: [{ $retainKeys: ["hostPath", "name"], name: "v", hostPath: { path: "/x" }, emptyDir: null }],
      },
    });
  });

  test("refuses an item without its merge key", () => {
    const modified = { spec: { containers: [{ image: "x" }] } };
    const current = { spec: { containers: [{ name: "a" }] } };
    expect(() => threeWayPatch({ original: {}, modified, current }, podType)).toThrow(
      new Error("map: map[image:x] does not contain declared merge key: name"),
    );
  });
});

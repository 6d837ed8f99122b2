import { describe, expect, test } from "bun:test";
import { applyJsonPatch } from "./json-patch.ts";

const document = { a: { b: [1, 2, 3] }, "x/y": 1, "m~n": null };

describe("applyJsonPatch()", () => {
  test.each([
    [[{ op: "add", path: "/a/c", value: 4 }], { ...document, a: { b: [1, 2, 3], c: 4 } }],
    [[{ op: "add", path: "/a/b/1", value: 9 }], { ...document, a: { b: [1, 9, 2, 3] } }],
    [[{ op: "add", path: "/a/b/-", value: 9 }], { ...document, a: { b: [1, 2, 3, 9] } }],
    [[{ op: "add", path: "/a/b/3", value: 9 }], { ...document, a: { b: [1, 2, 3, 9] } }],
    [[{ op: "add", path: "", value: { z: 1 } }], { z: 1 }],
    [[{ op: "add", path: "/a", value: null }], { ...document, a: null }],
    [[{ op: "remove", path: "/a/b/0" }], { ...document, a: { b: [2, 3] } }],
    [[{ op: "remove", path: "/x~1y" }], { a: document.a, "m~n": null }],
    [[{ op: "replace", path: "/m~0n", value: 2 }], { ...document, "m~n": 2 }],
    [[{ op: "replace", path: "/a/b/2", value: 7 }], { ...document, a: { b: [1, 2, 7] } }],
    [[{ op: "copy", from: "/a/b", path: "/c" }], { ...document, c: [1, 2, 3] }],
    [[{ op: "move", from: "/a/b/0", path: "/a/b/2" }], { ...document, a: { b: [2, 3, 1] } }],
    [[{ op: "move", from: "/a", path: "/a" }], document],
    [[{ op: "test", path: "/a/b", value: [1, 2, 3] }], document],
    [[{ op: "test", path: "/nothing", value: null }], document],
    [[{ op: "replace", path: "/q", value: 1 }], { ...document, q: 1 }],
    [[{ op: "copy", from: "/q", path: "/r" }], { ...document, r: null }],
    [[{ op: "remove", path: "/a/b/-1" }], { ...document, a: { b: [1, 2] } }],
    [[], document],
  ])("%j", (patch, expected) => {
    const before = structuredClone(document);
    expect(applyJsonPatch(document, patch)).toEqual(expected);
    expect(document).toEqual(before);
  });

  test.each([
    [{ op: "test", path: "/a/b/0", value: 2 }, "testing value /a/b/0 failed: test failed"],
    [
      { op: "remove", path: "/q" },
      "error in remove for path: '/q': Unable to remove nonexistent key: q: missing value",
    ],
    [
      { op: "remove", path: "/a/b/3" },
      "error in remove for path: '/a/b/3': Unable to access invalid index: 3: invalid index referenced",
    ],
    [
      { op: "replace", path: "/a/b/3", value: 1 },
      "replace operation does not apply: doc is missing key: /a/b/3: missing value",
    ],
    [
      { op: "replace", path: "/q/r", value: 1 },
      "replace operation does not apply: doc is missing path: /q/r: missing value",
    ],
    [
      { op: "add", path: "/q/r", value: 1 },
      'add operation does not apply: doc is missing path: "/q/r": missing value',
    ],
    [
      { op: "add", path: "/a/b/x", value: 1 },
      "error in add for path: '/a/b/x': strconv.Atoi: parsing \"x\": invalid syntax",
    ],
    [
      { op: "add", path: "/a/b/5", value: 1 },
      "error in add for path: '/a/b/5': Unable to access invalid index: 5: invalid index referenced",
    ],
    [
      { op: "copy", from: "/q/r", path: "/r" },
      "copy operation does not apply: doc is missing from path: /q/r: missing value",
    ],
    [
      { op: "move", from: "/q", path: "/r" },
      "error in move for path: 'q': Unable to remove nonexistent key: q: missing value",
    ],
    [
      { op: "test", path: "/q/r", value: 1 },
      "test operation does not apply: is missing path: /q/r: missing value",
    ],
    [
      { op: "move", from: "/a", path: "/a/b" },
      "move operation does not apply: doc is missing destination path: /a/b: missing value",
    ],
    [{ op: "add", path: "/q" }, "add operation has no value: missing value"],
    [{ op: "remove", path: "" }, "error in remove for path: '': the whole document cannot be removed"],
    [{ op: "merge", path: "/a" }, "Unexpected kind: merge"],
    [
      { op: "add", path: "/constructor/prototype/x", value: 1 },
      'add operation does not apply: doc is missing path: "/constructor/prototype/x": missing value',
    ],
  ])("refuses %j", (operation, cause) => {
    expect(refusal([operation])).toEqual({
      reason: "Invalid",
      message: "the server rejected our request due to an error in our request",
      details: { causes: [{ message: cause, field: "patch" }] },
    });
  });

  test("refuses what is no list of operations, and too many of them", () => {
    const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "/x", value: null }));
    expect(
      [refusal({}), refusal(["x"]), refusal(many)].map(({ reason, message }) => [reason, message]),
    ).toEqual([
      ["BadRequest", "error decoding patch: a JSON patch must be a list of operations"],
      ["BadRequest", "error decoding patch: an operation must be an object"],
      ["RequestEntityTooLarge", "The allowed maximum operations in a JSON patch is 10000, got 10001"],
    ]);
  });

  test("refuses copies that double the document again and again", () => {
    const doubling = Array.from({ length: 60 }, (_, index) => ({
      op: "copy",
      from: "/a",
      path: `/a/${index}`,
    }));
    expect(() => applyJsonPatch({ a: {} }, doubling)).toThrow("the server rejected our request");
  });

  test("takes __proto__ as a key like any other", () => {
    const patch: unknown = JSON.parse('[{"op":"add","path":"/__proto__","value":{"polluted":true}}]');
    const result = applyJsonPatch({}, patch);
    expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect((result as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

/** So many lists in each other. */
function nested(depth: number): unknown {
  return depth === 0 ? null : [nested(depth - 1)];
}

test("a patch nests a document no deeper than a text may be nested", () => {
  const bottom = "/0".repeat(300);
  const wrap = [
    { op: "add", path: "/t", value: nested(300) },
    { op: "move", from: "/x", path: `/t${bottom}` },
    { op: "move", from: "/t", path: "/x" },
  ];
  const once = applyJsonPatch({ x: 1 }, wrap);
  expect(() => applyJsonPatch({ x: 1 }, Array.from({ length: 100 }, () => wrap).flat())).toThrow(
    "the server rejected",
  );
  expect(() => applyJsonPatch(once, wrap)).toThrow("the server rejected");
  const back = { op: "move", from: `/x${"/0".repeat(299)}`, path: "/y" };
  const forth = { op: "move", from: "/y", path: `/x${"/0".repeat(299)}` };
  expect(applyJsonPatch(once, Array.from({ length: 20 }, () => [back, forth]).flat())).toEqual(once);
});

test("many operations on a large document are too many", () => {
  const large = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`k${index}`, index]));
  const patch = Array.from({ length: 1_000 }, (_, index) => ({
    op: "replace",
    path: `/k${index}`,
    value: "",
  }));
  expect(() => applyJsonPatch(large, patch)).toThrow(
    "1000 operations in a JSON patch are too many for a document of 50001 values",
  );
  expect(applyJsonPatch(large, patch.slice(0, 10))).toMatchObject({ k9: "", k10: 10 });
});

function refusal(patch: unknown): { reason: string; message: string; details: unknown } {
  try {
    applyJsonPatch(document, patch);
  } catch (error) {
    const { reason, message, details } = error as { reason: string; message: string; details: unknown };
    return { reason, message, details };
  }
  throw new Error("was not refused");
}

/** Manifests are read as kubectl reads them, and say where they are wrong. */
import { describe, expect, test } from "bun:test";
import { Problem } from "../kernel/problem.ts";
import { parseManifests } from "./manifests.ts";

function problemOf(text: string): Problem {
  try {
    parseManifests("pod.yaml", text);
  } catch (thrown) {
    if (thrown instanceof Problem) return thrown;
  }
  throw new Error("nothing was wrong with it");
}

describe("parseManifests()", () => {
  test("reads documents, Lists and JSON, and knows their lines", () => {
    const text = `# comment
apiVersion: v1
kind: Pod
metadata: { name: a }
---
# nothing here
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: b } }
`;
    expect(parseManifests("m.yaml", text).map(({ object, where }) => [object.kind, where])).toEqual([
      ["Pod", "m.yaml:2"],
      ["ConfigMap", "m.yaml:8"],
    ]);
    expect(parseManifests("m.json", '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}')).toHaveLength(
      1,
    );
  });

  test("reads scalars as kubectl does: YAML 1.1 booleans and octals, dates as text, merge keys", () => {
    const text = `
apiVersion: v1
kind: Pod
metadata: { name: a }
base: &base { mode: 0644, on: yes }
merged: { <<: *base, day: 2026-11-21 }
`;
    expect(parseManifests("m.yaml", text)[0]?.object["merged"]).toEqual({
      mode: 420,
      true: true,
      day: "2026-11-21",
    });
  });

  test("shows the place of broken YAML", () => {
    const problem = problemOf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: [a\n");
    expect(problem.code).toBe("E_MANIFEST_SYNTAX");
    expect(problem.message).toMatch(/^Cannot read pod\.yaml:\d+:\d+: .+\n.*\n +\^$/);
  });

  test.each([
    ["no kind", "apiVersion: v1\nmetadata: { name: a }", /"kind" is missing/],
    ["no object", "just text", /"apiVersion" and "kind" is missing/],
    ["no name", "apiVersion: v1\nkind: Pod\nmetadata: {}", /the Pod has no name/],
  ])("refuses a document with %s", (_, text, message) => {
    expect(problemOf(text)).toMatchObject({
      code: "E_NOT_AN_OBJECT",
      message: expect.stringMatching(message),
    });
  });

  test("refuses alias bombs", () => {
    const rows = Array.from(
      { length: 30 },
      (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`,
    );
    expect(problemOf(`a0: &a0 [x]\n${rows.join("\n")}`)).toMatchObject({ code: "E_MANIFEST_SYNTAX" });
  });
});

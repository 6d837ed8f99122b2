import { describe, expect, test } from "bun:test";
import { assert, property, string } from "fast-check";
import { negotiate, preferredEncoding } from "./accept.ts";
import { asBoolean, integer, listOptions } from "./request-options.ts";
import { pathSegments, resolveResource } from "./resource-path.ts";
import { WarningList } from "./warning-list.ts";

describe("negotiate()", () => {
  const V1 = { version: "v1" } as const;
  test.each([
    [undefined, { encoding: "json", shape: "Object", ...V1 }],
    ["*/*", { encoding: "json", shape: "Object", ...V1 }],
    ["application/yaml", { encoding: "yaml", shape: "Object", ...V1 }],
    ["application/vnd.kubernetes.protobuf,application/json", { encoding: "json", shape: "Object", ...V1 }],
    ["application/json;q=0.1, application/yaml", { encoding: "yaml", shape: "Object", ...V1 }],
    [
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
      { encoding: "json", shape: "Table", ...V1 },
    ],
    [
      "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
      { encoding: "json", shape: "Table", version: "v1beta1" },
    ],
    // What we do not know is passed over, as the real server does.
    [
      "application/json;as=Table;v=v9;g=meta.k8s.io, application/json",
      { encoding: "json", shape: "Object", ...V1 },
    ],
    ["text/html, application/json;as=Whatever, */*;q=0.1", { encoding: "json", shape: "Object", ...V1 }],
  ] as const)("%s", (accept, expected) => {
    expect(negotiate(accept)).toEqual(expected);
  });

  test("refuses what cannot be written, while failures are written all the same", () => {
    for (const type of ["text/html", "constructor", "__proto__"])
      expect(() => negotiate(type)).toThrow("only the following media types are accepted");
    expect(preferredEncoding("text/html")).toBe("json");
    expect(preferredEncoding("application/yaml")).toBe("yaml");
  });

  test("never fails in another way", () => {
    assert(
      property(string(), (accept) => {
        preferredEncoding(accept);
        try {
          negotiate(accept);
        } catch (error) {
          expect(error).toHaveProperty("reason", "NotAcceptable");
        }
      }),
    );
  });
});

describe("resolveResource()", () => {
  const shortOf = (path: string) => {
    const { info, namespace, name, subresource } = resolveResource(pathSegments(path));
    return [info.groupResource, namespace, name, subresource?.name];
  };

  test.each([
    ["/api/v1/pods", ["pods", "", undefined, undefined]],
    ["/api/v1/namespaces/a/pods/b/log", ["pods", "a", "b", "log"]],
    ["/api/v1/namespaces/a/pods/", ["pods", "a", undefined, undefined]],
    ["/api/v1/namespaces", ["namespaces", "", undefined, undefined]],
    ["/api/v1/namespaces/a", ["namespaces", "", "a", undefined]],
    ["/api/v1/namespaces/a/status", ["namespaces", "", "a", "status"]],
    ["/api/v1/namespaces/a/finalize", ["namespaces", "", "a", "finalize"]],
    ["/apis/apps/v1/namespaces/a/deployments/b/scale", ["deployments.apps", "a", "b", "scale"]],
    ["/api/v1/nodes/n%41", ["nodes", "", "nA", undefined]],
    [
      "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
      ["clusterroles.rbac.authorization.k8s.io", "", "system:node", undefined],
    ],
  ])("%s", (path, expected) => {
    expect(shortOf(path)).toEqual(expected);
  });

  test.each([
    "/api",
    "/apis/apps",
    "/api/v2/pods",
    "/apis/v1/pods",
    "/api/v1/pods/x",
    "/api/v1/namespaces/a/nodes/b",
    "/api/v1/namespaces/a/pods/b/bogus",
    "/api/v1/namespaces/a/pods/b/log/c",
    "/apis/apps/v1/pods",
    "/metrics",
  ])("%s is not served", (path) => {
    expect(() => shortOf(path)).toThrow("the server could not find the requested resource");
  });

  test.each(["..", ".", "a%2fb", "a%25b", "%2e%2e"])("a name such as %s never gets further", (name) => {
    expect(() => shortOf(`/api/v1/namespaces/default/pods/${name}`)).toThrow("invalid resource name");
    expect(() => shortOf(`/api/v1/namespaces/${name}/pods`)).toThrow("invalid resource name");
  });
});

describe("query parameters", () => {
  test("booleans are read as Go reads them", () => {
    expect(["true", "1", "", "yes", "false", "False", "0"].map(asBoolean)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test.each(["x", "1.5", "1e3", "0x10", "--1", " 1"])("%j is no integer", (text) => {
    expect(() => integer(new URLSearchParams({ limit: text }), "limit")).toThrow("invalid syntax");
  });

  test.each([
    ["resourceVersionMatch=Exact", "resourceVersionMatch is forbidden unless resourceVersion is provided"],
    [
      "resourceVersionMatch=Exact&resourceVersion=0",
      'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    ["resourceVersionMatch=Near&resourceVersion=5", 'Unsupported value: "Near"'],
    ["sendInitialEvents=true", "sendInitialEvents is forbidden for list"],
    [
      "watch=true&resourceVersionMatch=NotOlderThan&resourceVersion=5",
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    ],
  ])("%s is refused", (query, message) => {
    expect(() => listOptions(new URLSearchParams(query))).toThrow(message);
  });
});

test("WarningList says everything once, and cuts what no header could carry", () => {
  const few = new WarningList();
  ["a", "b", "a"].forEach((text) => few.add(text));
  expect(few.texts()).toEqual(["a", "b"]);
  const many = new WarningList();
  for (let i = 0; i < 1_000; i += 1) many.add(`${i}${"x".repeat(500)}`);
  expect(many.texts().join("").length).toBeLessThanOrEqual(4 * 1024);
});

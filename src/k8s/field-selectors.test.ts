import { describe, expect, test } from "bun:test";
import { parseFieldSelector } from "./field-selectors.ts";
import type { KubeObject } from "./object.ts";

const pod: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "shop" },
  spec: { nodeName: "pillion", restartPolicy: "Always" },
  status: { phase: "Running", podIP: "10.0.0.4" },
};

describe("parseFieldSelector()", () => {
  test.each([
    ["", true],
    ["metadata.name=web", true],
    ["metadata.name==web,metadata.namespace=shop", true],
    ["metadata.name!=web", false],
    ["status.phase!=Pending,spec.nodeName=pillion", true],
    ["spec.host=pillion", true],
    ["spec.hostNetwork=false", true],
    ["status.nominatedNodeName=", true],
    ["metadata.name=a\\,b", false],
  ])("%p on a pod is %p", (selector, expected) => {
    expect(parseFieldSelector(selector, "pods").matches(pod)).toBe(expected);
  });

  test.each([
    ["pods", "spec.bogus=x", "field label not supported: spec.bogus"],
    [
      "configmaps",
      "data=x",
      '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    [
      "configmaps",
      "__proto__=x",
      '"__proto__" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    ["pods", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"],
    ["pods", "metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"],
    ["pods", "metadata.name=a=b", "invalid field selector: unescaped character in value: 61"],
  ])("refuses %s %p", (resource, selector, message) => {
    expect(() => parseFieldSelector(selector, resource)).toThrow(new Error(message));
  });

  test("finds events by the object they are about, in either spelling of the API", () => {
    const event = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: "web.1", namespace: "shop" },
      involvedObject: { kind: "Pod", name: "web", uid: "u1" },
      source: { component: "kubelet" },
      type: "Normal",
    };
    const text =
      "involvedObject.kind=Pod,involvedObject.name=web,involvedObject.uid=u1,source=kubelet,type!=Warning";
    expect(parseFieldSelector(text, "events").matches(event)).toBe(true);
    expect(parseFieldSelector("regarding.name=web", "events.events.k8s.io").matches(event)).toBe(true);
  });

  test("exact() tells the name that is asked for", () => {
    const selector = parseFieldSelector("metadata.name=web,status.phase!=Failed", "pods");
    expect([selector.exact("metadata.name"), selector.exact("status.phase")]).toEqual(["web", undefined]);
  });

  test("unescapes commas and equals signs", () => {
    expect(parseFieldSelector("metadata.name=a\\,b\\=c\\\\", "pods").requirements).toEqual([
      { field: "metadata.name", operator: "=", value: "a,b=c\\" },
    ]);
  });
});

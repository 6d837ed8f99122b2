import { describe, expect, test } from "bun:test";
import { applyMerge } from "./apply-merge.ts";
import { mergeTypeOf } from "./merge-type.ts";

const podType = mergeTypeOf("v1", "Pod");
const serviceType = mergeTypeOf("v1", "Service");

describe("applyMerge()", () => {
  test("merges containers by name and keeps what others set", () => {
    const current = {
      spec: {
        containers: [
          { name: "a", image: "a:1", tty: true },
          { name: "z", image: "z" },
        ],
      },
    };
    const applied = {
      spec: {
        containers: [
          { name: "a", image: "a:2" },
          { name: "b", image: "b" },
        ],
      },
    };
    expect(applyMerge(current, applied, podType)).toEqual({
      spec: {
        containers: [
          { name: "a", image: "a:2", tty: true },
          { name: "z", image: "z" },
          { name: "b", image: "b" },
        ],
      },
    });
  });

  test("tells Service ports of two protocols apart, TCP being the default", () => {
    const current = { spec: { ports: [{ port: 53, protocol: "TCP", nodePort: 30053 }] } };
    const applied = {
      spec: {
        ports: [
          { port: 53, name: "tcp" },
          { port: 53, protocol: "UDP" },
        ],
      },
    };
    expect(applyMerge(current, applied, serviceType)).toEqual({
      spec: {
        ports: [
          { port: 53, protocol: "TCP", nodePort: 30053, name: "tcp" },
          { port: 53, protocol: "UDP" },
        ],
      },
    });
  });

  test("replaces atomic lists and maps, joins sets, removes nulls", () => {
    const current = {
      metadata: { finalizers: ["a"], labels: { x: "1" } },
      spec: { selector: { app: "old" }, externalIPs: ["1.1.1.1"], type: "ClusterIP" },
    };
    const applied = {
      metadata: { finalizers: ["b"], labels: { y: "2" } },
      spec: { selector: { tier: "new" }, externalIPs: ["2.2.2.2"], type: null },
    };
    expect(applyMerge(current, applied, serviceType)).toEqual({
      metadata: { finalizers: ["a", "b"], labels: { x: "1", y: "2" } },
      spec: { selector: { tier: "new" }, externalIPs: ["2.2.2.2"] },
    });
  });

  test("creates from nothing, without nulls", () => {
    expect(applyMerge({}, { metadata: { name: "a", labels: null } }, podType)).toEqual({
      metadata: { name: "a" },
    });
  });

  test("applied twice changes nothing more", () => {
    const applied = { spec: { containers: [{ name: "a", ports: [{ containerPort: 1 }] }] } };
    const once = applyMerge({}, applied, podType);
    expect(applyMerge(once, applied, podType)).toEqual(once);
  });
});

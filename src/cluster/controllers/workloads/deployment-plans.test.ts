import { describe, expect, test } from "bun:test";
import { newestAnnotations } from "./deployment-annotations.ts";
import { fnv32a, templateHash } from "./deployment-hash.ts";
import { rolloutLimits } from "./deployment-limits.ts";
import { templateOf } from "./replica-set.test-support.ts";

test.each<[number, number | string, number | string, number, number]>([
  [4, "25%", "25%", 1, 1],
  [3, "25%", "25%", 1, 0],
  [10, "25%", "25%", 3, 2],
  [10, 0, "5%", 0, 1],
  [3, "1%", 0, 1, 0],
  [2, 0, 5, 0, 2],
  [0, "25%", "25%", 0, 0],
])(
  "%d replicas with surge %p and unavailable %p: %d more, %d fewer [D4]",
  (replicas, maxSurge, maxUnavailable, surge, unavailable) => {
    const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } };
    const spec = { replicas, strategy, selector: {}, template: {} };
    expect(rolloutLimits({ spec })).toEqual({
      desired: replicas,
      maxSurge: surge,
      maxUnavailable: unavailable,
    });
  },
);

describe("templateHash()", () => {
  test("is FNV-32a, spelled without vowels [D2]", () => {
    expect([fnv32a(""), fnv32a("a"), fnv32a("foobar")]).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
    expect(templateHash(templateOf("v1"))).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]+$/);
  });

  test("does not see the order of fields, but every change and every collision [D2]", () => {
    const { metadata, spec } = templateOf("v1");
    const hash = templateHash(templateOf("v1"));
    expect(
      templateHash({
        ...(spec === undefined ? {} : { spec }),
        ...(metadata === undefined ? {} : { metadata }),
      }),
    ).toBe(hash);
    expect(new Set([hash, templateHash(templateOf("v2")), templateHash(templateOf("v1"), 1)]).size).toBe(3);
  });
});

test("annotations are handed on, but not kubectl's own memory [D8]", () => {
  const set = { apiVersion: "apps/v1", kind: "ReplicaSet", metadata: { annotations: { own: "1" } } };
  const annotations = { note: "2", "kubectl.kubernetes.io/last-applied-configuration": "{}" };
  const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { annotations } };
  expect(newestAnnotations(set, deployment, 4)).toEqual({
    own: "1",
    note: "2",
    "deployment.kubernetes.io/revision": "4",
  });
});

import { describe, expect, test } from "bun:test";
import { resourceAt, resourceOf, resourceOfKind, resources } from "./catalogue.ts";

const EVERY_VERB = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

describe("the catalogue", () => {
  test("describes deployments as a real server does", () => {
    expect(resourceOf("deployments.apps")).toEqual({
      group: "apps",
      version: "v1",
      plural: "deployments",
      singular: "deployment",
      kind: "Deployment",
      namespaced: true,
      groupResource: "deployments.apps",
      shortNames: ["deploy"],
      categories: ["all"],
      verbs: EVERY_VERB,
      subresources: [
        {
          name: "scale",
          kind: "Scale",
          group: "autoscaling",
          version: "v1",
          verbs: ["get", "patch", "update"],
        },
        {
          name: "status",
          kind: "Deployment",
          group: "apps",
          version: "v1",
          verbs: ["get", "patch", "update"],
        },
      ],
      hasStatus: true,
      stored: true,
      actedOn: true,
    });
  });

  test("finds one resource by name, path and kind", () => {
    const pods = resourceOf("pods");
    expect(pods?.subresources.map(({ name }) => name)).toEqual([
      "attach",
      "binding",
      "ephemeralcontainers",
      "eviction",
      "exec",
      "log",
      "portforward",
      "proxy",
      "resize",
      "status",
    ]);
    expect(resourceAt("", "v1", "pods")).toBe(pods);
    expect(resourceOfKind("v1", "Pod")).toBe(pods);
    expect(resourceOfKind("v1", "Event")?.groupResource).toBe("events");
    expect(resourceOfKind("v1", "toString")).toBeUndefined();
  });

  test("lists the core group first and no resource or short name twice", () => {
    expect(resources[0]?.group).toBe("");
    const names = resources.map(({ groupResource }) => groupResource);
    expect(new Set(names).size).toBe(names.length);
    const short = resources.flatMap(({ shortNames }) => shortNames);
    expect(short).toHaveLength(29);
    expect(new Set(short).size).toBe(short.length);
  });

  test("stores everything but reviews, bindings and what is measured", () => {
    const virtual = resources.filter(({ stored }) => !stored).map(({ kind, verbs }) => [kind, ...verbs]);
    expect(virtual).toEqual([
      ["Binding", "create"],
      ["SelfSubjectReview", "create"],
      ["TokenReview", "create"],
      ["LocalSubjectAccessReview", "create"],
      ["SelfSubjectAccessReview", "create"],
      ["SelfSubjectRulesReview", "create"],
      ["SubjectAccessReview", "create"],
      ["NodeMetrics", "get", "list"],
      ["PodMetrics", "get", "list"],
    ]);
  });

  test("`kubectl get all` covers ten resources", () => {
    const all = resources.filter(({ categories }) => categories.includes("all"));
    expect(all.map(({ plural }) => plural)).toHaveLength(10);
  });
});

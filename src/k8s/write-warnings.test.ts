import { describe, expect, test } from "bun:test";
import { podSpecWarnings } from "./pod-warnings.ts";
import { writeWarnings } from "./write-warnings.ts";

const containers = [{ name: "c", image: "i", env: [{ name: "A" }, { name: "A", value: "2" }] }];
const HIDES = 'env[1]: hides previous definition of "A", which may be dropped when using apply';

describe("podSpecWarnings()", () => {
  test.each<[object, string[]]>([
    [{ containers: [{ name: "c", env: [{ name: "A" }, { name: "A", value: "$(A):x" }] }] }, []],
    [{ containers }, [`spec.containers[0].${HIDES}`]],
    [{ initContainers: containers }, [`spec.initContainers[0].${HIDES}`]],
    [
      {
        containers: [
          {
            ports: [
              { containerPort: 80 },
              { containerPort: 80, protocol: "TCP" },
              { containerPort: 80, protocol: "UDP" },
            ],
          },
        ],
      },
      ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
    ],
    [
      {
        containers: [
          { ports: [{ name: "a", containerPort: 1 }] },
          { ports: [{ name: "a", containerPort: 2 }] },
        ],
      },
      [
        'spec.containers[1].ports[0]: duplicate port name "a" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]',
      ],
    ],
    [
      {
        containers: [
          {
            resources: { limits: { memory: "100m", cpu: "100m" }, requests: { "ephemeral-storage": "1.5" } },
          },
          { resources: { limits: { memory: "1.5Ki" } } },
        ],
      },
      [
        'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        'spec.containers[0].resources.requests[ephemeral-storage]: fractional byte value "1.5" is invalid, must be an integer',
      ],
    ],
    [
      { nodeSelector: { "beta.kubernetes.io/os": "linux" }, terminationGracePeriodSeconds: -1 },
      [
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
      ],
    ],
  ])("%j", (spec, expected) => {
    expect(podSpecWarnings(spec, "spec")).toEqual(expected);
  });
});

describe("writeWarnings()", () => {
  const object = (name: string, spec: object, annotations: Record<string, string> = {}) => ({
    apiVersion: "v1",
    kind: "Any",
    metadata: { name, annotations },
    spec,
  });
  const template = { spec: { containers } };

  test.each<[string, object, string]>([
    ["pods", { containers }, "spec.containers[0]"],
    ["deployments.apps", { template }, "spec.template.spec.containers[0]"],
    ["jobs.batch", { template }, "spec.template.spec.containers[0]"],
    [
      "cronjobs.batch",
      { jobTemplate: { spec: { template } } },
      "spec.jobTemplate.spec.template.spec.containers[0]",
    ],
  ])("of %s say where", (resource, spec, path) => {
    expect(writeWarnings(resource, object("a", spec), undefined)).toEqual([`${path}.${HIDES}`]);
    expect(writeWarnings(resource, object("a", spec), object("a", spec))).toEqual([]);
  });

  test("name what a name is used for", () => {
    expect(writeWarnings("deployments.apps", object("a.b", {}), undefined)).toEqual([
      "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
    ]);
    expect(writeWarnings("pods", object("a.b", {}), undefined)).toEqual([
      "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
    ]);
  });

  test("tell of the older way to choose an Ingress class, once", () => {
    const ingress = object("a", {}, { "kubernetes.io/ingress.class": "nginx" });
    expect(writeWarnings("ingresses.networking.k8s.io", ingress, undefined)).toEqual([
      `annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`,
    ]);
    expect(writeWarnings("ingresses.networking.k8s.io", ingress, ingress)).toEqual([]);
  });

  test("there are none for most", () => {
    expect(writeWarnings("configmaps", object("a.b", {}), undefined)).toEqual([]);
  });
});

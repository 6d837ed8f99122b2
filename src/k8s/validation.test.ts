import { describe, expect, test } from "bun:test";
import { apiVersionOf, resources } from "./catalogue.ts";
import { applyDefaults } from "./defaults.ts";
import { withGeneratedSelector } from "./generated-selector.ts";
import type { KubeObject } from "./object.ts";
import { StatusError } from "./status-error.ts";
import { refuseInvalidChange, refuseInvalidNew } from "./validation.ts";

function object(type: string, rest: Record<string, unknown> = {}, name = "x"): KubeObject {
  const [apiVersion = "", kind = ""] = type.split(" ");
  const whole = applyDefaults({ apiVersion, kind, metadata: { name, namespace: "shop", uid: "u" }, ...rest });
  return kind === "Job" ? withGeneratedSelector(whole) : whole;
}

function faults(run: () => void): string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  }
}

const creating = (one: KubeObject) => faults(() => refuseInvalidNew(one, { namespaced: true }));
const megabyte = "x".repeat(1024 * 1024);

const template = { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "c", image: "i" }] } };
const selector = { matchLabels: { app: "x" } };
const jobTemplate = { spec: { ...template.spec, restartPolicy: "Never" } };

/** Kubernetes lets a Job have native sidecars, which would run for ever. */
function withSidecar(restartPolicy: string): Record<string, unknown> {
  const initContainers = [{ name: "side", image: "i", restartPolicy: "Always" }];
  return { spec: { ...template.spec, restartPolicy, initContainers } };
}

describe("refuseInvalidNew() accepts", () => {
  test.each<[string, Record<string, unknown>]>([
    ["v1 ConfigMap", { data: { "a.b": "c" }, binaryData: { d: "AA==" } }],
    ["v1 Secret", { stringData: { a: "b" } }],
    ["v1 Service", { spec: { ports: [{ port: 80 }] } }],
    ["v1 Service", { spec: { clusterIP: "None", clusterIPs: ["None"] } }],
    ["v1 Service", { spec: { type: "ExternalName", externalName: "db.example." } }],
    ["apps/v1 Deployment", { spec: { selector, template } }],
    ["apps/v1 StatefulSet", { spec: { selector, template, serviceName: "s" } }],
    ["apps/v1 DaemonSet", { spec: { selector, template } }],
    ["batch/v1 Job", { spec: { template: jobTemplate } }],
    ["batch/v1 Job", { spec: { template: withSidecar("OnFailure") } }],
    [
      "batch/v1 CronJob",
      {
        spec: {
          schedule: "* * * * *",
          timeZone: "Europe/Berlin",
          jobTemplate: { spec: { template: jobTemplate } },
        },
      },
    ],
  ])("a %s [J2]", (type, rest) => {
    expect(creating(object(type, rest))).toEqual([]);
  });
});

describe("refuseInvalidNew() refuses", () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    [
      "v1 ConfigMap",
      { data: { "a/b": "c", d: "" }, binaryData: { d: "AA==" } },
      [
        `data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
        'data[d]: Invalid value: "d": duplicate of key present in binaryData',
      ],
    ],
    ["v1 ConfigMap", { data: { a: `${megabyte}x` } }, ["[]: Too long: may not be more than 1048576 bytes"]],
    [
      "v1 Secret",
      { stringData: { a: `${megabyte}x` } },
      ["data: Too long: may not be more than 1048576 bytes"],
    ],
    [
      "v1 Secret",
      { type: "kubernetes.io/tls", stringData: { "tls.crt": "" } },
      ["data[tls.key]: Required value"],
    ],
    [
      "v1 Secret",
      { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "{" } },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid JSON'],
    ],
    ["v1 Service", {}, ["spec.ports: Required value"]],
    [
      "v1 Service",
      { spec: { ports: [{ port: 80 }, { port: 80, name: "B" }], type: "Cloud", sessionAffinity: "Cookie" } },
      [
        "spec.ports[0].name: Required value",
        `spec.ports[1].name: Invalid value: "B": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
        'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
        'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"',
        'spec.type: Unsupported value: "Cloud": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      "apps/v1 Deployment",
      { spec: { template } },
      [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
      ],
    ],
    [
      "apps/v1 Deployment",
      { spec: { selector: { matchLabels: { app: "y" } }, template, replicas: -1 } },
      [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
      ],
    ],
    [
      "apps/v1 Deployment",
      {
        spec: {
          selector,
          template: { ...template, spec: { containers: [{ name: "c" }], restartPolicy: "Never" } },
        },
      },
      [
        "spec.template.spec.containers[0].image: Required value",
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      ],
    ],
    [
      "batch/v1 Job",
      { spec: { template } },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      "batch/v1 CronJob",
      { spec: { timeZone: "Moon/Sea", jobTemplate: { spec: { template: jobTemplate } } } },
      [
        "spec.schedule: Required value",
        'spec.timeZone: Invalid value: "Moon/Sea": unknown time zone Moon/Sea',
      ],
    ],
  ])("a %s [D14, J2]", (type, rest, expected) => {
    expect(creating(object(type, rest))).toEqual(expected);
  });

  test("a namespace on a kind that has none, and none on a kind that has one", () => {
    const cluster = object("scheduling.k8s.io/v1 PriorityClass");
    expect(faults(() => refuseInvalidNew(cluster, { namespaced: false }))).toEqual([
      "metadata.namespace: Forbidden: not allowed on this type",
    ]);
    const bare = { ...object("v1 ConfigMap"), metadata: { name: "x" } };
    expect(creating(bare)).toEqual(["metadata.namespace: Required value"]);
  });

  test("no name at all, but not a name that is still to be generated", () => {
    const named = (metadata: object) =>
      creating({ ...object("v1 ConfigMap"), metadata: { namespace: "shop", ...metadata } });
    expect(named({})).toEqual(["metadata.name: Required value: name or generateName is required"]);
    expect(named({ generateName: "a-" })).toEqual([]);
    expect(named({ generateName: "A_b-" }).length).toBe(1);
  });

  test("annotations beyond 256 KiB", () => {
    const big = {
      ...object("v1 ConfigMap"),
      metadata: { name: "x", namespace: "shop", annotations: { a: megabyte } },
    };
    expect(creating(big)).toEqual(["metadata.annotations: Too long: may not be more than 262144 bytes"]);
  });
});

describe("refuseInvalidChange()", () => {
  const changing = (one: KubeObject, before: KubeObject) => faults(() => refuseInvalidChange(one, before));
  const frozen = "Forbidden: field is immutable when `immutable` is set";

  test("keeps immutable ConfigMaps and Secrets as they are [V13]", () => {
    const map = object("v1 ConfigMap", { immutable: true, data: { a: "b" } });
    expect(changing(map, map)).toEqual([]);
    expect(changing({ ...map, data: { a: "c" } }, map)).toEqual([`data: ${frozen}`]);
    expect(changing({ ...map, immutable: false }, map)).toEqual([`immutable: ${frozen}`]);
    const secret = object("v1 Secret", { immutable: true, data: { a: "Yg==" } });
    expect(changing({ ...secret, data: {} }, secret)).toEqual([`data: ${frozen}`]);
  });

  test("keeps a Secret's type and a selector", () => {
    const secret = object("v1 Secret");
    expect(changing({ ...secret, type: "other" }, secret)).toEqual([
      'type: Invalid value: "other": field is immutable',
    ]);
    const deployment = object("apps/v1 Deployment", { spec: { selector, template } });
    const labels = { app: "x", tier: "y" };
    const other = {
      selector: { matchLabels: { tier: "y" } },
      template: { ...template, metadata: { labels } },
    };
    expect(changing(object("apps/v1 Deployment", { spec: other }), deployment)).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"tier":"y"}}: field is immutable',
    ]);
  });
});

test("no kind makes the validation throw anything but Invalid, however empty the object", () => {
  for (const info of resources) {
    const empty = applyDefaults({ apiVersion: apiVersionOf(info), kind: info.kind, metadata: {} });
    expect(() => faults(() => refuseInvalidNew(empty, { namespaced: info.namespaced }))).not.toThrow();
    expect(() => faults(() => refuseInvalidChange(empty, empty))).not.toThrow();
  }
});

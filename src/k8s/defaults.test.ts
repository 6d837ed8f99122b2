import { describe, expect, test } from "bun:test";
import { applyDefaults } from "./defaults.ts";
import { hasLatestTag } from "./image-tag.ts";
import type { KubeObject } from "./object.ts";

function object(apiVersion: string, kind: string, rest: Record<string, unknown> = {}): KubeObject {
  return { apiVersion, kind, metadata: { name: "x", namespace: "default" }, ...rest };
}

function defaulted(input: KubeObject): Record<string, unknown> {
  const before = structuredClone(input);
  const result = applyDefaults(input);
  expect(input).toEqual(before);
  expect(applyDefaults(result)).toEqual(result);
  const { apiVersion: _a, kind: _k, metadata: _m, ...rest } = result;
  return rest;
}

const container = {
  name: "c",
  image: "nginx",
  imagePullPolicy: "Always",
  resources: {},
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
};

const podSpec = {
  containers: [container],
  dnsPolicy: "ClusterFirst",
  restartPolicy: "Always",
  schedulerName: "default-scheduler",
  securityContext: {},
  terminationGracePeriodSeconds: 30,
};

const template = {
  metadata: { labels: { app: "x" } },
  spec: { containers: [{ name: "c", image: "nginx" }] },
};

describe("applyDefaults() of a Pod", () => {
  test("fills what kubectl shows of the smallest pod [O1, O2]", () => {
    const pod = object("v1", "Pod", { spec: { containers: [{ name: "c", image: "nginx" }] } });
    expect(defaulted(pod)).toEqual({ spec: { ...podSpec, enableServiceLinks: true }, status: {} });
  });

  test("fills probes, hooks, ports and references [PR1]", () => {
    const pod = object("v1", "Pod", {
      spec: {
        containers: [
          {
            name: "c",
            image: "nginx:1.27",
            ports: [{ containerPort: 80 }],
            env: [
              { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              { name: "B", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
            ],
            livenessProbe: { httpGet: { port: 80 }, failureThreshold: 5 },
            readinessProbe: { grpc: { port: 9 } },
            lifecycle: { preStop: { httpGet: { port: "web" } } },
          },
        ],
      },
    });
    const timing = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1 };
    expect(defaulted(pod)["spec"]).toMatchObject({
      containers: [
        {
          imagePullPolicy: "IfNotPresent",
          ports: [{ containerPort: 80, protocol: "TCP" }],
          env: [
            { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name", apiVersion: "v1" } } },
            { name: "B", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "0" } } },
          ],
          livenessProbe: { httpGet: { path: "/", port: 80, scheme: "HTTP" }, failureThreshold: 5, ...timing },
          readinessProbe: { grpc: { port: 9, service: "" }, failureThreshold: 3, ...timing },
          lifecycle: { preStop: { httpGet: { path: "/", port: "web", scheme: "HTTP" } } },
        },
      ],
    });
  });

  test("fills volumes, an empty one being an emptyDir", () => {
    const volumes = [
      { name: "a" },
      { name: "b", configMap: { name: "x" } },
      { name: "c", secret: { secretName: "x", defaultMode: 256 } },
      { name: "d", downwardAPI: { items: [{ path: "p", fieldRef: { fieldPath: "metadata.labels" } }] } },
      { name: "e", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } },
      { name: "f", hostPath: { path: "/x" } },
      { name: "g", emptyDir: { sizeLimit: "1024Mi" } },
    ];
    expect(defaulted(object("v1", "Pod", { spec: { containers: [], volumes } }))["spec"]).toMatchObject({
      volumes: [
        { name: "a", emptyDir: {} },
        { name: "b", configMap: { name: "x", defaultMode: 420 } },
        { name: "c", secret: { secretName: "x", defaultMode: 256 } },
        {
          name: "d",
          downwardAPI: {
            items: [{ path: "p", fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels" } }],
            defaultMode: 420,
          },
        },
        {
          name: "e",
          projected: {
            sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 3600 } }],
            defaultMode: 420,
          },
        },
        { name: "f", hostPath: { path: "/x", type: "" } },
        { name: "g", emptyDir: { sizeLimit: "1Gi" } },
      ],
    });
  });

  test("requests what is limited, and publishes ports of a pod in the host's network [O3, O4]", () => {
    const one = {
      name: "c",
      image: "a:1",
      resources: { limits: { cpu: "0.5", memory: "1024Mi" }, requests: { cpu: "100m" } },
    };
    const ports = [{ containerPort: 80 }, { containerPort: 81, hostPort: 8081 }];
    const pod = object("v1", "Pod", { spec: { hostNetwork: true, containers: [{ ...one, ports }] } });
    expect(defaulted(pod)["spec"]).toMatchObject({
      hostNetwork: true,
      containers: [
        {
          resources: { limits: { cpu: "500m", memory: "1Gi" }, requests: { cpu: "100m", memory: "1Gi" } },
          ports: [
            { containerPort: 80, hostPort: 80 },
            { containerPort: 81, hostPort: 8081 },
          ],
        },
      ],
    });
  });

  test("init containers request what is limited, too; a template gets neither requests nor ports [O3, O4]", () => {
    const limited = {
      name: "c",
      image: "a:1",
      resources: { limits: { cpu: "1" } },
      ports: [{ containerPort: 80 }],
    };
    const spec = { hostNetwork: true, containers: [limited], initContainers: [{ ...limited, name: "i" }] };
    const requested = { resources: { limits: { cpu: "1" }, requests: { cpu: "1" } } };
    expect(defaulted(object("v1", "Pod", { spec }))["spec"]).toMatchObject({
      containers: [requested],
      initContainers: [requested],
    });
    const deployment = defaulted(object("apps/v1", "Deployment", { spec: { template: { spec } } }));
    const { spec: inTemplate } = (deployment["spec"] as { template: { spec: typeof spec } }).template;
    for (const container of [...inTemplate.containers, ...inTemplate.initContainers]) {
      expect(container.resources).toEqual({ limits: { cpu: "1" } });
      expect(container.ports).toEqual([{ containerPort: 80, protocol: "TCP" }] as never);
    }
  });

  test("leaves out the zeros that protobuf always sends, but not those that mean something", () => {
    const spec = {
      containers: [
        {
          name: "c",
          image: "a:1",
          tty: false,
          command: [],
          securityContext: { runAsUser: 0 },
          env: [{ name: "A", value: "" }],
        },
      ],
      hostNetwork: false,
      nodeName: "",
      nodeSelector: {},
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      volumes: null,
    };
    expect(defaulted(object("v1", "Pod", { spec }))["spec"]).toEqual({
      ...podSpec,
      containers: [
        {
          ...container,
          image: "a:1",
          imagePullPolicy: "IfNotPresent",
          securityContext: { runAsUser: 0 },
          env: [{ name: "A" }],
        },
      ],
      automountServiceAccountToken: false,
      enableServiceLinks: true,
      terminationGracePeriodSeconds: 0,
    });
  });

  test("keeps both spellings of the service account", () => {
    const pod = object("v1", "Pod", { spec: { containers: [], serviceAccount: "robot" } });
    expect(defaulted(pod)["spec"]).toMatchObject({ serviceAccount: "robot", serviceAccountName: "robot" });
  });

  test("leaves what is no quantity for the validation", () => {
    const pod = object("v1", "Pod", {
      spec: { containers: [{ name: "c", resources: { limits: { cpu: "lots" } } }] },
    });
    expect(defaulted(pod)["spec"]).toMatchObject({
      containers: [{ resources: { limits: { cpu: "lots" } } }],
    });
  });
});

describe("applyDefaults() of other kinds", () => {
  test.each([
    ["v1", "ConfigMap", { data: { a: "" } }, { data: { a: "" } }],
    [
      "v1",
      "Secret",
      { stringData: { a: "b" }, data: { a: "eA==", c: "ZA==" } },
      { type: "Opaque", data: { a: "Yg==", c: "ZA==" } },
    ],
    ["v1", "ServiceAccount", {}, {}],
    [
      "v1",
      "Service",
      { spec: { ports: [{ port: 80 }, { port: 53, protocol: "UDP", targetPort: "dns" }] } },
      {
        spec: {
          type: "ClusterIP",
          sessionAffinity: "None",
          internalTrafficPolicy: "Cluster",
          ports: [
            { port: 80, protocol: "TCP", targetPort: 80 },
            { port: 53, protocol: "UDP", targetPort: "dns" },
          ],
        },
        status: { loadBalancer: {} },
      },
    ],
    [
      "apps/v1",
      "Deployment",
      { spec: { selector: { matchLabels: { app: "x" } }, template } },
      {
        spec: {
          replicas: 1,
          selector: { matchLabels: { app: "x" } },
          strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } },
          revisionHistoryLimit: 10,
          progressDeadlineSeconds: 600,
          template: { metadata: { labels: { app: "x" } }, spec: podSpec },
        },
        status: {},
      },
    ],
    [
      "batch/v1",
      "Job",
      {
        metadata: { name: "x", labels: { own: "1" } },
        spec: { template: { spec: { containers: [], restartPolicy: "Never" } } },
      },
      {
        spec: {
          parallelism: 1,
          completions: 1,
          backoffLimit: 6,
          completionMode: "NonIndexed",
          suspend: false,
          podReplacementPolicy: "TerminatingOrFailed",
          manualSelector: false,
          template: { spec: { ...podSpec, containers: [], restartPolicy: "Never" } },
        },
        status: {},
      },
    ],
    [
      "batch/v1",
      "CronJob",
      { spec: { schedule: "* * * * *", jobTemplate: { spec: { template } } } },
      {
        spec: {
          schedule: "* * * * *",
          concurrencyPolicy: "Allow",
          suspend: false,
          successfulJobsHistoryLimit: 3,
          failedJobsHistoryLimit: 1,
          jobTemplate: { spec: { template: { metadata: { labels: { app: "x" } }, spec: podSpec } } },
        },
        status: {},
      },
    ],
    [
      "v1",
      "PersistentVolumeClaim",
      { spec: {} },
      { spec: { volumeMode: "Filesystem", resources: {} }, status: { phase: "Pending" } },
    ],
    [
      "rbac.authorization.k8s.io/v1",
      "RoleBinding",
      {
        roleRef: { kind: "Role", name: "r" },
        subjects: [
          { kind: "User", name: "u" },
          { kind: "ServiceAccount", name: "s" },
        ],
      },
      {
        roleRef: { kind: "Role", name: "r", apiGroup: "rbac.authorization.k8s.io" },
        subjects: [
          { kind: "User", name: "u", apiGroup: "rbac.authorization.k8s.io" },
          { kind: "ServiceAccount", name: "s" },
        ],
      },
    ],
    [
      "networking.k8s.io/v1",
      "NetworkPolicy",
      { spec: { podSelector: {} } },
      { spec: { podSelector: {}, policyTypes: ["Ingress"] } },
    ],
    ["example.org/v1", "Widget", { spec: { empty: [] } }, { spec: { empty: [] } }],
  ])("%s %s [D1, CJ1]", (apiVersion, kind, given, expected) => {
    expect(defaulted(object(apiVersion, kind, given))).toEqual(expected);
  });

  test("gives a Job counts and policies that fit what it says [J1]", () => {
    const spec = { template: { spec: { containers: [], restartPolicy: "Never" } } };
    const job = (rest: object) =>
      defaulted(object("batch/v1", "Job", { spec: { ...spec, ...rest } }))["spec"];
    const never = { completionMode: "NonIndexed", suspend: false };
    expect(job({})).toMatchObject({ ...never, completions: 1, parallelism: 1, backoffLimit: 6 });
    expect(job({ parallelism: 3 })).not.toHaveProperty("completions");
    expect(job({ backoffLimitPerIndex: 1 })).toMatchObject({ backoffLimit: 2_147_483_647 });
    expect(job({})).toMatchObject({ podReplacementPolicy: "TerminatingOrFailed" });
    expect(job({ podFailurePolicy: { rules: [] } })).toMatchObject({ podReplacementPolicy: "Failed" });
  });

  test("labels a Namespace with its name", () => {
    const namespace = applyDefaults({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
    expect(namespace).toEqual({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "shop", labels: { "kubernetes.io/metadata.name": "shop" } },
      spec: {},
      status: { phase: "Active" },
    });
  });

  test("gives DaemonSets and StatefulSets their update strategies", () => {
    expect(defaulted(object("apps/v1", "DaemonSet", { spec: { template } }))["spec"]).toMatchObject({
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    });
    const claims = [{ metadata: { name: "data" }, spec: {} }];
    expect(
      defaulted(object("apps/v1", "StatefulSet", { spec: { template, volumeClaimTemplates: claims } }))[
        "spec"
      ],
    ).toMatchObject({
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      volumeClaimTemplates: [
        {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          spec: { volumeMode: "Filesystem" },
          status: { phase: "Pending" },
        },
      ],
    });
  });
});

test("an image is always pulled without tag and digest, or with the tag latest [O2]", () => {
  const digest = `@sha256:${"a".repeat(64)}`;
  expect(["nginx", "nginx:latest", "r.example:5000/a/b", `nginx:latest${digest}`].map(hasLatestTag)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(
    ["nginx:1", `nginx${digest}`, "r.example:5000/a:1", "Nginx", "", " nginx"].map(hasLatestTag),
  ).toEqual(Array.from({ length: 6 }, () => false));
});

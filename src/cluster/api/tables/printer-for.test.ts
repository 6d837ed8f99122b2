import { describe, expect, test } from "bun:test";
import { apiVersionOf, resources } from "../../../k8s/catalogue.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import { printerFor } from "./printer-for.ts";

const NOW = Date.parse("2026-01-01T01:00:00Z");
const metadata = { name: "x", namespace: "shop", creationTimestamp: "2026-01-01T00:55:00Z" };
const template = {
  metadata: { labels: { app: "x" } },
  spec: {
    containers: [
      { name: "a", image: "a:1" },
      { name: "b", image: "b:2" },
    ],
    nodeSelector: { z: "1", a: "2" },
  },
};
const selector = { matchLabels: { app: "x" } };

function cells(resource: string, rest: Record<string, unknown>): string {
  const object = {
    apiVersion: "v1",
    kind: "X",
    ...rest,
    metadata: { ...metadata, ...(rest["metadata"] as object) },
  };
  return printerFor(resource).row(object, NOW).join(" | ");
}

describe("printerFor()", () => {
  test.each<[string, Record<string, unknown>, string]>([
    [
      "nodes",
      {
        metadata: {
          labels: { "node-role.kubernetes.io/worker": "", "kubernetes.io/role": "app", other: "" },
        },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: "Ready", status: "True" }],
          addresses: [{ type: "InternalIP", address: "10.1.1.1" }],
          nodeInfo: {
            kubeletVersion: "v1.36.2",
            osImage: "Debian",
            kernelVersion: "6.1",
            containerRuntimeVersion: "pillion://0.1",
          },
        },
      },
      "x | Ready,SchedulingDisabled | app,worker | 5m | v1.36.2 | 10.1.1.1 | <none> | Debian | 6.1 | pillion://0.1",
    ],
    ["nodes", {}, "x | Unknown | <none> | 5m |  | <none> | <none> | <unknown> | <unknown> | <unknown>"],
    ["namespaces", { status: { phase: "Active" } }, "x | Active | 5m"],
    ["configmaps", { data: { a: "1" }, binaryData: { b: "" } }, "x | 2 | 5m"],
    ["secrets", { type: "Opaque", data: { a: "" } }, "x | Opaque | 1 | 5m"],
    ["serviceaccounts", {}, "x | 0 | 5m"],
    ["leases.coordination.k8s.io", { spec: { holderIdentity: "me" } }, "x | me | 5m"],
    [
      "events",
      {
        involvedObject: { kind: "Pod", name: "web", fieldPath: "spec.containers{a}" },
        type: "Warning",
        reason: "BackOff",
        message: "back-off\n",
        source: { component: "kubelet", host: "pillion" },
        firstTimestamp: "2026-01-01T00:10:00Z",
        lastTimestamp: "2026-01-01T00:59:30Z",
        count: 7,
      },
      "30s | Warning | BackOff | pod/web | spec.containers{a} | kubelet, pillion | back-off | 50m | 7 | x",
    ],
    [
      "events.events.k8s.io",
      {
        regarding: { kind: "Pod", name: "web" },
        type: "Normal",
        reason: "Pulled",
        note: "ok",
        eventTime: "2026-01-01T00:59:00.123456Z",
        reportingController: "kubelet",
        series: { count: 3, lastObservedTime: "2026-01-01T00:59:59.000000Z" },
      },
      "1s | Normal | Pulled | pod/web |  | kubelet | ok | 59s | 3 | x",
    ],
    [
      "services",
      {
        spec: {
          type: "NodePort",
          clusterIP: "10.96.0.9",
          clusterIPs: ["10.96.0.9"],
          selector: { app: "x" },
          ports: [
            { port: 80, nodePort: 30080, protocol: "TCP" },
            { port: 53, protocol: "UDP" },
          ],
        },
      },
      "x | NodePort | 10.96.0.9 | <none> | 80:30080/TCP,53/UDP | 5m | app=x",
    ],
    [
      "services",
      { spec: { type: "LoadBalancer", clusterIPs: ["1.2.3.4"] } },
      "x | LoadBalancer | 1.2.3.4 | <pending> | <none> | 5m | <none>",
    ],
    [
      "services",
      {
        spec: { type: "LoadBalancer", externalIPs: ["9.9.9.9"] },
        status: {
          loadBalancer: {
            ingress: [{ hostname: "b" }, { ip: "1.1.1.1" }, { ip: "127.0.0.1", ports: [{ port: 8000 }] }],
          },
        },
      },
      "x | LoadBalancer | <none> | 1.1.1.1,127.0.0.1:8000,b,9.9.9.9 | <none> | 5m | <none>",
    ],
    [
      "services",
      { spec: { type: "ExternalName", externalName: "db.example" } },
      "x | ExternalName | <none> | db.example | <none> | 5m | <none>",
    ],
    [
      "endpoints",
      {
        subsets: [
          { addresses: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }], ports: [{ port: 80 }, { port: 81 }] },
        ],
      },
      "x | 10.0.0.1:80,[fd00::1]:80,10.0.0.1:81 + 1 more... | 5m",
    ],
    ["endpoints", {}, "x | <none> | 5m"],
    [
      "endpointslices.discovery.k8s.io",
      { addressType: "IPv4", ports: [{ port: 80 }], endpoints: [{ addresses: ["10.0.0.1"] }] },
      "x | IPv4 | 80 | 10.0.0.1 | 5m",
    ],
    ["endpointslices.discovery.k8s.io", { addressType: "IPv4" }, "x | IPv4 | <unset> | <unset> | 5m"],
    [
      "deployments.apps",
      {
        spec: { replicas: 3, selector, template },
        status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
      },
      "x | 1/3 | 2 | 1 | 5m | a,b | a:1,b:2 | app=x",
    ],
    [
      "replicasets.apps",
      { spec: { replicas: 3, selector, template }, status: { replicas: 2, readyReplicas: 1 } },
      "x | 3 | 2 | 1 | 5m | a,b | a:1,b:2 | app=x",
    ],
    [
      "statefulsets.apps",
      { spec: { replicas: 3, template }, status: { readyReplicas: 1 } },
      "x | 1/3 | 5m | a,b | a:1,b:2",
    ],
    [
      "daemonsets.apps",
      {
        spec: { selector, template },
        status: { desiredNumberScheduled: 1, currentNumberScheduled: 1, numberReady: 0 },
      },
      "x | 1 | 1 | 0 | 0 | 0 | a=2,z=1 | 5m | a,b | a:1,b:2 | app=x",
    ],
    [
      "jobs.batch",
      {
        spec: { completions: 2, template, selector },
        status: { succeeded: 1, startTime: "2026-01-01T00:58:00Z" },
      },
      "x | Running | 1/2 | 2m | 5m | a,b | a:1,b:2 | app=x",
    ],
    [
      "jobs.batch",
      {
        spec: { parallelism: 3, template },
        status: {
          succeeded: 1,
          startTime: "2026-01-01T00:58:00Z",
          completionTime: "2026-01-01T00:58:05Z",
          conditions: [{ type: "Complete", status: "True" }],
        },
      },
      "x | Complete | 1/1 of 3 | 5s | 5m | a,b | a:1,b:2 | <none>",
    ],
    [
      "cronjobs.batch",
      {
        spec: { schedule: "* * * * *", suspend: false, jobTemplate: { spec: { template } } },
        status: { active: [{}] },
      },
      "x | * * * * * | <none> | False | 1 | <none> | 5m | a,b | a:1,b:2 | <none>",
    ],
    [
      "ingresses.networking.k8s.io",
      {
        spec: {
          ingressClassName: "nginx",
          tls: [{}],
          rules: ["a", "b", "", "c", "d"].map((host) => ({ host })),
        },
      },
      "x | nginx | a,b,c + 2 more... |  | 80, 443 | 5m",
    ],
    ["ingresses.networking.k8s.io", { spec: {} }, "x | <none> | * |  | 80 | 5m"],
    [
      "persistentvolumeclaims",
      {
        spec: { volumeName: "pv", storageClassName: "fast", volumeMode: "Filesystem" },
        status: {
          phase: "Bound",
          capacity: { storage: "1Gi" },
          accessModes: ["ReadWriteMany", "ReadWriteOnce"],
        },
      },
      "x | Bound | pv | 1Gi | RWO,RWX | fast | <unset> | 5m | Filesystem",
    ],
    [
      "persistentvolumeclaims",
      { spec: {}, status: { phase: "Pending" } },
      "x | Pending |  |  |  |  | <unset> | 5m | <unset>",
    ],
    [
      "persistentvolumes",
      {
        spec: {
          capacity: { storage: "1Gi" },
          accessModes: ["ReadOnlyMany"],
          persistentVolumeReclaimPolicy: "Retain",
          claimRef: { namespace: "n", name: "c" },
        },
        status: { phase: "Bound" },
      },
      "x | 1Gi | ROX | Retain | Bound | n/c |  | <unset> |  | 5m | <unset>",
    ],
    [
      "storageclasses.storage.k8s.io",
      {
        metadata: { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
        provisioner: "p",
      },
      "x (default) | p | Delete | Immediate | false | 5m",
    ],
    [
      "rolebindings.rbac.authorization.k8s.io",
      {
        roleRef: { kind: "Role", name: "r" },
        subjects: [
          { kind: "User", name: "u" },
          { kind: "User", name: "v" },
          { kind: "ServiceAccount", name: "s", namespace: "n" },
        ],
      },
      "x | Role/r | 5m | u, v |  | n/s",
    ],
    ["roles.rbac.authorization.k8s.io", {}, "x | 2026-01-01T00:55:00Z"],
    ["widgets.example.org", {}, "x | 5m"],
    ["networkpolicies.networking.k8s.io", { spec: { podSelector: {} } }, "x | <none> | 5m"],
    [
      "poddisruptionbudgets.policy",
      { spec: { minAvailable: "50%" }, status: { disruptionsAllowed: 1 } },
      "x | 50% | N/A | 1 | 5m",
    ],
    [
      "horizontalpodautoscalers.autoscaling",
      {
        spec: {
          scaleTargetRef: { kind: "Deployment", name: "d" },
          minReplicas: 1,
          maxReplicas: 5,
          metrics: [
            { type: "Resource", resource: { name: "cpu", target: { averageUtilization: 80 } } },
            { type: "Pods", pods: { target: { averageValue: "1k" } } },
            { type: "External", external: { target: { value: "3" } } },
          ],
        },
        status: {
          currentReplicas: 2,
          currentMetrics: [
            { type: "Resource", resource: { name: "cpu", current: { averageUtilization: 7 } } },
          ],
        },
      },
      "x | Deployment/d | cpu: 7%/80%, <unknown>/1k + 1 more... | 1 | 5 | 2 | 5m",
    ],
    [
      "replicationcontrollers",
      { spec: { replicas: 1, selector: { a: "b" }, template } },
      "x | 1 | 0 | 0 | 5m | a,b | a:1,b:2 | a=b",
    ],
    [
      "priorityclasses.scheduling.k8s.io",
      { value: 5, preemptionPolicy: "Never" },
      "x | 5 | false | 5m | Never",
    ],
    [
      "resourcequotas",
      { status: { hard: { "limits.cpu": "2", pods: "3", cpu: "1" }, used: { pods: "1" } } },
      "x | 5m | cpu: 0/1, pods: 1/3 | limits.cpu: 0/2",
    ],
    [
      "controllerrevisions.apps",
      {
        revision: 2,
        metadata: {
          ownerReferences: [{ apiVersion: "apps/v1", kind: "StatefulSet", name: "s", controller: true }],
        },
      },
      "x | statefulset.apps/s | 2 | 5m",
    ],
  ])("%s", (resource, object, expected) => {
    expect(cells(resource, object)).toBe(expected);
  });

  test("has as many cells as columns for every resource, even for the emptiest object", () => {
    const wrong = resources.filter((info) => {
      const object = applyDefaults({
        apiVersion: apiVersionOf(info),
        kind: info.kind,
        metadata: { name: "x" },
      });
      const printer = printerFor(info.groupResource);
      const row = printer.row(object, NOW);
      return row.length !== printer.columns.length || row.some((cell) => cell === undefined);
    });
    expect(wrong.map(({ groupResource }) => groupResource)).toEqual([]);
  });

  test("names one column as the object's name in every table", () => {
    const wrong = resources.filter(
      ({ groupResource }) =>
        printerFor(groupResource).columns.filter(({ format }) => format === "name").length !== 1,
    );
    expect(wrong).toEqual([]);
  });
});

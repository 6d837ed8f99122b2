import { expect, test } from "bun:test";
import { applyDefaults } from "../defaults.ts";
import type { KubeObject } from "../object.ts";
import { StatusError } from "../status-error.ts";
import { refuseInvalidChange, refuseInvalidNew } from "../validation.ts";

type Spec = Readonly<Record<string, unknown>>;

const selector = { matchLabels: { app: "x" } };
const mounts = [{ name: "data", mountPath: "/data" }];
const template = {
  metadata: { labels: { app: "x" } },
  spec: { containers: [{ name: "c", image: "i", volumeMounts: mounts }] },
};
const plain = { ...template, spec: { containers: [{ name: "c", image: "i" }] } };
const claim = {
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
};
const stateful = { selector, template, serviceName: "s", volumeClaimTemplates: [claim] };
const daemon = { selector, template: plain };

function workload(kind: string, spec: Spec): KubeObject {
  return applyDefaults({ apiVersion: "apps/v1", kind, metadata: { name: "a", namespace: "shop" }, spec });
}

function faults(check: () => void): string[] {
  try {
    check();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  }
  return [];
}

test("the claims of a StatefulSet are volumes of its pods, in place of the template's own of that name", () => {
  const create = (spec: Spec) =>
    faults(() => refuseInvalidNew(workload("StatefulSet", spec), { namespaced: true }));
  expect(create(stateful)).toEqual([]);
  const volumes = [{ name: "data", emptyDir: {} }];
  expect(create({ ...stateful, template: { ...template, spec: { ...template.spec, volumes } } })).toEqual([]);
  expect(create({ ...stateful, volumeClaimTemplates: [] })).toEqual([
    'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"',
  ]);
});

test.each<[string, Spec, string[]]>([
  [
    "StatefulSet",
    { ...stateful, podManagementPolicy: "Random", replicas: -1, ordinals: { start: -1 } },
    [
      `spec.podManagementPolicy: Invalid value: "Random": must be 'OrderedReady' or 'Parallel'`,
      "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
      "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  [
    "StatefulSet",
    { ...stateful, updateStrategy: { type: "OnDelete", rollingUpdate: { partition: 1 } } },
    [
      `spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate'`,
    ],
  ],
  [
    "StatefulSet",
    { ...stateful, updateStrategy: { type: "Recreate" } },
    [`spec.updateStrategy: Invalid value: {"type":"Recreate"}: must be 'RollingUpdate' or 'OnDelete'`],
  ],
  [
    "StatefulSet",
    {
      ...stateful,
      selector: {},
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Keep" },
      volumeClaimTemplates: [{ ...claim, spec: { ...claim.spec, accessModes: [] } }],
    },
    [
      "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
      'spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Keep": supported values: "Retain", "Delete"',
      "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
    ],
  ],
  [
    "DaemonSet",
    {
      ...daemon,
      updateStrategy: { type: "Recreate" },
      template: { ...plain, spec: { ...plain.spec, activeDeadlineSeconds: 1 } },
    },
    [
      "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
      'spec.updateStrategy: Unsupported value: {"type":"Recreate"}: supported values: "RollingUpdate", "OnDelete"',
    ],
  ],
  [
    "DaemonSet",
    { ...daemon, updateStrategy: { rollingUpdate: { maxSurge: "110%" } } },
    [
      'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "110%": must not be greater than 100%',
      'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "110%": may not be set when maxUnavailable is non-zero',
    ],
  ],
  [
    "DaemonSet",
    { ...daemon, updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } },
    ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
  ],
  [
    "Deployment",
    { ...daemon, minReadySeconds: 600 },
    ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
  ],
])("refuseInvalidNew() refuses a %s, case %#", (kind, spec, expected) => {
  expect(faults(() => refuseInvalidNew(workload(kind, spec), { namespaced: true }))).toEqual(expected);
});

test("refuseInvalidChange() lets a StatefulSet change what upstream lets it, and nothing else", () => {
  const before = workload("StatefulSet", stateful);
  const change = (spec: Spec) =>
    faults(() => refuseInvalidChange(workload("StatefulSet", { ...stateful, ...spec }), before));
  expect(
    change({
      replicas: 3,
      minReadySeconds: 1,
      ordinals: { start: 1 },
      revisionHistoryLimit: 2,
      updateStrategy: { type: "OnDelete" },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete" },
    }),
  ).toEqual([]);
  expect(change({ serviceName: "t" })).toEqual([
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
  ]);
});

test("refuseInvalidChange() keeps the selector of a DaemonSet", () => {
  const labels = { app: "x", tier: "y" };
  const wide = { ...plain, metadata: { labels } };
  const changed = workload("DaemonSet", { selector: { matchLabels: labels }, template: wide });
  expect(faults(() => refuseInvalidChange(changed, workload("DaemonSet", daemon)))).toEqual([
    'spec.selector: Invalid value: {"matchLabels":{"app":"x","tier":"y"}}: field is immutable',
  ]);
});

import { describe, expect, test } from "bun:test";
import { faultsOfChange, faultsOfNew, type Fields as Spec, objectOf } from "./validation.test-support.ts";

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

const workload = (kind: string, spec: Spec) => objectOf(`apps/v1 ${kind}`, { spec });

test("the claims of a StatefulSet are volumes of its pods, in place of the template's own of that name", () => {
  const create = (spec: Spec) => faultsOfNew(workload("StatefulSet", spec));
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
  expect(faultsOfNew(workload(kind, spec))).toEqual(expected);
});

test("refuseInvalidChange() lets a StatefulSet change what upstream lets it, and nothing else", () => {
  const before = workload("StatefulSet", stateful);
  const change = (spec: Spec) => faultsOfChange(workload("StatefulSet", { ...stateful, ...spec }), before);
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
  expect(faultsOfChange(changed, workload("DaemonSet", daemon))).toEqual([
    'spec.selector: Invalid value: {"matchLabels":{"app":"x","tier":"y"}}: field is immutable',
  ]);
});

const MISMATCH = "`selector` does not match template `labels`";
const rolling = (rollingUpdate: object) => ({ ...daemon, strategy: { rollingUpdate } });
const AT = "spec.strategy.rollingUpdate";

describe("a Deployment", () => {
  test.each<[Spec, string[]]>([
    [rolling({ maxSurge: "250%", maxUnavailable: 0 }), []],
    [{ ...daemon, strategy: { type: "Recreate" } }, []],
    [
      rolling({ maxSurge: 0, maxUnavailable: "0%" }),
      [`${AT}.maxUnavailable: Invalid value: "0%": may not be 0 when \`maxSurge\` is 0`],
    ],
    [
      rolling({ maxSurge: -1, maxUnavailable: "101%" }),
      [
        `${AT}.maxSurge: Invalid value: -1: must be greater than or equal to 0`,
        `${AT}.maxUnavailable: Invalid value: "101%": must not be greater than 100%`,
      ],
    ],
    [
      { ...daemon, strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } },
      [`${AT}: Forbidden: may not be specified when strategy \`type\` is 'Recreate'`],
    ],
    [
      { ...daemon, strategy: { type: "BlueGreen" } },
      [
        'spec.strategy: Unsupported value: {"type":"BlueGreen"}: supported values: "Recreate", "RollingUpdate"',
      ],
    ],
    [
      { ...daemon, minReadySeconds: -1, revisionHistoryLimit: -1, progressDeadlineSeconds: -1 },
      [
        "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
      ],
    ],
    [
      { ...daemon, selector: {} },
      ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    ],
    [
      { ...daemon, selector: { matchExpressions: [{ key: "app", operator: "Like" }] } },
      [
        'spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
        'spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"Like"}]}: invalid label selector',
      ],
    ],
  ])("case %#", (spec, expected) => {
    expect(faultsOfNew(workload("Deployment", spec))).toEqual(expected);
  });

  test("and a ReplicaSet keep their selectors", () => {
    for (const kind of ["Deployment", "ReplicaSet"]) {
      const labels = { app: "x", tier: "y" };
      const changed = { selector: { matchLabels: labels }, template: { ...plain, metadata: { labels } } };
      expect(faultsOfChange(workload(kind, changed), workload(kind, daemon))).toEqual([
        'spec.selector: Invalid value: {"matchLabels":{"app":"x","tier":"y"}}: field is immutable',
      ]);
    }
  });
});

const ending = { ...plain, spec: { ...plain.spec, restartPolicy: "OnFailure", activeDeadlineSeconds: 1 } };

test.each<[string, Spec, string[]]>([
  [
    "ReplicaSet",
    { replicas: -1, minReadySeconds: -1, template: ending },
    [
      "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
      "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
      "spec.selector: Required value",
      `spec.template.metadata.labels: Invalid value: {"app":"x"}: ${MISMATCH}`,
      'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"',
      "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ],
  ],
  [
    "DaemonSet",
    { template: plain },
    [`spec.template.metadata.labels: Invalid value: {"app":"x"}: ${MISMATCH}`],
  ],
  [
    "DaemonSet",
    { ...daemon, selector: {} },
    ["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"],
  ],
  [
    "DaemonSet",
    { ...daemon, updateStrategy: { rollingUpdate: { maxUnavailable: "all" } } },
    [
      `spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "all": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')`,
      "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ],
  ],
  [
    "StatefulSet",
    {
      ...stateful,
      serviceName: "No_Label",
      volumeClaimTemplates: [claim, { ...claim, metadata: {} }],
      template: ending,
    },
    [
      expect.stringContaining(
        'spec.serviceName: Invalid value: "No_Label": a DNS-1035 label must consist of',
      ),
      "spec.volumeClaimTemplates[1].metadata.name: Required value",
      'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"',
      "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported",
    ],
  ],
  [
    "StatefulSet",
    {
      ...stateful,
      minReadySeconds: -1,
      updateStrategy: { rollingUpdate: { partition: -1, maxUnavailable: 0 } },
    },
    [
      "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
      "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
      "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  [
    "StatefulSet",
    { ...stateful, selector: { matchExpressions: [{ key: "app", operator: "Like" }] } },
    [
      'spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
      'spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"Like"}]}',
    ],
  ],
])("refuses a %s, case %#", (kind, spec, expected) => {
  expect(faultsOfNew(workload(kind, spec))).toEqual(expected);
});

test("a StatefulSet's name is one of pods' names", () => {
  expect(faultsOfNew(objectOf("apps/v1 StatefulSet", { spec: stateful }, "a.b"))).toEqual([
    'metadata.name: Invalid value: "a.b": must not contain dots',
  ]);
});

test("a stored StatefulSet keeps a service name that would be refused today", () => {
  const old = workload("StatefulSet", { ...stateful, serviceName: "No_Label" });
  expect(faultsOfChange(old, old)).toEqual([]);
});

describe("a ReplicationController", () => {
  const old = (spec: Spec) => objectOf("v1 ReplicationController", { spec });

  test.each<[Spec, string[]]>([
    [{ template: plain }, []],
    [{}, ["spec.selector: Required value", "spec.template: Required value"]],
    [
      { replicas: -1, selector: { app: "y" }, template: ending },
      [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        `spec.template.metadata.labels: Invalid value: {"app":"x"}: ${MISMATCH}`,
        'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"',
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
      ],
    ],
  ])("case %#", (spec, expected) => {
    expect(faultsOfNew(old(spec))).toEqual(expected);
  });

  test("may select other pods", () => {
    const labels = { app: "x", tier: "y" };
    const changed = old({ selector: labels, template: { ...plain, metadata: { labels } } });
    expect(faultsOfChange(changed, old({ template: plain }))).toEqual([]);
  });
});

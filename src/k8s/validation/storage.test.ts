import { describe, expect, test } from "bun:test";
import type { PersistentVolumeClaim } from "../../../generated/kubernetes.ts";
import type { PersistentVolume, StorageClass } from "../claims.ts";
import type { FieldError } from "../field-error.ts";
import { validateClaim, validateClaimUpdate, validateStorageClassUpdate, validateVolume } from "./storage.ts";

const texts = (errors: readonly FieldError[]) => errors.map(({ field, body }) => `${field}: ${body}`);

const fine = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
const bound: PersistentVolumeClaim = {
  spec: { ...fine, volumeName: "pv", storageClassName: "standard" },
  status: { phase: "Bound", capacity: { storage: "1Gi" } },
};

test.each<[string, PersistentVolumeClaim["spec"], string[]]>([
  ["a good one", fine, []],
  [
    "an empty one",
    {},
    [
      "spec.accessModes: Required value: at least 1 access mode is required",
      "spec.resources[storage]: Required value",
    ],
  ],
  [
    "an unknown mode",
    { ...fine, accessModes: ["Mine"] },
    [
      'spec.accessModes: Unsupported value: "Mine": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
    ],
  ],
  [
    "one pod and more",
    { ...fine, accessModes: ["ReadWriteOncePod", "ReadOnlyMany"] },
    ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
  ],
  [
    "a selector that is none",
    { ...fine, selector: { matchExpressions: [{ key: "a", operator: "Like" }] } },
    ['spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator'],
  ],
  [
    "nothing at all",
    { ...fine, resources: { requests: { storage: "0" } } },
    ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
  ],
])("a claim: %s", (_what, spec, expected) => {
  expect(texts(validateClaim(spec === undefined ? {} : { spec }))).toEqual(expected);
});

describe("the change of a claim", () => {
  const change = (spec: PersistentVolumeClaim["spec"], before = bound) =>
    texts(validateClaimUpdate({ ...before, spec: { ...before.spec, ...spec } }, before));

  test("may bind it and let it grow", () => {
    expect(change({ volumeName: "pv", storageClassName: "fast" }, { spec: fine })).toEqual([]);
    expect(change({ resources: { requests: { storage: "2Gi" } } })).toEqual([]);
  });

  test("may do nothing else", () => {
    expect(change({ resources: { requests: { storage: "2Gi" } } }, { spec: fine })[0]).toStartWith(
      "spec: Forbidden: spec is immutable after creation except resources.requests",
    );
    expect(change({ accessModes: ["ReadWriteMany"] })[0]).toStartWith("spec: Forbidden: spec is immutable");
    expect(change({ resources: { requests: { storage: "1Mi" } } })).toEqual([
      "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ]);
  });
});

test.each<[string, object, string[]]>([
  ["a good one", { hostPath: { path: "/x" } }, []],
  ["one without a source", {}, ["spec: Required value: must specify a volume type"]],
  [
    "one with two",
    { hostPath: { path: "/x" }, nfs: {} },
    ["spec.nfs: Forbidden: may not specify more than 1 volume type"],
  ],
  [
    "a local one",
    { local: { path: "/x" } },
    ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
  ],
  ["one of no size", { hostPath: { path: "/x" }, capacity: {} }, ["spec.capacity: Required value"]],
])("a volume: %s", (_what, more, expected) => {
  const spec = { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" }, ...more };
  const volume: PersistentVolume = { apiVersion: "v1", kind: "PersistentVolume", metadata: {}, spec };
  expect(texts(validateVolume(volume))).toEqual(expected);
});

test("a class stays what it is", () => {
  const before: StorageClass = {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: {},
    provisioner: "a",
    reclaimPolicy: "Delete",
  };
  expect(texts(validateStorageClassUpdate({ ...before, provisioner: "b" }, before))).toEqual([
    "provisioner: Forbidden: updates to provisioner are forbidden.",
  ]);
  expect(validateStorageClassUpdate({ ...before, allowVolumeExpansion: true }, before)).toEqual([]);
});

import { expect, test } from "bun:test";
import { faultsOfChange, faultsOfNew, type Fields, objectOf } from "./validation.test-support.ts";

const BUDGET = "policy/v1 PodDisruptionBudget";
const REVISION = "apps/v1 ControllerRevision";
const LEASE = "coordination.k8s.io/v1 Lease";
const PRIORITY = "scheduling.k8s.io/v1 PriorityClass";
const QUOTA = "v1 ResourceQuota";
const LIMITS = "v1 LimitRange";
const limits = (...items: object[]) => ({ spec: { limits: items } });

test.each<[string, Fields]>([
  [BUDGET, {}],
  [BUDGET, { spec: { minAvailable: "100%", selector: {} } }],
  [BUDGET, { spec: { maxUnavailable: 150, unhealthyPodEvictionPolicy: "AlwaysAllow" } }],
  [REVISION, { data: {}, revision: 1 }],
  [LEASE, { spec: { leaseDurationSeconds: 1, leaseTransitions: 0 } }],
  [LEASE, {}],
  [QUOTA, { spec: { hard: { pods: "10", "requests.cpu": "1500m", "count/jobs.batch": "2" } } }],
  [QUOTA, { spec: { hard: { "requests.hugepages-2Mi": "2Mi" }, scopes: ["BestEffort"] } }],
  [LIMITS, limits({ type: "Container", min: { cpu: "1" }, max: { cpu: "1" } }, { type: "Pod" })],
  [LIMITS, limits({ type: "PersistentVolumeClaim", max: { storage: "1Gi" } })],
])("a good %s, case %#", (type, fields) => {
  expect(faultsOfNew(objectOf(type, fields))).toEqual([]);
});

test.each<[string, Fields, string[]]>([
  [
    BUDGET,
    { spec: { minAvailable: 1, maxUnavailable: 1 } },
    [
      'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
    ],
  ],
  [
    BUDGET,
    { spec: { minAvailable: -1 } },
    ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
  ],
  [
    BUDGET,
    { spec: { minAvailable: "101%" } },
    ['spec.minAvailable: Invalid value: "101%": must not be greater than 100%'],
  ],
  [
    BUDGET,
    { spec: { maxUnavailable: "some" } },
    [
      `spec.maxUnavailable: Invalid value: "some": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')`,
    ],
  ],
  [
    BUDGET,
    {
      spec: {
        selector: { matchExpressions: [{ key: "a", operator: "Like" }] },
        unhealthyPodEvictionPolicy: "Never",
      },
    },
    [
      'spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
      'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"',
    ],
  ],
  [
    REVISION,
    { revision: -1 },
    [
      "data: Required value: data is mandatory",
      "revision: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  [
    LEASE,
    { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } },
    [
      "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  [
    QUOTA,
    { spec: { hard: { gold: "-1", pods: "1500m" }, scopes: ["Terminating", "NotTerminating", "Idle"] } },
    [
      'spec.hard[gold]: Invalid value: "gold": must be a standard resource type or fully qualified',
      'spec.hard[gold]: Invalid value: "gold": must be a standard resource for quota',
      'spec.hard[gold]: Invalid value: "-1": must be greater than or equal to 0',
      'spec.hard[pods]: Invalid value: "1500m": must be an integer',
      'spec.scopes: Invalid value: ["Terminating","NotTerminating","Idle"]: unsupported scope',
      'spec.scopes: Invalid value: ["Terminating","NotTerminating","Idle"]: conflicting scopes',
    ],
  ],
  [
    LIMITS,
    limits({ type: "Node" }, { type: "Node" }),
    [
      'spec.limits[0].type: Invalid value: "Node": must be a standard limit type or fully qualified',
      'spec.limits[1].type: Invalid value: "Node": must be a standard limit type or fully qualified',
      'spec.limits[1].type: Duplicate value: "Node"',
    ],
  ],
  [
    LIMITS,
    limits({
      type: "Container",
      min: { cpu: "3" },
      max: { cpu: "2" },
      default: { cpu: "4" },
      defaultRequest: { cpu: "5" },
      maxLimitRequestRatio: { cpu: "500m" },
    }),
    [
      'spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2',
      'spec.limits[0].defaultRequest[cpu]: Invalid value: "5": default request value 5 is greater than max value 2',
      'spec.limits[0].defaultRequest[cpu]: Invalid value: "5": default request value 5 is greater than default limit value 4',
      'spec.limits[0].default[cpu]: Invalid value: "2": default value 4 is greater than max value 2',
      'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
    ],
  ],
  [
    LIMITS,
    limits({ type: "Pod", default: { cpu: "1" } }, { type: "PersistentVolumeClaim" }),
    [
      "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
      "spec.limits[1].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
    ],
  ],
])("a bad %s, case %#", (type, fields, expected) => {
  expect(faultsOfNew(objectOf(type, fields))).toEqual(expected);
});

/** Has no namespace. */
function priority(fields: Fields, name = "x") {
  return { ...objectOf(PRIORITY, fields, name), metadata: { name } };
}

test.each<[string, Fields, string[]]>([
  ["x", { value: 1_000_000_000, globalDefault: true }, []],
  ["system-node-critical", { value: 2_000_001_000 }, []],
  [
    "x",
    { value: 1_000_000_001, preemptionPolicy: "Sometimes" },
    [
      "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
      'preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"',
    ],
  ],
  [
    "system-mine",
    { value: 1 },
    [
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
    ],
  ],
  [
    "system-cluster-critical",
    { value: 1 },
    [
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-cluster-critical PriorityClass must be 2000000000",
    ],
  ],
])("a PriorityClass %s, case %#", (name, fields, expected) => {
  const whole = priority(fields, name);
  expect(faultsOfChange(whole, whole)).toEqual(expected);
});

test("what never changes", () => {
  expect(faultsOfChange(priority({ value: 2, preemptionPolicy: "Never" }), priority({ value: 1 }))).toEqual([
    "value: Invalid value: 2: field is immutable",
    'preemptionPolicy: Invalid value: "Never": field is immutable',
  ]);
  const revision = (data: object, number: number) => objectOf(REVISION, { data, revision: number });
  expect(faultsOfChange(revision({ a: 1 }, 2), revision({ a: 1 }, 1))).toEqual([]);
  expect(faultsOfChange(revision({ a: 2 }, 1), revision({ a: 1 }, 1))).toEqual([
    'data: Invalid value: {"a":2}: field is immutable',
  ]);
  const quota = (...scopes: string[]) => objectOf(QUOTA, { spec: { hard: {}, scopes } });
  expect(faultsOfChange(quota("BestEffort", "PriorityClass"), quota("PriorityClass", "BestEffort"))).toEqual(
    [],
  );
  expect(faultsOfChange(quota("BestEffort"), quota())).toEqual([
    'spec.scopes: Invalid value: ["BestEffort"]: field is immutable',
  ]);
});

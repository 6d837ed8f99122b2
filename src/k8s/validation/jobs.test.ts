import { describe, expect, test } from "bun:test";
import { withGeneratedSelector } from "../generated-selector.ts";
import type { KubeObject } from "../object.ts";
import { faultsOfChange, faultsOfNew, type Fields, objectOf } from "./validation.test-support.ts";

const containers = [{ name: "c", image: "i" }];
const template = { spec: { restartPolicy: "Never", containers } };
const onFailure = { spec: { restartPolicy: "OnFailure", containers } };

function job(spec: Fields, name = "x"): KubeObject {
  return withGeneratedSelector(objectOf("batch/v1 Job", { spec: { template, ...spec } }, name));
}

const NEGATIVE = "must be greater than or equal to 0";
const indexed = { completionMode: "Indexed", completions: 3, parallelism: 2 };
const rules = (...list: object[]) => ({ podFailurePolicy: { rules: list } });
const exitCodes = (rest: object) =>
  rules({ action: "FailJob", onExitCodes: { operator: "In", values: [1], ...rest } });
const wins = (...list: object[]) => ({ ...indexed, successPolicy: { rules: list } });

describe("a good Job", () => {
  test.each<[Fields]>([
    [{}],
    [
      {
        template: onFailure,
        backoffLimit: 0,
        activeDeadlineSeconds: 1,
        ttlSecondsAfterFinished: 0,
        suspend: true,
      },
    ],
    [{ ...indexed, backoffLimitPerIndex: 1, maxFailedIndexes: 3, managedBy: "acme.io/foo" }],
    [exitCodes({ containerName: "c", values: [1, 2] })],
    [rules({ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] })],
    [
      {
        ...indexed,
        backoffLimitPerIndex: 1,
        ...rules({ action: "FailIndex", onPodConditions: [{ type: "A" }] }),
      },
    ],
    [wins({ succeededIndexes: "0,2", succeededCount: 2 })],
    [{ podReplacementPolicy: "Failed" }],
  ])("%j [J2, J12]", (spec) => {
    expect(faultsOfNew(job(spec))).toEqual([]);
  });
});

describe("a bad Job", () => {
  const POLICY = "spec.podFailurePolicy.rules[0]";
  test.each<[Fields, string[]]>([
    [
      {
        parallelism: -1,
        completions: -1,
        backoffLimit: -1,
        activeDeadlineSeconds: -1,
        ttlSecondsAfterFinished: -1,
      },
      ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"].map(
        (name) => `spec.${name}: Invalid value: -1: ${NEGATIVE}`,
      ),
    ],
    [
      { template: { spec: { containers, restartPolicy: "Sometimes" } } },
      [
        'spec.template.spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        'spec.template.spec.restartPolicy: Unsupported value: "Sometimes": supported values: "OnFailure", "Never"',
      ],
    ],
    [
      { completionMode: "Sorted" },
      ['spec.completionMode: Unsupported value: "Sorted": supported values: "Indexed", "NonIndexed"'],
    ],
    [
      { completionMode: "Indexed", parallelism: 100_001 },
      [
        "spec.completions: Required value: when completion mode is Indexed",
        "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
      ],
    ],
    [
      { backoffLimitPerIndex: 1, maxFailedIndexes: 1 },
      [
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
      ],
    ],
    [
      { ...indexed, maxFailedIndexes: 4 },
      [
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
      ],
    ],
    [
      { ...indexed, completions: 100_001, backoffLimitPerIndex: 1 },
      ["spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"],
    ],
    [
      { ...indexed, backoffLimitPerIndex: 1, template: onFailure },
      [
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when backoffLimitPerIndex is specified',
      ],
    ],
    [
      { managedBy: "foo" },
      ['spec.managedBy: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [
      { podReplacementPolicy: "Never" },
      [
        'spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"',
      ],
    ],
    [
      { ...exitCodes({}), podReplacementPolicy: "TerminatingOrFailed" },
      ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
    ],
    [
      { ...exitCodes({}), template: onFailure },
      [
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ],
    ],
    [
      rules({ action: "Retry" }),
      [
        `${POLICY}.action: Unsupported value: "Retry": supported values: "Count", "FailIndex", "FailJob", "Ignore"`,
        `${POLICY}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`,
      ],
    ],
    [
      rules({ action: "FailIndex", onPodConditions: [{ type: "a b", status: "Maybe" }] }),
      [
        `${POLICY}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`,
        expect.stringContaining(
          `${POLICY}.onPodConditions[0].type: Invalid value: "a b": name part must consist of`,
        ),
        `${POLICY}.onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"`,
      ],
    ],
    [
      exitCodes({ operator: "Near", containerName: "d", values: [2, 1, 1] }),
      [
        `${POLICY}.onExitCodes.operator: Unsupported value: "Near": supported values: "In", "NotIn"`,
        `${POLICY}.onExitCodes.containerName: Invalid value: "d": must be one of the container or initContainer names in the pod template`,
        `${POLICY}.onExitCodes.values[2]: Duplicate value: 1`,
        `${POLICY}.onExitCodes.values: Invalid value: [2,1,1]: must be ordered`,
      ],
    ],
    [
      exitCodes({ values: [0] }),
      [`${POLICY}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator`],
    ],
    [
      rules(...Array.from({ length: 21 }, () => ({}))),
      ["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"],
    ],
    [
      { successPolicy: { rules: [{ succeededCount: 1 }] } },
      [
        'spec.successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: requires indexed completion mode',
      ],
    ],
    [
      wins(),
      [
        "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified",
      ],
    ],
    [
      wins({}, { succeededCount: 4 }, { succeededIndexes: "0-1", succeededCount: 3 }),
      [
        "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
        "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)",
        "spec.successPolicy.rules[2].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
      ],
    ],
    [
      wins({ succeededIndexes: "1,0" }),
      [
        expect.stringContaining(
          'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "1,0": error parsing succeededIndexes:',
        ),
      ],
    ],
  ])("%j [J2, J12]", (spec, expected) => {
    expect(faultsOfNew(job(spec))).toEqual(expected);
  });

  test("whose own labels somebody else chose, or whose indexes make names too long [J11]", () => {
    const chosen = { metadata: { labels: { "job-name": "other" } }, ...template };
    expect(faultsOfNew(objectOf("batch/v1 Job", { spec: { template: chosen, selector: {} } }))).toEqual([
      "spec.template.metadata.labels[controller-uid]: Required value: must be 'u'",
      `spec.template.metadata.labels[job-name]: Invalid value: {"job-name":"other"}: must be 'x'`,
      "spec.template.metadata.labels[batch.kubernetes.io/controller-uid]: Required value: must be 'u'",
      "spec.template.metadata.labels[batch.kubernetes.io/job-name]: Required value: must be 'x'",
    ]);
    const long = "a".repeat(62);
    expect(faultsOfNew(job(indexed, long))).toEqual([
      `metadata.name: Invalid value: "${long}": will not able to create pod with invalid DNS label: ${long}-2`,
    ]);
  });
});

describe("the change of a Job", () => {
  const IMMUTABLE = "field is immutable";

  test("may suspend it, and change how many run and how long it is kept", () => {
    const next = job({
      completions: 1,
      suspend: true,
      parallelism: 5,
      backoffLimit: 1,
      ttlSecondsAfterFinished: 1,
    });
    expect(faultsOfChange(next, job({}))).toEqual([]);
  });

  test.each<[Fields, Fields, string[]]>([
    [{}, { completions: 2 }, [`spec.completions: Invalid value: 2: ${IMMUTABLE}`]],
    [indexed, { ...indexed, completions: 4, parallelism: 4 }, []],
    [
      indexed,
      { ...indexed, completions: 4 },
      ["spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"],
    ],
    [
      indexed,
      { ...indexed, backoffLimitPerIndex: 1 },
      [`spec.backoffLimitPerIndex: Invalid value: 1: ${IMMUTABLE}`],
    ],
    [
      { completions: 3, parallelism: 2 },
      indexed,
      [`spec.completionMode: Invalid value: "Indexed": ${IMMUTABLE}`],
    ],
    [{}, { managedBy: "a.b/c" }, [`spec.managedBy: Invalid value: "a.b/c": ${IMMUTABLE}`]],
    [
      exitCodes({}),
      exitCodes({ values: [2] }),
      [
        `spec.podFailurePolicy: Invalid value: {"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[2]}}]}: ${IMMUTABLE}`,
      ],
    ],
    [
      wins({ succeededCount: 1 }),
      wins({ succeededCount: 2 }),
      [`spec.successPolicy: Invalid value: {"rules":[{"succeededCount":2}]}: ${IMMUTABLE}`],
    ],
  ])("%j -> %j", (before, after, expected) => {
    expect(faultsOfChange(job(after), job(before))).toEqual(expected);
  });

  const image = { spec: { ...template.spec, containers: [{ name: "c", image: "other" }] } };
  const place = { spec: { ...template.spec, nodeSelector: { disk: "ssd" } } };
  const told = [expect.stringMatching(/^spec\.template: Invalid value: \{.*\}: field is immutable$/)];

  test.each<[string, Fields, Fields, object, string[]]>([
    ["another image", {}, { template: image }, {}, told],
    ["another image, suspended", { suspend: true }, { suspend: true, template: image }, {}, told],
    ["another place", {}, { template: place }, {}, told],
    ["another place, suspended", { suspend: true }, { suspend: true, template: place }, {}, []],
    [
      "another place, once started",
      { suspend: true },
      { template: place },
      { startTime: "2026-11-03T08:00:00Z" },
      told,
    ],
  ])("to %s", (_what, before, after, status, expected) => {
    expect(faultsOfChange(job(after), { ...job(before), status })).toEqual(expected);
  });
});

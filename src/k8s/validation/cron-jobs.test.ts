import { describe, expect, test } from "bun:test";
import { faultsOfChange, faultsOfNew, type Fields, objectOf } from "./validation.test-support.ts";

const containers = [{ name: "c", image: "i" }];
const template = { spec: { restartPolicy: "Never", containers } };
const NEGATIVE = "must be greater than or equal to 0";

describe("a CronJob", () => {
  const cron = (spec: Fields, name = "x") =>
    objectOf(
      "batch/v1 CronJob",
      { spec: { schedule: "* * * * *", jobTemplate: { spec: { template } }, ...spec } },
      name,
    );

  test.each<[Fields, string[]]>([
    [{ schedule: "@every 1h30m", timeZone: "Europe/Berlin", suspend: true }, []],
    [{ schedule: "@hourly", startingDeadlineSeconds: 0, concurrencyPolicy: "Replace" }, []],
    [{ schedule: "* * *" }, [expect.stringContaining('spec.schedule: Invalid value: "* * *": ')]],
    [{ schedule: "61 * * * *" }, [expect.stringContaining('spec.schedule: Invalid value: "61 * * * *": ')]],
    [
      { schedule: "TZ=UTC * * * * *" },
      [
        'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      ],
    ],
    [
      { timeZone: "Local", concurrencyPolicy: "Queue" },
      [
        'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
        'spec.concurrencyPolicy: Unsupported value: "Queue": supported values: "Allow", "Forbid", "Replace"',
      ],
    ],
    [
      { startingDeadlineSeconds: -1, successfulJobsHistoryLimit: -1, failedJobsHistoryLimit: -1 },
      ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"].map(
        (name) => `spec.${name}: Invalid value: -1: ${NEGATIVE}`,
      ),
    ],
    [
      { jobTemplate: { spec: { template, manualSelector: true, selector: { matchLabels: { a: "b" } } } } },
      [
        'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
      ],
    ],
    [
      { jobTemplate: { spec: { template: { spec: { containers } }, backoffLimit: -1 } } },
      [
        `spec.jobTemplate.spec.backoffLimit: Invalid value: -1: ${NEGATIVE}`,
        'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
      ],
    ],
  ])("%j", (spec, expected) => {
    expect(faultsOfNew(cron(spec))).toEqual(expected);
  });

  test("has a name that leaves room for its Jobs'", () => {
    expect(faultsOfNew(cron({}, "a".repeat(52)))).toEqual([]);
    const long = "a".repeat(53);
    expect(faultsOfNew(cron({}, long))).toEqual([
      `metadata.name: Invalid value: "${long}": must be no more than 52 characters`,
    ]);
  });

  test("keeps a zone in its schedule that it was stored with, unless it gets another", () => {
    const before = cron({ schedule: "TZ=UTC * * * * *" });
    expect(faultsOfChange(cron({ schedule: "CRON_TZ=UTC 1 * * * *" }), before)).toEqual([]);
    expect(faultsOfChange(cron({ schedule: "TZ=UTC * * * * *", timeZone: "UTC" }), before)).toEqual([
      'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule',
    ]);
  });
});

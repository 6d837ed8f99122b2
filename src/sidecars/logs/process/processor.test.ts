import { describe, expect, test } from "bun:test";
import { z } from "zod";
import type { PodIdentity } from "../../../kernel/host.ts";
import { processFields } from "./config.ts";
import { FakeCounter, recordOf } from "./process.test-support.ts";
import { createProcessor } from "./processor.ts";

const Config = z.strictObject(processFields);
const NOWHERE: PodIdentity = {
  name: undefined,
  namespace: undefined,
  uid: undefined,
  node: undefined,
  ip: undefined,
  labels: {},
};
const QUIET = { pod: false, file: false };

function processorOf(config: z.input<typeof Config>, pod = NOWHERE) {
  const dropped = new FakeCounter();
  const redacted = new FakeCounter();
  const parsed = Config.parse(config);
  const { process } = createProcessor({ config: parsed, pod, dropped, redacted, monotonic: () => 0 });
  return { process, dropped: dropped.counts, redacted: redacted.counts };
}

/** Whether a record with these fields passes. */
function passes(config: z.input<typeof Config>, fields: Record<string, unknown>, text = "text"): boolean {
  return processorOf(config).process(recordOf(text, fields));
}

describe("metadata", () => {
  const pod = { ...NOWHERE, name: "web-0", namespace: "shop", uid: "u", labels: { app: "web", team: "x" } };

  test("adds what is known of the pod, the chosen labels and the file, behind the event's own fields", () => {
    const record = recordOf("x");
    processorOf({ metadata: { labels: ["app", "missing"] } }, pod).process(record);
    expect(JSON.stringify(record.fields)).toBe(
      '{"message":"x","pod":{"name":"web-0","namespace":"shop","labels":{"app":"web"}},"file":"/var/log/app.log"}',
    );
  });

  test("adds no empty pod where nothing is known", () => {
    const record = recordOf("x");
    processorOf({}).process(record);
    expect(record.fields).toEqual({ message: "x", file: "/var/log/app.log" });
  });

  test("never replaces a field of the event's own", () => {
    const record = recordOf("x", { file: "main.go", pod: null });
    processorOf({}, pod).process(record);
    expect(record.fields).toEqual({ file: "main.go", pod: null });
  });

  test("is switched off in both parts", () => {
    const record = recordOf("x");
    processorOf({ metadata: QUIET }, pod).process(record);
    expect(record.fields).toEqual({ message: "x" });
  });
});

describe("a condition", () => {
  const fields = {
    status: 503,
    text: "a field of that name",
    size: "1200",
    level: "debug",
    ok: false,
    none: null,
    tags: ["a", "b"],
    request: { method: "GET", headers: { host: "x" } },
    "flat.name": "y",
  };

  test.each([
    [{ field: "status", equals: 503 }, true],
    [{ field: "status", equals: "503" }, true],
    [{ field: "ok", equals: false }, true],
    [{ field: "none", equals: null }, true],
    [{ field: "missing", equals: "undefined" }, false],
    [{ field: "request", equals: "[object Object]" }, false],
    [{ field: "request.method", equals: "GET" }, true],
    [{ field: "request.headers.host", matches: "^x$" }, true],
    [{ field: "flat.name", equals: "y" }, true],
    [{ field: "tags", equals: "b" }, true],
    [{ field: "tags.0", equals: "a" }, true],
    [{ field: "tags", matches: "^c" }, false],
    [{ field: "status", matches: "^5" }, true],
    [{ field: "request", matches: "." }, false],
    [{ field: "status", exists: true }, true],
    [{ field: "none", exists: true }, true],
    [{ field: "missing", exists: false }, true],
    [{ field: "status", exists: false }, false],
    [{ field: "constructor", exists: true }, false],
    [{ field: "level.length", exists: true }, false],
    [{ field: "request.__proto__.constructor", exists: true }, false],
    [{ field: "status", above: 499, below: 600 }, true],
    [{ field: "status", above: 503 }, false],
    [{ field: "size", above: 1199.5 }, true],
    [{ field: "level", below: 1 }, false],
    [{ field: "none", below: 1 }, false],
    [{ field: "text", equals: "the event" }, true],
    [{ field: "text", equals: "a field of that name" }, false],
    [
      {
        all: [
          { field: "status", above: 499 },
          { field: "level", equals: "debug" },
        ],
      },
      true,
    ],
    [
      {
        all: [
          { field: "status", above: 499 },
          { field: "level", equals: "info" },
        ],
      },
      false,
    ],
  ])("%j is %p", (rule, holds) => {
    expect(passes({ metadata: QUIET, keep: [rule] }, fields, "the event")).toBe(holds);
    expect(passes({ metadata: QUIET, drop: [rule] }, fields, "the event")).toBe(!holds);
  });
});

describe("keep and drop", () => {
  test("let a record pass that one of the first and none of the second wants, and count the others by stage", () => {
    const { process, dropped } = processorOf({
      keep: [
        { field: "status", matches: "^5" },
        { field: "slow", exists: true },
      ],
      drop: [{ field: "path", equals: "/healthz" }],
    });
    const passed = [{ status: 500 }, { slow: 1 }, { status: 200 }, { status: 500, path: "/healthz" }].map(
      (fields) => process(recordOf("x", fields)),
    );
    expect(passed).toEqual([true, true, false, false]);
    expect(dropped).toEqual({ keep: 1, drop: 1 });
  });

  test("see what metadata adds, and the event before it is redacted", () => {
    const config = { redact: ["email" as const], keep: [{ field: "text", matches: "a@b" }] };
    const { process } = processorOf({ ...config, drop: [{ field: "file", matches: "other" }] });
    const record = recordOf("a@b.co");
    expect(process(record)).toBe(true);
    expect(record.text).toBe("[redacted:email]");
  });
});

describe("sample", () => {
  const ends = [...Array(10_000).keys()];
  const keptBy = (process: (record: ReturnType<typeof recordOf>) => boolean) =>
    ends.filter((end) => process(recordOf("x", { level: "debug" }, end)));

  test("keeps about one of so many, and the same ones when they are read again", () => {
    const config = { sample: [{ every: 10 }] };
    const first = processorOf(config);
    const kept = keptBy(first.process);
    expect(kept.length).toBeGreaterThan(850);
    expect(kept.length).toBeLessThan(1_150);
    expect(first.dropped).toEqual({ sample: ends.length - kept.length });
    expect(keptBy(processorOf(config).process)).toEqual(kept);
  });

  test("goes by the first entry that applies, and leaves the others alone", () => {
    const { process } = processorOf({
      sample: [{ every: 1, where: { field: "level", equals: "debug" } }, { every: 1_000_000_007 }],
    });
    expect(keptBy(process)).toHaveLength(ends.length);
    expect(process(recordOf("x", { level: "info" }, 4))).toBe(false);
  });
});

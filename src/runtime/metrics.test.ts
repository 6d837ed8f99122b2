import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Metrics } from "./metrics.ts";
import { declareProcessMetrics } from "./process-metrics.ts";

function setUp() {
  const warnings: string[] = [];
  const metrics = new Metrics((message) => warnings.push(message));
  return { metrics, warnings, logs: metrics.forSidecar({ name: "access", kind: "logs" }) };
}

const declaredWrong: readonly (readonly [string, (meter: ReturnType<typeof setUp>["logs"]) => unknown])[] = [
  ["upper case", (meter) => meter.counter("logs_Lines_total", "x")],
  ["a dash", (meter) => meter.counter("logs-lines_total", "x")],
  ["two underscores", (meter) => meter.counter("logs__lines_total", "x")],
  ["a digit first", (meter) => meter.counter("1logs_lines_total", "x")],
  ["the kind alone", (meter) => meter.gauge("logs", "x")],
  ["another kind", (meter) => meter.counter("cron_runs_total", "x")],
  ["a kind that only begins alike", (meter) => meter.counter("logsx_runs_total", "x")],
  ["a counter without _total", (meter) => meter.counter("logs_lines", "x")],
  ["a gauge with _total", (meter) => meter.gauge("logs_lines_total", "x")],
  ["a histogram like its own series", (meter) => meter.histogram("logs_lines_count", "x", { buckets: [1] })],
  ["no help", (meter) => meter.counter("logs_lines_total", " ")],
  ["the label sidecar", (meter) => meter.counter("logs_lines_total", "x", ["sidecar"])],
  ["the label le", (meter) => meter.histogram("logs_lines_seconds", "x", { buckets: [1], labels: ["le"] })],
  ["a reserved label", (meter) => meter.counter("logs_lines_total", "x", ["__name__"])],
  ["a label twice", (meter) => meter.counter("logs_lines_total", "x", ["a", "a"])],
  ["no buckets", (meter) => meter.histogram("logs_lines_seconds", "x", { buckets: [] })],
  ["buckets out of order", (meter) => meter.histogram("logs_lines_seconds", "x", { buckets: [1, 1] })],
  ["an infinite bucket", (meter) => meter.histogram("logs_lines_seconds", "x", { buckets: [1, Infinity] })],
];

describe("declaring", () => {
  for (const [what, declare] of declaredWrong) {
    test(`${what} is a TypeError`, () => {
      expect(() => declare(setUp().logs)).toThrow(TypeError);
    });
  }

  test("the same name twice is a TypeError, also for the process", () => {
    const { metrics, logs } = setUp();
    logs.counter("logs_lines_total", "Lines.");
    expect(() => logs.counter("logs_lines_total", "Lines.")).toThrow(TypeError);
    metrics.forProcess().gauge("pillion_things_bytes", "x");
    expect(() => metrics.forProcess().gauge("pillion_things_bytes", "x")).toThrow(TypeError);
  });

  test("two sidecars of one kind share a metric, but not if they declare it differently", () => {
    const { metrics, logs } = setUp();
    logs.counter("logs_lines_total", "Lines.", ["file"]);
    const other = metrics.forSidecar({ name: "other", kind: "logs" });
    expect(() => other.counter("logs_lines_total", "Lines.", ["path"])).toThrow(TypeError);
    expect(() => other.gauge("logs_open_files", "Files.")).not.toThrow();
  });

  test("dashes in a kind are underscores in its metrics", () => {
    const meter = setUp().metrics.forSidecar({ name: "x", kind: "log-shipper" });
    expect(() => meter.counter("log_shipper_lines_total", "Lines.")).not.toThrow();
  });
});

describe("counting", () => {
  test("a counter refuses to shrink, and labels that were not declared", () => {
    const counter = setUp().logs.counter("logs_lines_total", "Lines.", ["file"]);
    const fixed = counter.with({ file: "a" });
    expect(() => fixed.add(-1)).toThrow(RangeError);
    expect(() => fixed.add(Number.NaN)).toThrow(RangeError);
    expect(() => counter.add(1)).toThrow(TypeError);
    expect(() => counter.add(1, { file: "a", more: "b" })).toThrow(TypeError);
  });

  test("the text says HELP and TYPE once for all sidecars of a kind", () => {
    const { metrics, logs } = setUp();
    const other = metrics.forSidecar({ name: "other", kind: "logs" });
    const [one, two] = [logs, other].map((meter) =>
      meter.counter("logs_lines_total", "Lines\nread\\.", ["file"]),
    );
    one?.with({ file: 'a"b\\c\nd' }).add(2);
    one?.add(3, { file: 'a"b\\c\nd' });
    two?.add(1, { file: "x" });
    logs.gauge("logs_lag_seconds", "Lag.").set(1.5);
    logs.histogram("logs_send_seconds", "Sends.", { buckets: [0.1, 1] }).observe(0.1);
    other.counter("logs_errors_total", "Errors.");
    expect(metrics.text()).toBe(
      [
        "# HELP pillion_logs_errors_total Errors.",
        "# TYPE pillion_logs_errors_total counter",
        'pillion_logs_errors_total{sidecar="other"} 0',
        "# HELP pillion_logs_lag_seconds Lag.",
        "# TYPE pillion_logs_lag_seconds gauge",
        'pillion_logs_lag_seconds{sidecar="access"} 1.5',
        "# HELP pillion_logs_lines_total Lines\\nread\\\\.",
        "# TYPE pillion_logs_lines_total counter",
        'pillion_logs_lines_total{sidecar="access",file="a\\"b\\\\c\\nd"} 5',
        'pillion_logs_lines_total{sidecar="other",file="x"} 1',
        "# HELP pillion_logs_send_seconds Sends.",
        "# TYPE pillion_logs_send_seconds histogram",
        'pillion_logs_send_seconds_bucket{sidecar="access",le="0.1"} 1',
        'pillion_logs_send_seconds_bucket{sidecar="access",le="1"} 1',
        'pillion_logs_send_seconds_bucket{sidecar="access",le="+Inf"} 1',
        'pillion_logs_send_seconds_sum{sidecar="access"} 0.1',
        'pillion_logs_send_seconds_count{sidecar="access"} 1',
        "",
      ].join("\n"),
    );
  });

  test("a gauge asks its source when it is read; the last one says it all, and two same ones are one", () => {
    const { metrics, logs } = setUp();
    const gauge = logs.gauge("logs_lag_bytes", "Lag.", ["file"]);
    gauge.set(9, { file: "set" });
    gauge.collect(() => [{ value: 8, labels: { file: "old" } }]);
    let value = 1;
    gauge.collect(() => [
      { value: 0, labels: { file: "a" } },
      { value, labels: { file: "a" } },
      { value, labels: { file: "\ud800" } },
    ]);
    value = 2;
    expect(seriesOf(metrics.text())).toEqual([
      'pillion_logs_lag_bytes{sidecar="access",file="a"} 2',
      'pillion_logs_lag_bytes{sidecar="access",file="\ufffd"} 2',
    ]);
  });

  test("a source that throws costs its own values only", () => {
    const { metrics, logs, warnings } = setUp();
    logs.counter("logs_lines_total", "Lines.");
    logs.gauge("logs_lag_bytes", "Lag.").collect(() => {
      throw new Error("closed");
    });
    expect(seriesOf(metrics.text())).toEqual(['pillion_logs_lines_total{sidecar="access"} 0']);
    expect(warnings).toEqual(['Cannot collect metric "pillion_logs_lag_bytes"']);
  });

  test("after the end of a run counters stay, and the gauge's source is asked no more", () => {
    const { metrics, logs } = setUp();
    let asked = 0;
    const counter = logs.counter("logs_lines_total", "Lines.");
    logs.gauge("logs_lag_bytes", "Lag.").collect(() => [{ value: (asked += 1) }]);
    counter.add(3);
    logs.endRun();
    metrics.text();
    expect([asked, seriesOf(metrics.text())]).toEqual([
      1,
      ['pillion_logs_lag_bytes{sidecar="access"} 1', 'pillion_logs_lines_total{sidecar="access"} 3'],
    ]);
    logs.remove();
    expect(metrics.text()).toBe("");
    expect(() =>
      metrics.forSidecar({ name: "access", kind: "logs" }).counter("logs_lines_total", "New."),
    ).not.toThrow();
  });
});

const label = fc.string({ unit: "binary", maxLength: 12 });

test("whatever the labels hold, every series can be read back, and no two are the same", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(label, label, fc.nat()), { maxLength: 20 }), (samples) => {
      const { metrics, logs } = setUp();
      const counter = logs.counter("logs_lines_total", "Lines.", ["file", "sink"]);
      const wanted = new Map<string, number>();
      for (const [file, sink, by] of samples) {
        counter.add(by, { file, sink });
        const key = JSON.stringify([file.toWellFormed(), sink.toWellFormed()]);
        wanted.set(key, (wanted.get(key) ?? 0) + by);
      }
      const read = seriesOf(metrics.text()).map((line) => {
        const { labels, value } = parseSeries(line);
        expect(labels["sidecar"]).toBe("access");
        return [JSON.stringify([labels["file"], labels["sink"]]), value] as const;
      });
      expect(read.length).toBe(wanted.size);
      expect(new Map(read)).toEqual(wanted);
    }),
  );
});

test("a histogram's buckets grow, and the last one counts everything", () => {
  const bounds = [-1, 0, 0.5, 10];
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 })), (values) => {
      const { metrics, logs } = setUp();
      const histogram = logs.histogram("logs_send_seconds", "Sends.", { buckets: bounds });
      for (const value of values) histogram.observe(value);
      const counts = seriesOf(metrics.text())
        .filter((line) => line.includes("_bucket"))
        .map((line) => parseSeries(line).value);
      expect(counts).toEqual(
        [...bounds, Infinity].map((bound) => values.filter((value) => value <= bound).length),
      );
    }),
  );
});

/** Debian's package `prometheus` has it. */
const promtool = Bun.which("promtool");

test.skipIf(promtool === null)("promtool finds nothing to complain about", async () => {
  const { metrics, logs } = setUp();
  declareProcessMetrics(metrics, "1.2.3");
  logs.counter("logs_lines_total", "Lines.", ["file"]).add(1, { file: 'a"\n\\\u0000' });
  logs.histogram("logs_send_seconds", "Sends.", { buckets: [0.1] }).observe(3);
  logs.gauge("logs_lag_bytes", "Lag.").set(Number.NaN);
  const check = Bun.spawn([promtool ?? "promtool", "check", "metrics"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  await check.stdin.write(metrics.text());
  await check.stdin.end();
  const [out, err] = await Promise.all([
    new Response(check.stdout).text(),
    new Response(check.stderr).text(),
  ]);
  expect([out, err, await check.exited]).toEqual(["", "", 0]);
});

function seriesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Written from the format's description, not from our writer. */
function parseSeries(line: string): { labels: Record<string, string>; value: number } {
  const labels: Record<string, string> = {};
  let rest = line.slice(line.indexOf("{") + 1);
  while (!rest.startsWith("}")) {
    const [whole = "", key = "", quoted = ""] = /^([a-z_]+)="((?:\\.|[^"\\])*)",?/s.exec(rest) ?? [];
    if (whole === "") throw new SyntaxError(`No label at ${JSON.stringify(rest)}`);
    labels[key] = quoted.replaceAll(/\\(.)/gs, (_, letter: string) => (letter === "n" ? "\n" : letter));
    rest = rest.slice(whole.length);
  }
  return { labels, value: Number(rest.slice(2).replace("+Inf", "Infinity")) };
}

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { systemClock } from "../../../kernel/clock.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { FakeLoki } from "../../../testing/fake-loki.ts";
import { ScriptedServer } from "../../../testing/scripted-server.ts";
import { DELIVERED, makeBatch, makeRecord, openSink, send } from "../../../testing/sink-fixtures.ts";
import { compareNanos, findRefused } from "./loki-refusals.ts";

const POD = {
  name: "web-0",
  namespace: "shop",
  node: "node-1",
  labels: { app: "web", "app.kubernetes.io/part-of": "shop" },
};
let host: FakeHost;

beforeEach(() => {
  host = new FakeHost({ clock: systemClock, pod: POD });
});
afterEach(() => host[Symbol.dispose]());

const BASE = BigInt(Date.UTC(2026, 10, 21, 10)) * 1_000_000n;
const SECOND = 1_000_000_000n;

/** A record so many seconds after ten o'clock. */
function at(second: number, fields: Record<string, unknown> = {}) {
  const time = new Date(Date.UTC(2026, 10, 21, 10) + second * 1_000).toISOString();
  return makeRecord(0, { time, text: `at ${second}`, fields: { message: `at ${second}`, ...fields } });
}

describe("loki sink", () => {
  test("pushes one stream with the pod's labels, nanoseconds as text and the fields as JSON, oldest first", async () => {
    await using loki = await FakeLoki.start({ tenant: "team-a" });
    const options = {
      url: loki.server.url,
      tenant: "team-a",
      labels: { job: "nginx" },
      podLabels: ["app", "app.kubernetes.io/part-of", "none"],
    };
    const sink = openSink({ loki: options }, host);
    const batch = [at(2, { n: 2 }), at(1), at(3)].map((record) => sink.encode(record));
    expect(await send(sink, batch)).toEqual(DELIVERED);
    expect(JSON.parse(loki.server.requests[0]?.body ?? "")).toEqual({
      streams: [
        {
          stream: {
            namespace: "shop",
            pod: "web-0",
            node: "node-1",
            app: "web",
            app_kubernetes_io_part_of: "shop",
            job: "nginx",
          },
          values: [
            [String(BASE + SECOND), '{"message":"at 1"}'],
            [String(BASE + 2n * SECOND), '{"message":"at 2","n":2}'],
            [String(BASE + 3n * SECOND), '{"message":"at 3"}'],
          ],
        },
      ],
    });
    expect(loki.server.requests[0]?.headers).toMatchObject({
      "x-scope-orgid": "team-a",
      "content-encoding": "gzip",
      "content-type": "application/json",
    });
    await sink.close();
  });

  test("sends the line as it was, structured metadata beside it, and fields as labels, one request per stream", async () => {
    await using loki = await FakeLoki.start();
    const options = {
      url: `${loki.server.url}/loki/api/v1/push`,
      pod: false,
      line: "text",
      fieldLabels: ["level"],
      structuredMetadata: ["trace", "status", "none"],
    };
    const sink = openSink({ loki: options }, host);
    const batch = [
      at(1, { level: "info", trace: 't"1', status: 200 }),
      at(2, { level: "error", trace: "" }),
      at(3, { level: "info" }),
      at(4),
    ].map((record) => sink.encode(record));
    expect(await send(sink, batch)).toEqual(DELIVERED);
    expect(loki.server.requests.length).toBe(3);
    expect(loki.entries).toEqual({
      '{job="pillion", level="info"}': [
        { nanos: BASE + SECOND, line: "at 1", metadata: { trace: 't"1', status: "200" } },
        { nanos: BASE + 3n * SECOND, line: "at 3", metadata: {} },
      ],
      '{job="pillion", level="error"}': [{ nanos: BASE + 2n * SECOND, line: "at 2", metadata: {} }],
      // Loki takes no stream without labels.
      '{job="pillion"}': [{ nanos: BASE + 4n * SECOND, line: "at 4", metadata: {} }],
    });
    await sink.close();
  });

  test("keeps the prefix of the address", async () => {
    await using server = await ScriptedServer.start({ answer: () => ({ status: 204 }) });
    const sink = openSink({ loki: { url: `${server.url}/tenants/a/` } }, host);
    await send(sink, makeBatch(sink, 1));
    expect(server.requests[0]?.path).toBe("/tenants/a/loki/api/v1/push");
    await sink.close();
  });

  test("a batch that is sent again is stored once: Loki knows equal entries", async () => {
    await using loki = await FakeLoki.start();
    const sink = openSink({ loki: { url: loki.server.url } }, host);
    const batch = makeBatch(sink, 5);
    await send(sink, batch);
    await send(sink, batch);
    expect(Object.values(loki.entries).map((entries) => entries.length)).toEqual([5]);
    await sink.close();
  });

  test("401 for a missing tenant is nobody's records' fault", async () => {
    await using loki = await FakeLoki.start({ tenant: "team-a" });
    const sink = openSink({ loki: { url: loki.server.url } }, host);
    expect(await send(sink, makeBatch(sink, 2))).toMatchObject({
      kind: "unavailable",
      because: { code: "E_SINK_DENIED" },
    });
    await sink.close();
  });
});

describe("loki sink finds the entries that Loki refused:", () => {
  const hopeless = (...indexes: number[]) => indexes.map((index) => ({ index, isRetryable: false }));

  async function refusedOf(
    options: object,
    records: readonly ReturnType<typeof at>[],
    sent: readonly ReturnType<typeof at>[] = [],
  ) {
    await using loki = await FakeLoki.start(options);
    const sink = openSink({ loki: { url: loki.server.url, line: "text" } }, host);
    if (sent.length > 0)
      await send(
        sink,
        sent.map((record) => sink.encode(record)),
      );
    const outcome = await send(
      sink,
      records.map((record) => sink.encode(record)),
    );
    await sink.close();
    const stored = Object.values(loki.entries).flatMap((entries) => entries.map(({ line }) => line));
    return { outcome, stored };
  }

  test("too far behind the newest of the stream", async () => {
    const records = [at(10), at(7_300), at(20), at(3_599), at(3_600)];
    const { outcome, stored } = await refusedOf({}, records, [at(7_200)]);
    expect(outcome).toMatchObject({ kind: "answered", refusals: hopeless(0, 2, 3) });
    expect(JSON.stringify(outcome)).toContain("entry too far behind");
    expect(stored).toEqual(["at 7200", "at 3600", "at 7300"]);
  });

  test("more of them than Loki lists", async () => {
    const records = Array.from({ length: 30 }, (_, second) => at(second));
    const { outcome } = await refusedOf({ maxReturnedErrors: 3 }, records, [at(3_610)]);
    expect(outcome).toMatchObject({ kind: "answered", refusals: hopeless(...Array(10).keys()) });
  });

  test("older than the limit of the tenant, newer than it, or too long", async () => {
    const old = await refusedOf({ oldest: BASE + 5n * SECOND }, [at(9), at(4), at(5), at(1)]);
    expect(old.outcome).toMatchObject({ kind: "answered", refusals: hopeless(3, 1) });
    expect(old.stored).toEqual(["at 5", "at 9"]);
    const fresh = await refusedOf({ newest: BASE + 5n * SECOND }, [at(9), at(4), at(6)]);
    expect(fresh.outcome).toMatchObject({ kind: "answered", refusals: hopeless(2, 0) });
    expect(fresh.stored).toEqual(["at 4"]);
    const long = { ...at(2), text: "€".repeat(100) };
    const tooLong = await refusedOf({ maxLine: 299 }, [at(1), long, at(3)]);
    expect(tooLong.outcome).toMatchObject({ kind: "answered", refusals: hopeless(1) });
    expect(tooLong.stored).toEqual(["at 1", "at 3"]);
  });

  test("in one of several streams; the others are acknowledged", async () => {
    await using loki = await FakeLoki.start();
    const sink = openSink({ loki: { url: loki.server.url, fieldLabels: ["level"] } }, host);
    await send(sink, [sink.encode(at(7_200, { level: "a" }))]);
    const records = [
      at(1, { level: "a" }),
      at(2, { level: "b" }),
      at(7_000, { level: "a" }),
      at(3, { level: "b" }),
    ];
    expect(
      await send(
        sink,
        records.map((record) => sink.encode(record)),
      ),
    ).toMatchObject({ kind: "answered", refusals: hopeless(0) });
    await sink.close();
  });

  test("whatever is sent: what is not refused is stored, what is refused is not", async () => {
    const times = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(times, times, async (first, second) => {
        const label = (n: number) => ({ level: n % 3 === 0 ? "info" : "error", n });
        await using loki = await FakeLoki.start({ oldest: BASE + 2_000n * SECOND });
        const sink = openSink(
          { loki: { url: loki.server.url, fieldLabels: ["level"], compress: "none" } },
          host,
        );
        for (const seconds of [first, second]) {
          const batch = seconds.map((time) => sink.encode(at(time, label(time))));
          const outcome = await send(sink, batch);
          const stored = new Set(
            Object.values(loki.entries).flatMap((entries) => entries.map(({ nanos }) => String(nanos))),
          );
          if (outcome.kind !== "answered") continue; // Not sure: narrowed down by halves.
          const refused = new Set(
            outcome.refusals
              .filter(({ isRetryable }) => !isRetryable)
              .map(({ index }) => batch[index]?.nanos),
          );
          const doubtful = new Set(outcome.refusals.map(({ index }) => index));
          for (const [index, { nanos }] of batch.entries()) {
            if (!doubtful.has(index)) expect(stored).toContain(nanos);
            if (refused.has(nanos)) expect(stored).not.toContain(nanos);
          }
        }
        await sink.close();
      }),
      { numRuns: 40 },
    );
  });
});

describe("loki sink, several streams", () => {
  test("an outage between them puts the rest off and acknowledges what arrived", async () => {
    await using loki = await FakeLoki.start();
    const sink = openSink({ loki: { url: loki.server.url, fieldLabels: ["level"] } }, host);
    loki.server.faults.push({ status: 204 }, { status: 503 });
    const batch = ["a", "b", "c", "a"].map((level, n) => sink.encode(at(n, { level })));
    expect(await send(sink, batch)).toMatchObject({
      kind: "answered",
      refusals: [
        { index: 1, isRetryable: true },
        { index: 2, isRetryable: true },
      ],
    });
    loki.server.faults.push({ status: 503, headers: { "retry-after": "2" } });
    expect(await send(sink, batch)).toMatchObject({ kind: "unavailable", retryAfterMs: 2_000 });
    await sink.close();
  });

  test("a refusal without names is narrowed down alone: one record is hopeless, several are tried again", async () => {
    await using loki = await FakeLoki.start();
    const sink = openSink({ loki: { url: loki.server.url, fieldLabels: ["level"] } }, host);
    loki.server.faults.push({ status: 400, body: "?" }, { status: 413, body: "large" }, { status: 204 });
    const batch = ["a", "b", "b", "c"].map((level, n) => sink.encode(at(n, { level })));
    expect(await send(sink, batch)).toEqual({
      kind: "answered",
      refusals: [
        { index: 0, isRetryable: false, reason: "HTTP 400: ?" },
        { index: 1, isRetryable: true, reason: "HTTP 413: large" },
        { index: 2, isRetryable: true, reason: "HTTP 413: large" },
      ],
    });
    const alone = batch.slice(1, 3);
    loki.server.faults.push({ status: 400, body: "?" }, { status: 413 });
    expect([await send(sink, alone), await send(sink, alone)]).toEqual([
      { kind: "refused", reason: "HTTP 400: ?" },
      { kind: "too-large", reason: "HTTP 413" },
    ]);
    await sink.close();
  });
});

describe("findRefused()", () => {
  const entries = [1, 2, 3].map((n, index) => ({
    index,
    nanos: String(BASE + BigInt(n) * SECOND),
    text: '"line"',
  }));

  test.each([
    ["another text", "error parsing labels"],
    ["nothing", ""],
    // Automatic stream sharding: the sum is that of one shard.
    ["a sum of another batch", "user 'fake', total ignored: 1 out of 2 for stream: {a=\"b\"}"],
    [
      "a time that was not sent",
      "entry with timestamp 2026-11-21 09:00:00 +0000 UTC ignored, reason: 'entry out of order',\nuser 'fake', total ignored: 1 out of 3 for stream: {a=\"b\"}",
    ],
    [
      "more than were sent",
      `4 errors like: entry for stream '{}' has timestamp too old: x, oldest acceptable timestamp is: y`,
    ],
    [
      "a length that no line has",
      "max entry size '2' bytes exceeded for stream '{}' while adding an entry with length '9' bytes",
    ],
    [
      "a second error of another kind",
      "2 errors: entry for stream '{}' has timestamp too old: x; entry for stream '{}' has 40 label names; limit 15",
    ],
  ])("is not sure of %s", (_, text) => {
    expect(findRefused(text, entries)).toBeUndefined();
  });

  test("knows errors that are grouped with their count, and labels with quotes", () => {
    const text = `2 errors like: entry for stream '{a="it's"}' has timestamp too old: x, oldest acceptable timestamp is: y`;
    expect(findRefused(text, entries)?.map(({ index }) => index)).toEqual([0, 1]);
  });

  test("knows entries out of order (`unordered-writes: false`)", () => {
    const text = `entry with timestamp 2026-11-21 10:00:01 +0000 UTC ignored, reason: 'entry out of order',\nuser 'fake', total ignored: 1 out of 3 for stream: {a="b"}`;
    expect(findRefused(text, entries)?.map(({ index }) => index)).toEqual([0]);
  });
});

test("compareNanos() orders as numbers do", () => {
  const big = fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n });
  fc.assert(
    fc.property(big, big, (a, b) => {
      expect(Math.sign(compareNanos(String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
    }),
  );
});

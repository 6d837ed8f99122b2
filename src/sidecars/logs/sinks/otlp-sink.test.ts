import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../../kernel/clock.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { FakeOtlp } from "../../../testing/fake-otlp.ts";
import { ScriptedServer } from "../../../testing/scripted-server.ts";
import { DELIVERED, makeBatch, makeRecord, openSink, send } from "../../../testing/sink-fixtures.ts";
import { anyValue } from "./otlp-record.ts";

let host: FakeHost;

beforeEach(() => {
  const pod = {
    name: "web-0",
    namespace: "shop",
    uid: "0b7e",
    node: "node-1",
    ip: "10.0.0.7",
    labels: { app: "web" },
  };
  host = new FakeHost({ clock: systemClock, pod });
});
afterEach(() => host[Symbol.dispose]());

describe("otlp sink", () => {
  test.each(["gzip", "zstd", "none"])(
    "exports log records with resource, severity, body and typed attributes (%s)",
    async (compress) => {
      await using otlp = await FakeOtlp.start();
      const resource = { "deployment.environment.name": "test", "service.name": "shop" };
      const sink = openSink({ otlp: { url: otlp.server.url, compress, resource } }, host);
      const fields = {
        message: "paid",
        level: "WARN",
        count: 3,
        huge: 2 ** 60,
        ratio: 0.5,
        ok: true,
        none: null,
        nested: { list: [1, "a", [null]], inner: { deep: "x" } },
        file: "/var/log/app.log",
        stream: "stderr",
        pod: { name: "web-0" },
      };
      const batch = [
        makeRecord(1, { fields, time: "2026-11-21T10:00:00.123456789Z" }),
        makeRecord(2, { fields: { status: 200 }, text: "raw line" }),
      ];
      expect(
        await send(
          sink,
          batch.map((record) => sink.encode(record)),
        ),
      ).toEqual(DELIVERED);
      expect(otlp.records).toEqual([
        {
          timeUnixNano: "1795255200123456789",
          severityNumber: 13,
          severityText: "WARN",
          body: { stringValue: "paid" },
          attributes: [
            { key: "level", value: { stringValue: "WARN" } },
            { key: "count", value: { intValue: "3" } },
            { key: "huge", value: { doubleValue: 2 ** 60 } },
            { key: "ratio", value: { doubleValue: 0.5 } },
            { key: "ok", value: { boolValue: true } },
            {
              key: "nested",
              value: {
                kvlistValue: {
                  values: [
                    {
                      key: "list",
                      value: {
                        arrayValue: {
                          values: [
                            { intValue: "1" },
                            { stringValue: "a" },
                            { arrayValue: { values: [{ stringValue: "" }] } },
                          ],
                        },
                      },
                    },
                    {
                      key: "inner",
                      value: { kvlistValue: { values: [{ key: "deep", value: { stringValue: "x" } }] } },
                    },
                  ],
                },
              },
            },
            { key: "log.file.path", value: { stringValue: "/var/log/app.log" } },
            { key: "log.iostream", value: { stringValue: "stderr" } },
          ],
        },
        {
          timeUnixNano: "1795255202000000000",
          body: { stringValue: "raw line" },
          attributes: [{ key: "status", value: { intValue: "200" } }],
        },
      ]);
      expect(
        Object.fromEntries(otlp.resources[0]?.map(({ key, value }) => [key, Object.values(value)[0]]) ?? []),
      ).toEqual({
        "service.name": "shop",
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "web-0",
        "k8s.pod.uid": "0b7e",
        "k8s.pod.ip": "10.0.0.7",
        "k8s.node.name": "node-1",
        "k8s.pod.label.app": "web",
        "deployment.environment.name": "test",
      });
      await sink.close();
    },
  );

  test("takes the complete address too, and an empty body for a success", async () => {
    await using server = await ScriptedServer.start({ answer: () => ({ status: 200 }) });
    const sink = openSink({ otlp: { url: `${server.url}/otlp/v1/logs` } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    expect(server.requests[0]?.path).toBe("/otlp/v1/logs");
    await sink.close();
  });

  test("a partial success puts the batch to the dead letters and sends nothing again", async () => {
    await using otlp = await FakeOtlp.start({
      reject: ({ body }) => "stringValue" in body && body.stringValue === "message 1",
    });
    const sink = openSink({ otlp: { url: otlp.server.url } }, host);
    const reason =
      "1 of the 3 records sent with this one were rejected, OTLP does not say which: attribute not allowed";
    expect(await send(sink, makeBatch(sink, 3))).toEqual({
      kind: "answered",
      refusals: [0, 1, 2].map((index) => ({ index, isRetryable: false, reason })),
    });
    const one = [sink.encode(makeRecord(1))];
    expect(await send(sink, one)).toEqual({
      kind: "answered",
      refusals: [{ index: 0, isRetryable: false, reason: "rejected: attribute not allowed" }],
    });
    await sink.close();
  });

  test.each([
    ['{"partialSuccess":{}}', DELIVERED],
    ['{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"slow down"}}', DELIVERED],
    ['{"partialSuccess":null,"unknown":1}', DELIVERED],
    [
      '{"partialSuccess":{"rejectedLogRecords":1}}',
      { kind: "answered", refusals: [{ index: 0, isRetryable: false, reason: "rejected" }] },
    ],
    ["<html>", { kind: "unavailable", because: { code: "E_SINK_ANSWER" } }],
    ["[]", { kind: "unavailable", because: { code: "E_SINK_ANSWER" } }],
  ])("reads the answer %s", async (body, outcome) => {
    await using server = await ScriptedServer.start({ answer: () => ({ status: 200, body }) });
    const sink = openSink({ otlp: { url: server.url } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject(outcome);
    await sink.close();
  });

  test.each([
    [
      { status: 400, body: '{"code":3}' },
      { kind: "refused", reason: 'HTTP 400: {"code":3}' },
    ],
    [
      { status: 429, headers: { "retry-after": "3" } },
      { kind: "unavailable", retryAfterMs: 3_000 },
    ],
    [{ status: 502 }, { kind: "unavailable" }],
    [
      { status: 503, headers: { "retry-after": "1" } },
      { kind: "unavailable", retryAfterMs: 1_000 },
    ],
    [{ status: 504 }, { kind: "unavailable" }],
  ])("hands on %j", async (fault, outcome) => {
    await using otlp = await FakeOtlp.start();
    otlp.server.faults.push(fault);
    const sink = openSink({ otlp: { url: otlp.server.url } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject(outcome);
    await sink.close();
  });
});

test.each([
  [-1, { intValue: "-1" }],
  [Number.MAX_SAFE_INTEGER, { intValue: "9007199254740991" }],
  [1.5e300, { doubleValue: 1.5e300 }],
  ["", { stringValue: "" }],
  [[], { arrayValue: { values: [] } }],
  [{}, { kvlistValue: { values: [] } }],
  [null, undefined],
  [undefined, undefined],
])("anyValue(%p) is %j", (value, typed) => {
  expect(anyValue(value)).toEqual(typed);
});

test.each([
  [{ level: "info" }, 9],
  [{ severity: "Critical" }, 21],
  [{ lvl: "dbg", level: 50 }, 17],
  [{ level: "chatty" }, undefined],
  [{ level: 35 }, undefined],
  [{ level: { name: "info" } }, undefined],
  [{}, undefined],
])("the severity of %j is %p", (fields, severityNumber) => {
  const sink = openSink({ otlp: { url: "http://otlp.invalid" } }, host);
  const encoded = JSON.parse(sink.encode(makeRecord(0, { fields })).text) as {
    readonly severityNumber?: number;
  };
  expect(encoded.severityNumber).toBe(severityNumber);
});

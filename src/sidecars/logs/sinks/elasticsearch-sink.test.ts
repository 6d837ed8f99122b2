import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../kernel/clock.ts";
import { FakeElasticsearch, type StoredDocument } from "../../../testing/fake-elasticsearch.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { ScriptedServer } from "../../../testing/scripted-server.ts";
import { DELIVERED, makeBatch, makeRecord, openSink, plain, send } from "../../../testing/sink-fixtures.ts";
import { readBulkAnswer } from "./bulk-answer.ts";
import { createIndexNames } from "./index-names.ts";

let host: FakeHost;

beforeEach(() => {
  host = new FakeHost({ clock: systemClock, env: { KEY: "id:key" } });
});
afterEach(() => host[Symbol.dispose]());

const INDEX = "logs-app-default";

describe("elasticsearch sink", () => {
  test("creates documents with `@timestamp` in a data stream, gzipped", async () => {
    await using elastic = await FakeElasticsearch.start({ authorization: "ApiKey id:key" });
    const options = {
      url: `${elastic.server.url}/`,
      index: INDEX,
      auth: { apiKey: { env: "KEY" } },
      pipeline: "parse",
    };
    const sink = openSink({ elasticsearch: options }, host);
    expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    expect(elastic.documents).toEqual({
      [INDEX]: [
        { "@timestamp": "2026-11-21T10:00:00.000Z", message: "message 0", number: 0 },
        { "@timestamp": "2026-11-21T10:00:01.000Z", message: "message 1", number: 1 },
      ],
    });
    const [request] = elastic.server.requests;
    expect(request?.headers["content-encoding"]).toBe("gzip");
    expect(request?.query.get("pipeline")).toBe("parse");
    await sink.close();
  });

  test("an application's own `@timestamp` does not stand there twice", async () => {
    await using elastic = await FakeElasticsearch.start();
    const sink = openSink({ elasticsearch: { url: elastic.server.url, index: INDEX } }, host);
    const piece = sink.encode(makeRecord(0, { fields: { "@timestamp": "now", a: 1 } }));
    expect(piece.text).toBe('{"@timestamp":"2026-11-21T10:00:00.000Z","a":1}');
    await sink.close();
  });

  test("a batch that is sent again is delivered and stored once, also after a restart", async () => {
    await using elastic = await FakeElasticsearch.start();
    const elasticsearch = { url: elastic.server.url, index: INDEX };
    const sink = openSink({ elasticsearch }, host);
    const batch = makeBatch(sink, 3);
    await send(sink, batch);
    expect(await send(sink, batch)).toEqual(DELIVERED);
    await sink.close();
    using successor = new FakeHost({ clock: systemClock, stateFolder: host.stateFolder });
    const again = openSink({ elasticsearch }, successor);
    expect(await send(again, makeBatch(again, 4))).toEqual(DELIVERED);
    await again.close();
    expect(elastic.documents[INDEX]?.length).toBe(4);
  });

  test("equal places in another pod's files, and in a file that was emptied, are other documents", async () => {
    await using elastic = await FakeElasticsearch.start();
    const elasticsearch = { url: elastic.server.url, index: INDEX };
    using other = new FakeHost({ clock: systemClock });
    const sinks = [host, other].map((each) => openSink({ elasticsearch }, each));
    for (const sink of sinks) await send(sink, makeBatch(sink, 1));
    const [first] = sinks;
    if (first !== undefined)
      await send(first, [first.encode(makeRecord(0, { fields: { message: "later" } }))]);
    expect(elastic.documents[INDEX]?.map((document) => document["message"])).toEqual([
      "message 0",
      "message 0",
      "later",
    ]);
    await Promise.all(sinks.map((sink) => sink.close()));
  });

  test("two sinks of one sidecar that begin at once agree on their installation; a damaged id is made anew", async () => {
    await using elastic = await FakeElasticsearch.start();
    writeFileSync(join(host.stateFolder, "installation-id"), "\0\0");
    const elasticsearch = { url: elastic.server.url, index: INDEX };
    const sinks = [0, 1].map(() => openSink({ elasticsearch }, host));
    expect(await Promise.all(sinks.map((sink) => send(sink, makeBatch(sink, 2))))).toEqual([
      DELIVERED,
      DELIVERED,
    ]);
    expect(elastic.documents[INDEX]?.length).toBe(2);
    await Promise.all(sinks.map((sink) => sink.close()));
  });

  test("a state folder that cannot be written is told, and nothing is sent", async () => {
    await using elastic = await FakeElasticsearch.start();
    host.beforeWrite = () => {
      throw new Error("ENOSPC: no space left on device");
    };
    const sink = openSink({ elasticsearch: { url: elastic.server.url, index: INDEX } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable" });
    expect(elastic.server.requests).toEqual([]);
    host.beforeWrite = () => undefined;
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    await sink.close();
  });

  test("puts records into the index of their own day", async () => {
    await using elastic = await FakeElasticsearch.start();
    const options = { url: elastic.server.url, index: "app-%{yyyy.MM.dd}", timeField: "time" };
    const sink = openSink({ elasticsearch: options }, host);
    const times = ["2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z", "2026-11-21T00:30:00+01:00"];
    const batch = times.map((time, n) => sink.encode(makeRecord(n, { time, fields: { n } })));
    expect(await send(sink, batch)).toEqual(DELIVERED);
    expect(elastic.documents).toEqual({
      "app-2026.11.20": [
        { time: times[0], n: 0 },
        { time: times[2], n: 2 },
      ],
      "app-2026.11.21": [{ time: times[1], n: 1 }],
    });
    await sink.close();
  });
});

describe("elasticsearch sink, answers per document:", () => {
  const fault = (status: number, type: string) => ({ status, type, reason: `because of ${type}` });
  async function outcomeOf(refuse: (document: StoredDocument) => ReturnType<typeof fault> | undefined) {
    await using elastic = await FakeElasticsearch.start({ refuse });
    const sink = openSink({ elasticsearch: { url: elastic.server.url, index: INDEX } }, host);
    const outcome = await send(sink, makeBatch(sink, 5));
    await sink.close();
    return { outcome, stored: elastic.documents[INDEX]?.map((document) => document["number"]) ?? [] };
  }

  test("good ones are acknowledged, 429 comes again, a mapper's error is hopeless and says why", async () => {
    const faults: Record<number, ReturnType<typeof fault>> = {
      1: fault(400, "document_parsing_exception"),
      3: fault(429, "es_rejected_execution_exception"),
      4: fault(503, "unavailable_shards_exception"),
    };
    const { outcome, stored } = await outcomeOf((document) => faults[Number(document["number"])]);
    expect(outcome).toEqual({
      kind: "answered",
      refusals: [
        {
          index: 1,
          isRetryable: false,
          reason: "HTTP 400: document_parsing_exception: because of document_parsing_exception",
        },
        {
          index: 3,
          isRetryable: true,
          reason: "HTTP 429: es_rejected_execution_exception: because of es_rejected_execution_exception",
        },
        {
          index: 4,
          isRetryable: true,
          reason: "HTTP 503: unavailable_shards_exception: because of unavailable_shards_exception",
        },
      ],
    });
    expect(stored).toEqual([0, 2]);
  });

  test.each([
    [429, "circuit_breaking_exception"],
    [403, "cluster_block_exception"],
    [403, "security_exception"],
    [404, "index_not_found_exception"],
    [400, "invalid_index_name_exception"],
    [500, "exception"],
  ])("all with %p %s is an outage of the receiver", async (status, type) => {
    const { outcome } = await outcomeOf(() => fault(status, type));
    expect(plain(outcome)).toEqual({
      kind: "unavailable",
      because: `E_SINK_INDEX: Cannot store documents in Elasticsearch: every one was put off with "${type}"`,
    });
  });
});

test.each([
  ["no JSON", "<html>"],
  ["another receiver's", "{}"],
  ["too few documents", '{"errors":false,"items":[{"create":{"status":201}}]}'],
  ["an item without a result", '{"errors":false,"items":[{},{}]}'],
])("readBulkAnswer() takes no answer that is %s", (_, text) => {
  expect(readBulkAnswer(text, 2)).toBeUndefined();
});

test("elasticsearch sink takes neither garbage nor half an answer for an acknowledgement, and hands on 400 and 413", async () => {
  await using server = await ScriptedServer.start({ answer: () => ({ status: 200, body: "<html>" }) });
  const sink = openSink({ elasticsearch: { url: server.url, index: INDEX } }, host);
  const batch = makeBatch(sink, 2);
  const answer = { kind: "unavailable", because: { code: "E_SINK_ANSWER" } };
  expect(await send(sink, batch)).toMatchObject(answer);
  server.faults.push("cut-answer", { status: 413 }, { status: 400, body: "{}" });
  expect(await send(sink, batch)).toMatchObject(answer);
  expect(await send(sink, batch)).toEqual({ kind: "too-large", reason: "HTTP 413" });
  expect(await send(sink, batch)).toEqual({ kind: "refused", reason: "HTTP 400: {}" });
  await sink.close();
});

test("createIndexNames() counts days in UTC, whatever the zone", () => {
  const names = createIndexNames("%{yyyy}-a-%{MM_dd}.%{HH}");
  expect(
    [
      "2026-11-21T10:15:00Z",
      "2026-11-21T10:45:00.5Z",
      "2026-11-21T00:15:00+05:30",
      "2026-11-21T00:45:00+05:30",
      "2026-11-21T10:00:00-02:00",
      "nonsense",
    ].map(names),
  ).toEqual([
    "2026-a-11_21.10",
    "2026-a-11_21.10",
    "2026-a-11_20.18",
    "2026-a-11_20.19",
    "2026-a-11_21.12",
    "1970-a-01_01.00",
  ]);
});

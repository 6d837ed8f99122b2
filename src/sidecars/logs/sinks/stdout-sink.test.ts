import { afterEach, beforeEach, expect, test } from "bun:test";
import { FakeHost } from "../../../testing/fake-host.ts";
import { DELIVERED, makeBatch, makeRecord, openSink, plain, send } from "../../../testing/sink-fixtures.ts";

let host: FakeHost;

beforeEach(() => {
  host = new FakeHost();
});
afterEach(() => host[Symbol.dispose]());

test("stdout sink writes JSON lines, or events as they were", async () => {
  const json = openSink({ stdout: {} }, host);
  expect(await send(json, makeBatch(json, 2))).toEqual(DELIVERED);
  const text = openSink({ stdout: { format: "text" } }, host);
  expect(await send(text, [text.encode(makeRecord(0, { text: "first\n  at second" }))])).toEqual(DELIVERED);
  expect(host.stdout).toBe(
    '{"time":"2026-11-21T10:00:00.000Z","message":"message 0","number":0}\n' +
      '{"time":"2026-11-21T10:00:01.000Z","message":"message 1","number":1}\n' +
      "first\n  at second\n",
  );
  await Promise.all([json.close(), text.close()]);
});

test("stdout sink waits for nobody: it feels like tail -f", () => {
  expect(openSink({ stdout: {} }, host).limits).toEqual({
    maxBytes: 262_144,
    maxRecords: 1_000,
    maxWaitMs: 0,
  });
});

test("stdout sink is unavailable while the pipe is broken or nobody reads", async () => {
  const sink = openSink({ stdout: {} }, host);
  host.beforeStdout = () => {
    throw Object.assign(new Error("EPIPE: broken pipe, write"), { code: "EPIPE" });
  };
  expect(plain(await send(sink, makeBatch(sink, 1)))).toEqual({
    kind: "unavailable",
    because: "E_SINK_BROKEN: Cannot write to standard output: EPIPE: broken pipe, write",
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  host.beforeStdout = () => promise;
  const stop = new AbortController();
  const sending = sink.send(makeBatch(sink, 1), stop.signal);
  stop.abort();
  expect(await sending).toMatchObject({ kind: "unavailable", because: { code: "E_SINK_STUCK" } });
  expect(await sink.send(makeBatch(sink, 1), stop.signal)).toMatchObject({ kind: "unavailable" });
  resolve();
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
});

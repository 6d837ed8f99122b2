import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { LogRecord } from "../record.ts";
import { idOf, lineOf } from "./line-format.ts";
import { encodeRecord, recordJson } from "./record-json.ts";

const ORIGIN = { path: "/var/log/a.log", key: "k1" };
const TIMES = ["2026-11-21T09:48:00Z", "2026-11-21T09:48:00.123+01:00"];

function recordOf(fields: Record<string, unknown>, time = TIMES[0] ?? ""): LogRecord {
  return { text: "text", time, fields, origin: ORIGIN, end: 7 };
}

const fieldsOf = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue(), { maxKeys: 6 });

test("a record is one line of JSON with its time and fields, and its size is counted in bytes", () => {
  fc.assert(
    fc.property(
      fieldsOf,
      fc.constantFrom(...TIMES),
      fc.constantFrom("time", "größe"),
      (fields, time, key) => {
        const record = recordOf(fields, time);
        const { text, size } = encodeRecord(record, key);
        expect(size).toBe(Buffer.byteLength(text));
        expect(text).not.toContain("\n");
        expect(JSON.parse(text)).toEqual({ ...JSON.parse(JSON.stringify(fields)), [key]: time });
        expect(text.indexOf(`${JSON.stringify(key)}:`)).toBe(1);
      },
    ),
  );
});

test("a record without fields has its time", () => {
  expect(encodeRecord(recordOf({}))).toEqual({ text: `{"time":"${TIMES[0]}"}`, size: 31 });
});

test("a field with the name of the time does not come twice", () => {
  expect(recordJson(recordOf({ time: "noon", a: 1 }))).toBe(`{"time":"${TIMES[0]}","a":1}`);
  expect(recordJson(recordOf({ "@timestamp": "noon" }), "@timestamp")).toBe(`{"@timestamp":"${TIMES[0]}"}`);
});

test("a piece has the id of its record, and its size where that costs nothing", () => {
  const record = recordOf({ message: "Grüße" });
  const json = lineOf("json")(record);
  expect([json.id, json.group, json.nanos]).toEqual([idOf(record), "", ""]);
  expect(json.size).toBe(Buffer.byteLength(json.text));
  expect(lineOf("text")(record)).toMatchObject({ text: "text", id: "k1@7", size: undefined });
});

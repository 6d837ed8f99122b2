import { describe, expect, test } from "bun:test";
import { ageOf, humanDuration } from "./duration.ts";
import { scaledValue } from "./int-or-string.ts";

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

describe("humanDuration()", () => {
  test.each([
    [-2 * S, "<invalid>"],
    [-1 * S, "0s"],
    [0, "0s"],
    [119 * S + 999, "119s"],
    [2 * M, "2m"],
    [2 * M + 5 * S, "2m5s"],
    [10 * M + 5 * S, "10m"],
    [179 * M, "179m"],
    [3 * H, "3h"],
    [3 * H + 5 * M, "3h5m"],
    [8 * H + 5 * M, "8h"],
    [47 * H, "47h"],
    [2 * D, "2d"],
    [2 * D + 3 * H, "2d3h"],
    [8 * D + 3 * H, "8d"],
    [729 * D, "729d"],
    [2 * 365 * D, "2y"],
    [2 * 365 * D + 10 * D, "2y10d"],
    [8 * 365 * D + 10 * D, "8y"],
  ])("%d ms is %p", (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});

test("ageOf() says <unknown> for an absent time", () => {
  const now = Date.parse("2026-01-01T00:01:00Z");
  expect([ageOf(undefined, now), ageOf("2026-01-01T00:00:00Z", now), ageOf("soon", now)]).toEqual([
    "<unknown>",
    "60s",
    "<unknown>",
  ]);
});

describe("scaledValue()", () => {
  test("takes a percentage of the total, rounded as asked", () => {
    expect([
      scaledValue("25%", { total: 3, roundUp: true }),
      scaledValue("25%", { total: 3, roundUp: false }),
      scaledValue(2, { total: 3, roundUp: false }),
    ]).toEqual([1, 0, 2]);
  });

  test("refuses text that is no percentage", () => {
    const message = "invalid value for IntOrString: invalid type: string is not a percentage";
    expect(() => scaledValue("many", { total: 1, roundUp: true })).toThrow(new RangeError(message));
  });
});

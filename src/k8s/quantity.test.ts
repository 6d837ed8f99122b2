import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  isQuantity,
  milliValue,
  parseQuantity,
  wholeValue,
} from "./quantity.ts";

describe("canonicalQuantity()", () => {
  test.each([
    ["0", "0"],
    ["0.0", "0"],
    ["0Mi", "0"],
    ["1", "1"],
    ["0.5", "500m"],
    ["1.5", "1500m"],
    ["1000m", "1"],
    ["100m", "100m"],
    ["0.1m", "100u"],
    ["1500M", "1500M"],
    ["1000k", "1M"],
    ["1024", "1024"],
    ["1024Mi", "1Gi"],
    ["1.5Gi", "1536Mi"],
    ["0.5Mi", "512Ki"],
    ["1000Ki", "1000Ki"],
    ["512Mi", "512Mi"],
    ["1Ki", "1Ki"],
    ["0.5Ki", "512"],
    ["1.1Ki", "1126400m"],
    ["1e3", "1e3"],
    ["1E3", "1E3"],
    ["12e6", "12e6"],
    ["1000e3", "1e6"],
    ["1E", "1E"],
    ["0.0000000001", "1n"],
    ["-1.5", "-1500m"],
    ["-1024Mi", "-1Gi"],
    ["99999999999999999999Ki", "9223372036854775807"],
    ["100Gi", "100Gi"],
    ["1.500", "1.500"],
    [".5", "500m"],
    [2, "2"],
    [0.25, "250m"],
  ])("writes %p as %p", (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical);
  });

  test.each(["", "1x", "1 Gi", "abc", "1ki", "--1", "1e", "1Mi5", "Mi", ".", "1.2.3", "1e999999999", "1KiB"])(
    "refuses %p",
    (text) => {
      expect(isQuantity(text)).toBe(false);
    },
  );

  test("says what the real server says", () => {
    const wrong =
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    expect(() => parseQuantity("lots")).toThrow(new Error(wrong));
    expect(() => parseQuantity("1ki")).toThrow(new Error("unable to parse quantity's suffix"));
  });
});

const text = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.integer({ min: 0, max: 2 ** 40 }),
    fc.constantFrom("", ".5", ".125", ".001"),
    fc.constantFrom("", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E6", "e-3"),
  )
  .map((parts) => parts.join(""));

describe("quantities", () => {
  test("keep their value through the canonical form, which is its own canonical form", () => {
    fc.assert(
      fc.property(text, (amount) => {
        const quantity = parseQuantity(amount);
        const again = parseQuantity(formatQuantity(quantity));
        expect(again.nanos).toBe(quantity.nanos);
        expect(formatQuantity(again)).toBe(formatQuantity(quantity));
      }),
    );
  });

  test("compare as their values do", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [x, y] = [parseQuantity(a), parseQuantity(b)];
        expect(Math.sign(compareQuantities(x, y))).toBe(-Math.sign(compareQuantities(y, x)) || 0);
        expect(compareQuantities(addQuantities(x, y), x) > 0).toBe(y.nanos > 0n);
      }),
    );
  });

  test("round up to millis and to whole units", () => {
    const amount = parseQuantity("1100u");
    expect([milliValue(amount), wholeValue(amount), milliValue(parseQuantity("-1100u"))]).toEqual([2, 1, -1]);
    expect([wholeValue(parseQuantity("1Gi")), milliValue(parseQuantity("0.5"))]).toEqual([1073741824, 500]);
  });
});

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { expandReferences } from "./env-expansion.ts";

const VALUES: Record<string, string> = { A: "1", B: "$(A)", EMPTY: "", "with.dot": "d" };

const expand = (text: string) => expandReferences(text, (name) => VALUES[name]).text;

describe("expandReferences()", () => {
  // The cases follow k8s.io/kubernetes third_party/forked/golang/expansion.
  test.each([
    ["", ""],
    ["plain", "plain"],
    ["$(A)", "1"],
    ["x$(A)y$(A)z", "x1y1z"],
    ["$(EMPTY)", ""],
    ["$(with.dot)", "d"],
    ["$(MISSING)", "$(MISSING)"],
    ["$$(A)", "$(A)"],
    ["$$$(A)", "$1"],
    ["$$$$(A)", "$$(A)"],
    ["$$", "$"],
    ["a$", "a$"],
    ["$A ${A} $((A))", "$A ${A} $((A))"],
    ["$(A", "$(A"],
    ["$(A$(A)", "$(A$(A)"],
    ["--$(A)--$(B)", "--1--$(A)"],
    ["$()", "$()"],
  ])("turns %j into %j [E2]", (text, expected) => {
    expect(expand(text)).toBe(expected);
  });

  test("names what is missing, in order", () => {
    expect(expandReferences("$(X)$(A)$(Y)", (name) => VALUES[name]).missing).toEqual(["X", "Y"]);
  });

  test("leaves every text without a dollar sign alone", () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes("$")),
        (text) => expand(text) === text,
      ),
    );
  });

  test("gives back any text whose dollar signs were doubled", () => {
    fc.assert(fc.property(fc.string(), (text) => expand(text.replaceAll("$", "$$$$")) === text));
  });
});

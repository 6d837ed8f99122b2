import { expect, test } from "bun:test";
import { join } from "node:path";
import { findProofs, readRules } from "./pod-rules.ts";

const IDS = new Set(["I4", "R7", "PR12"]);

function proofsIn(text: string): Record<string, string[]> {
  const proofs = findProofs([{ path: "a.test.ts", text }], IDS);
  return Object.fromEntries([...proofs].map(([id, found]) => [id, found.map(({ test: name }) => name)]));
}

test("the rules of the repository are well formed, and each is there once", () => {
  const ids = readRules(join(import.meta.dirname, "..")).sections.flatMap(({ rules }) => rules);
  expect(ids.length).toBeGreaterThan(200);
});

test("findProofs() reads the tags of test names, also several, and takes them out of the name", () => {
  expect(proofsIn('test("it restarts [I4, R7]", () => {}); test.each(TABLE)(`%s [PR12] holds`, f);')).toEqual(
    {
      I4: ["it restarts"],
      R7: ["it restarts"],
      PR12: ["%s holds"],
    },
  );
});

test("findProofs() takes no comment, index or unknown id for a tag", () => {
  expect(proofsIn('// [I4]\nconst x = table[R7]; test("reads [ZZ9] and [0]", f);')).toEqual({});
});

test("findProofs() names a test once for a rule that its name has twice", () => {
  expect(proofsIn('test("a [I4] b [I4]", f)')).toEqual({ I4: ["a b"] });
});

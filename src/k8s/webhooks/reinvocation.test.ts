import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Reinvocation } from "./reinvocation.ts";

/** Who is due after these answers: `a` may be asked again, `A` may not; `!` for a change. */
function due(answers: readonly string[]): string {
  const reinvocation = new Reinvocation();
  for (const answer of answers) {
    const uid = answer.charAt(0);
    reinvocation.answered({ uid, isReinvocable: uid === uid.toLowerCase() }, answer.endsWith("!"));
  }
  return [...new Set(answers.map((answer) => answer.charAt(0)))]
    .filter((uid) => reinvocation.isDue(uid))
    .join("");
}

test.each<[string[], string]>([
  [[], ""],
  [["a", "b"], ""],
  // Its own change is no reason.
  [["a!"], ""],
  [["a", "b!"], "a"],
  [["a!", "b!"], "a"],
  [["A", "b", "C!"], "b"],
  [["a", "b!", "c!"], "ab"],
])("after %j those are due: %s", (answers, uids) => {
  expect(due(answers)).toBe(uids);
});

test("the last one that changed something, and all after it, have seen the object as it is", () => {
  const answer = fc.constantFrom("", "!");
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 8 }), (changes) => {
      const answers = changes.map((change, index) => `${String.fromCharCode(97 + index)}${change}`);
      const last = changes.lastIndexOf("!");
      expect(due(answers)).toBe(
        answers
          .slice(0, Math.max(last, 0))
          .map((one) => one.charAt(0))
          .join(""),
      );
    }),
  );
});

test("a change from elsewhere makes all due that may be asked again", () => {
  const reinvocation = new Reinvocation();
  reinvocation.answered({ uid: "a", isReinvocable: true }, false);
  reinvocation.answered({ uid: "b", isReinvocable: false }, false);
  reinvocation.changed();
  expect(["a", "b"].map((uid) => reinvocation.isDue(uid))).toEqual([true, false]);
});

/** The rules of pods and the tests that name them: what the conformance page is made of. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const Rule = z.strictObject({
  id: z.string().regex(/^[A-Z]{1,2}\d+$/),
  rule: z.string(),
  source: z.string().optional(),
  /** Why the rule is not kept, or kept only in part where no test can be. */
  notImplemented: z.string().optional(),
  /** What a reader should know beside the tests. */
  note: z.string().optional(),
});
export type Rule = z.output<typeof Rule>;

const Rules = z.strictObject({
  sections: z.array(z.strictObject({ title: z.string(), rules: z.array(Rule) })),
});
export type Rules = z.output<typeof Rules>;

export const rulesFile = "test/conformance/pod-rules.yaml";

/** Throws when the file is not as it should be, or names a rule twice. */
export function readRules(root: string): Rules {
  const rules = Rules.parse(parse(readFileSync(join(root, rulesFile), "utf8")));
  const seen = new Set<string>();
  for (const { id } of rules.sections.flatMap((section) => section.rules)) {
    if (seen.has(id)) throw new Error(`${rulesFile} names ${id} twice`);
    seen.add(id);
  }
  return rules;
}

export interface Proof {
  /** Relative to the root. */
  readonly file: string;
  /** Name of the test, without its tags. */
  readonly test: string;
}

const TAG = /\s*\[([A-Z]{1,2}\d+(?:, ?[A-Z]{1,2}\d+)*)\]/g;
const LITERAL = /"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|'(?:[^'\\\n]|\\.)*'/g;

/** Rule -> tests whose names carry its id in brackets. `ids` are those that exist; others in brackets are no tags. */
export function findProofs(
  files: readonly { readonly path: string; readonly text: string }[],
  ids: ReadonlySet<string>,
): Map<string, Proof[]> {
  const proofs = new Map<string, Proof[]>();
  for (const { path, text } of files) {
    for (const [literal] of text.matchAll(LITERAL)) {
      const name = literal.slice(1, -1).replaceAll(/\\(.)/g, "$1");
      const tagged = [...name.matchAll(TAG)].flatMap(([, list = ""]) => list.split(/, ?/));
      const test = name.replaceAll(TAG, "").trim();
      for (const id of new Set(tagged)) {
        if (!ids.has(id)) continue;
        proofs.set(id, [...(proofs.get(id) ?? []), { file: path, test }]);
      }
    }
  }
  return proofs;
}

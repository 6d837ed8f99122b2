/** What a configuration may ask of the stages between parsing and delivery: `metadata`, `keep`, `drop`, `sample`, `redact`. */
import { z } from "zod";
import { pattern } from "../../../lib/linear-regex.ts";
import { BUILTIN_NAMES } from "./redact/builtins.ts";

const Scalar = z.union(
  [z.string(), z.number(), z.boolean(), z.null()],
  "Write a text, a number, true, false or null",
);

const conditionFields = {
  field: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Which field, with dots for nested ones: `status`, `request.method`, `pod.name`. `text` is the whole event.",
    ),
  equals: Scalar.optional().describe('Holds for this value; compared as text, so `200` equals `"200"`.'),
  matches: pattern()
    .optional()
    .describe("Holds where this regular expression (RE2) is found in the value, written as text."),
  exists: z.boolean().optional().describe("Holds where the field is there, or with `false` where it is not."),
  above: z.number().optional().describe("Holds for numbers greater than this."),
  below: z.number().optional().describe("Holds for numbers less than this."),
};

const TESTS = ["equals", "matches", "exists", "above", "below"] as const;

const Condition = z.strictObject(conditionFields).superRefine(checkCondition);

const Rule = z
  .strictObject({
    ...conditionFields,
    all: z
      .array(Condition)
      .min(1)
      .optional()
      .describe("Conditions on several fields that must all hold, in the place of `field`."),
  })
  .superRefine((rule, context) => {
    if (rule.all === undefined) return checkCondition(rule, context);
    const beside = ["field" as const, ...TESTS].find((key) => rule[key] !== undefined);
    if (beside !== undefined) {
      context.addIssue({
        code: "custom",
        path: [beside],
        message: `Put "${beside}" into a condition of "all"`,
      });
    }
  });

export type Condition = z.output<typeof Condition>;
export type Rule = z.output<typeof Rule>;

function checkCondition(condition: z.output<typeof Condition>, context: z.RefinementCtx): void {
  const tests = TESTS.filter((test) => condition[test] !== undefined);
  if (condition.field === undefined) {
    context.addIssue({ code: "custom", message: 'Name the field that is tested: "field: status"' });
  }
  if (tests.length === 0) {
    context.addIssue({ code: "custom", message: `Say what is tested, with ${TESTS.join(", ")}` });
  }
}

const Redaction = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, "Write a name of lower-case letters, digits and dashes")
      .max(40)
      .describe("What the metric and the mask call it; or one of the built-in patterns, to set its `with`."),
    pattern: pattern().optional().describe("Regular expression (RE2); every match is masked."),
    with: z
      .string()
      .optional()
      .describe("What stands in the place of each match. Default: `[redacted:NAME]`."),
    keepLast: z
      .int()
      .min(0)
      .max(4)
      .optional()
      .describe("Only for `cards`: so many of a number's last digits stay, behind the mask."),
    sample: z
      .string()
      .min(1)
      .optional()
      .describe("A text in which the pattern must find something; tried at each start."),
  })
  .superRefine((redaction, context) => {
    const isBuiltin = (BUILTIN_NAMES as readonly string[]).includes(redaction.name);
    const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    if (!isBuiltin && redaction.pattern === undefined) {
      issue(["name"], `Add a "pattern", or name one of ${BUILTIN_NAMES.join(", ")}`);
    }
    if (isBuiltin && redaction.pattern !== undefined) {
      issue(["name"], `Choose another name: "${redaction.name}" is built in`);
    }
    if (isBuiltin && redaction.sample !== undefined) {
      issue(["sample"], "Leave it out: built-in patterns bring their own samples");
    }
    if (redaction.keepLast !== undefined && redaction.name !== "cards") {
      issue(["keepLast"], 'Only "cards" keeps the last digits');
    }
  });

export type Redaction = z.output<typeof Redaction>;

const MetadataFields = z.strictObject({
  pod: z
    .boolean()
    .prefault(true)
    .describe(
      "Adds `pod` with the pod's `name`, `namespace` and `node`, as far as they are known. A field of that name which the event has stays.",
    ),
  labels: z
    .array(z.string().min(1))
    .prefault([])
    .describe("Labels of the pod that are added as `pod.labels`; those it does not have are left out."),
  file: z
    .boolean()
    .prefault(true)
    .describe("Adds `file` with the path of the log file. A field of that name which the event has stays."),
});

/** Keys of the kind `logs` that belong to the stages. */
export const processFields = {
  metadata: MetadataFields.prefault({}).describe("What is added to every record about where it comes from."),
  keep: z
    .array(Rule)
    .prefault([])
    .describe("Only records for which any of these rules holds go on; without rules all do."),
  drop: z
    .array(Rule)
    .prefault([])
    .describe("Records for which any of these rules holds are left out, after `keep`."),
  sample: z
    .array(
      z.strictObject({
        every: z.int().min(1).describe("One of so many records stays; the same ones after a restart."),
        where: Rule.optional().describe("Which records are sampled; all unless given."),
      }),
    )
    .prefault([])
    .describe("Thins records out. The first entry that applies to a record decides."),
  redact: z
    .array(z.union([z.enum(BUILTIN_NAMES), Redaction], redactionWords()))
    .max(30)
    .superRefine(checkNames)
    .prefault([])
    .describe(
      `What is masked in every value and in the event's text before anything is kept or sent: ${BUILTIN_NAMES.map((name) => `\`${name}\``).join(", ")} or patterns of your own, in this order.`,
    ),
};

export type ProcessConfig = z.output<z.ZodObject<typeof processFields>>;

function redactionWords(): string {
  return `Write one of ${BUILTIN_NAMES.join(", ")}, or { name, pattern }`;
}

function checkNames(entries: readonly (string | Redaction)[], context: z.RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const name = typeof entry === "string" ? entry : entry.name;
    if (seen.has(name)) {
      context.addIssue({
        code: "custom",
        path: [index],
        message: `Name each pattern once: "${name}" stands above`,
      });
    }
    seen.add(name);
  }
}

/** Writes `docs/reference/conformance.md`: every rule of pods with the tests that prove it, or why it is not kept. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeGenerated } from "./generated-file.ts";
import { findProofs, readRules, type Proof, type Rule, type Rules, rulesFile } from "./pod-rules.ts";

const root = join(import.meta.dirname, "..");
const rules = readRules(root);
const all = rules.sections.flatMap((section) => section.rules);
const paths = [...new Bun.Glob("{src,test}/**/*.test.ts").scanSync(root)].toSorted();
const files = paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
const proofs = findProofs(files, new Set(all.map(({ id }) => id)));

const open = all.filter(({ id, notImplemented }) => notImplemented === undefined && !proofs.has(id));
if (open.length > 0)
  throw new Error(
    `no test names ${open.map(({ id }) => id).join(", ")}, and no reason in ${rulesFile} says why`,
  );
writeGenerated("../docs/reference/conformance.md", page(rules));

function page({ sections }: Rules): string {
  return `${[
    "# Pods, workloads and Services: rules and proofs",
    "<!-- Made by tools/gen-conformance.ts from test/conformance/pod-rules.yaml and the names of the tests. -->",
    "What pods, the controllers that make them and the Services in front of them do in Kubernetes 1.36, rule by rule, and " +
      "the test that shows that the local cluster does the same.",
    summary(),
    "Sources are files and functions of Kubernetes 1.36: `kl/` is `pkg/kubelet/`, `kr/` is `pkg/kubelet/kuberuntime/`, " +
      "`val` and `def` are `pkg/apis/core/validation/validation.go` and `pkg/apis/core/v1/defaults.go`, `e2e` is `test/e2e`, " +
      "`e2e_node` is `test/e2e_node/container_lifecycle_test.go`, KEP-n is an enhancement proposal, k/k an issue of kubernetes/kubernetes.",
    ...sections.map(({ title, rules: ofSection }) => `## ${title}\n\n${table(ofSection)}`),
  ].join("\n\n")}\n`;
}

function summary(): string {
  const proven = all.filter(
    ({ id, notImplemented }) => notImplemented === undefined && proofs.has(id),
  ).length;
  const reasoned = all.filter(({ notImplemented }) => notImplemented !== undefined).length;
  const share = ((reasoned / all.length) * 100).toFixed(0);
  return `**${all.length} rules: ${proven} proven, ${reasoned} not implemented for a reason (${share} %).**`;
}

function table(ofSection: readonly Rule[]): string {
  const rows = ofSection.map((rule) => `| ${rule.id} | ${cell(rule.rule)}${source(rule)} | ${proof(rule)} |`);
  return ["| | Rule | Proof |", "| --- | --- | --- |", ...rows].join("\n");
}

function source(rule: Rule): string {
  return rule.source === undefined || rule.source === "—" ? "" : ` <sub>${cell(rule.source)}</sub>`;
}

/** A rule that is not kept may have tests, too: of what a user who relies on it is told. */
function proof({ id, notImplemented, note }: Rule): string {
  const reason = notImplemented === undefined ? [] : [`not implemented: ${cell(notImplemented)}`];
  const parts = [...reason, ...byFile(proofs.get(id) ?? []), ...(note === undefined ? [] : [cell(note)])];
  return parts.join("<br>");
}

function byFile(found: readonly Proof[]): string[] {
  const grouped = Map.groupBy(found, ({ file }) => file);
  return [...grouped].map(([file, tests]) => {
    const names = tests.map(({ test }) => cell(test.replace(/^\$\w+,? /, ""))).join("; ");
    return `[${file.slice(file.lastIndexOf("/") + 1)}](../../${file}): ${names}`;
  });
}

function cell(text: string): string {
  const parts = text.replaceAll("|", "\\|").replaceAll("\n", " ").split("`");
  // Every other part is code, in which nothing is a tag.
  return parts.map((part, index) => (index % 2 === 0 ? part.replaceAll("<", "&lt;") : part)).join("`");
}

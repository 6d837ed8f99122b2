/** The pages of the reference that are made from schemas and declarations: the configuration, and one page per kind. */
import { settingsSchema, entryKeysSchema } from "../../src/config/sidecar-schema.ts";
import type { Sidecar } from "../../src/kernel/sidecar.ts";
import { type Declaration, RecordingMeter } from "../../src/testing/recording-meter.ts";
import { inputSchema } from "../../src/testing/schema-fields.ts";
import { KEY_HEADING, keyRows, keySections } from "./key-rows.ts";
import { code, table } from "./markdown.ts";

const GATES: Readonly<Record<Sidecar["gates"], string>> = {
  traffic: "While it is failing, `/readyz` answers 503, which takes the pod out of its Services",
  start: "`/startupz` answers 503 until it has succeeded once, so that the main containers wait for it",
  none: "Its health is reported and holds up neither the pod's start nor its traffic",
};
const SIDECARS_ROW = [
  "`sidecars.*`",
  "mapping",
  "required",
  "A name of your choice (a DNS label), and below it `kind` and that kind's keys.",
];
const KIND_ROW = ["`kind`", "text", "required", "Which sidecar this is."];
const MADE = "<!-- Made by tools/gen-sidecars-reference.ts from the schemas in src. -->";

export function kindPage(sidecar: Sidecar): string {
  const { kind, summary, gates, config } = sidecar;
  const meter = new RecordingMeter();
  sidecar.metrics(meter);
  return page([
    `# Sidecar kind \`${kind}\``,
    MADE,
    summary,
    `**Gates: ${code(gates)}.** ${GATES[gates]}. The key \`gates\` changes that.`,
    "## Configuration",
    `Below the sidecar's name, beside \`kind: ${kind}\` and the keys that [every sidecar](../configuration.md#every-sidecar) has. ` +
      "`[]` stands for each item of a list, `*` for each name of a mapping; types are explained [there](../configuration.md#values).",
    ...keySections(inputSchema(config)).flatMap(({ path, rows }) => [
      ...(path === "" ? [] : [`### Keys of ${code(path)}`]),
      table(KEY_HEADING, rows),
    ]),
    "## Metrics",
    "Each has the label `sidecar` with the sidecar's name besides its own.",
    metricTable(meter.declarations),
  ]);
}

export function configurationPage(kinds: readonly Sidecar[]): string {
  return page([
    "# Configuration of `pillion run`",
    MADE,
    "One YAML file, given with `-c FILE`. [docs/sidecars.md](../sidecars.md) shows how to use it; `pillion run -c FILE --check` " +
      "says every mistake at its place, `pillion schema` prints the JSON Schema, which editors read from " +
      "[generated/pillion.schema.json](../../generated/pillion.schema.json).",
    "## Kinds of sidecar",
    table(
      ["Kind", "What it does", "Gates"],
      kinds.map(({ kind, summary, gates }) => [`[\`${kind}\`](sidecars/${kind}.md)`, summary, code(gates)]),
    ),
    "## The process",
    table(KEY_HEADING, [...keyRows(inputSchema(settingsSchema)), SIDECARS_ROW]),
    "## Every sidecar",
    table(KEY_HEADING, [KIND_ROW, ...keyRows(inputSchema(entryKeysSchema))]),
    "## Values",
    table(
      ["Type", "Written as"],
      [
        ["duration", 'A number and a unit: `"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`'],
        ["size", 'Bytes, as a Kubernetes quantity: `"64Mi"`, `"1G"`, or a plain number'],
        ["path", "A path from the root: `/var/log/app.log`"],
        [
          "secret",
          "Where the secret is, never the secret: `{ file: /path }` or `{ env: NAME }`. It is read at each use, so that a rotated one is picked up",
        ],
      ],
    ),
  ]);
}

function metricTable(metrics: readonly Declaration[]): string {
  const rows = metrics.map(({ name, type, help, labels }) => [
    code(`pillion_${name}`),
    type,
    labels.map((label) => code(label)).join(", "),
    help,
  ]);
  return rows.length === 0 ? "None." : table(["Metric", "Type", "Labels", "Meaning"], rows);
}

function page(parts: readonly string[]): string {
  return `${parts.join("\n\n")}\n`;
}

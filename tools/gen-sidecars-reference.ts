/**
 * Writes what follows from the schemas of all kinds: `docs/reference/configuration.md`, `docs/reference/sidecars/KIND.md`
 * and `generated/pillion.schema.json`.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileJsonSchema } from "../src/config/json-schema.ts";
import type { Sidecar } from "../src/kernel/sidecar.ts";
import { writeGenerated } from "./generated-file.ts";
import { configurationPage, kindPage } from "./reference/pages.ts";

const root = join(import.meta.dirname, "..");
const pages = join(root, "docs/reference/sidecars");
const kinds: readonly Sidecar[] = await Promise.all(
  [...new Bun.Glob("src/sidecars/*/sidecar.ts").scanSync(root)]
    .toSorted()
    .map(async (path) => ((await import(join(root, path))) as { readonly default: Sidecar }).default),
);

if (kinds.length > 0) {
  writeGenerated("pillion.schema.json", `${JSON.stringify(fileJsonSchema(kinds), undefined, 2)}\n`);
  writeGenerated("../docs/reference/configuration.md", configurationPage(kinds));
  for (const kind of kinds) writeGenerated(`../docs/reference/sidecars/${kind.kind}.md`, kindPage(kind));
}
for (const name of existsSync(pages) ? readdirSync(pages) : []) {
  if (!kinds.some(({ kind }) => name === `${kind}.md`)) rmSync(join(pages, name));
}

/** Writes `generated/sidecars.ts`: every kind of sidecar by its name, loaded when it is asked for. */
import { join } from "node:path";
import { writeGenerated } from "./generated-file.ts";

const root = join(import.meta.dirname, "..");
const kinds = [...new Bun.Glob("src/sidecars/*/sidecar.ts").scanSync(root)]
  .map((path) => path.split("/")[2] ?? "")
  .toSorted();
const key = (kind: string) => (/^[a-z0-9]+$/.test(kind) ? kind : JSON.stringify(kind));
const lines = kinds.map(
  (kind) => `  ${key(kind)}: async () => (await import("../src/sidecars/${kind}/sidecar.ts")).default,`,
);

writeGenerated(
  "sidecars.ts",
  `// Written by tools/gen-sidecars.ts. Do not edit.

import type { Sidecar } from "../src/kernel/sidecar.ts";

export const sidecars: Readonly<Record<string, () => Promise<Sidecar>>> = {
${lines.map((line) => `${line}\n`).join("")}};
`,
);

/** Where generators read from and write to. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The `dist` folder of `@kubernetes/client-node`. Its files are read, the package is never imported. */
export const clientNodeFolder: string = dirname(
  fileURLToPath(import.meta.resolve("@kubernetes/client-node")),
);

/** Writes one file of `generated/`, unless it is so already: somebody may be reading it. */
export function writeGenerated(name: string, text: string): void {
  const file = join(import.meta.dirname, "../generated", name);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

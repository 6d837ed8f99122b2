/** Where generators read from and write to. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The `dist` folder of `@kubernetes/client-node`. Its files are read, the package is never imported. */
export const clientNodeFolder: string = dirname(
  fileURLToPath(import.meta.resolve("@kubernetes/client-node")),
);

/** Writes one file of `generated/`. */
export function writeGenerated(name: string, text: string): void {
  writeFileSync(join(import.meta.dirname, "../generated", name), text);
}

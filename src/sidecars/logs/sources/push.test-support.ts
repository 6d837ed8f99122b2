/** What the tests of the sources that cannot be read twice share. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone when the test is over: `using folder = testFolder()`. */
export function testFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "pillion-push-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** All segments of the spools in a folder, one behind the other. */
export function spooledText(folder: string): string {
  return readdirSync(folder)
    .toSorted()
    .map((file) => readFileSync(join(folder, file), "latin1"))
    .join("");
}

/** Goes on as soon as the condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The least that the kind `logs` needs to run: a file with some lines, and standard output. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContractFixture } from "../../testing/sidecar-contract.ts";

export const fixture: ContractFixture = {
  prepare(folder) {
    const path = join(folder, "app.log");
    writeFileSync(path, "one\ntwo\nhalf a li");
    return { config: { files: [join(folder, "*.log")], to: [{ stdout: {} }] } };
  },
};

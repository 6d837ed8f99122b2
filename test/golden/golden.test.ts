/**
 * Golden files of configurations: above the line of dashes a file as a user writes it, below it what comes of it, be it the
 * sidecars or every mistake at its place. `PILLION_GOLDEN=write bun test test/golden` writes what comes of them now.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sidecars as kinds } from "../../generated/sidecars.ts";
import { type Catalogue, parseSidecarFile } from "../../src/config/sidecar-file.ts";
import { Problem } from "../../src/kernel/problem.ts";
import { exampleSidecar } from "../../src/testing/example-sidecar.ts";

const LINE = "\n----------\n";
/** Folders beside this file, each with the kinds that its files may use. */
const FOLDERS: readonly (readonly [folder: string, catalogue: Catalogue])[] = [
  ["configuration", { example: () => Promise.resolve(exampleSidecar) }],
  ["logs", kinds],
];

async function outcomeOf(input: string, catalogue: Catalogue): Promise<string> {
  try {
    const { settings, sidecars } = await parseSidecarFile("pillion.yaml", input, catalogue);
    const entries = sidecars.map(({ sidecar, name, config, gates, container }) => ({
      kind: sidecar.kind,
      name,
      config,
      gates,
      container,
    }));
    return `${JSON.stringify({ settings, sidecars: entries }, undefined, 2)}\n`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `error[${error.code}]: ${error.message}\n  fix: ${error.fix}\n`;
  }
}

describe.each(FOLDERS.filter(([folder]) => existsSync(join(import.meta.dirname, folder))))(
  "%s",
  (name, catalogue) => {
    const folder = join(import.meta.dirname, name);

    test.each(readdirSync(folder).toSorted())("%s", async (name) => {
      const path = join(folder, name);
      const text = readFileSync(path, "utf8");
      const end = text.indexOf(LINE);
      const input = text.slice(0, end + 1);
      const outcome = await outcomeOf(input, catalogue);
      if (process.env["PILLION_GOLDEN"] === "write") writeFileSync(path, input.slice(0, -1) + LINE + outcome);
      expect(outcome).toBe(text.slice(end + LINE.length));
    });
  },
);

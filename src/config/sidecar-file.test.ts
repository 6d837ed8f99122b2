import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { Problem } from "../kernel/problem.ts";
import type { Sidecar } from "../kernel/sidecar.ts";
import { exampleSidecar } from "../testing/example-sidecar.ts";
import { parseSidecarFile, readSidecarFile } from "./sidecar-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const example = () => Promise.resolve(exampleSidecar);
const catalogue = { example };

async function problemOf(read: Promise<unknown>): Promise<string> {
  try {
    await read;
  } catch (error) {
    if (error instanceof Problem) return `${error.code}: ${error.message.split("\n", 1)[0]}`;
    throw error;
  }
  return "fine";
}

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function fingerprintsOf(text: string): Promise<Record<string, string>> {
  const { sidecars } = await parseSidecarFile("f", text, catalogue);
  return Object.fromEntries(sidecars.map(({ name, fingerprint }) => [name, fingerprint]));
}

describe("readSidecarFile()", () => {
  test("reads through symbolic links, as mounted ConfigMaps have them", async () => {
    mkdirSync(join(folder, "..2026"));
    write("..2026/pillion.yaml", "sidecars: { a: { kind: example, say: hello } }");
    symlinkSync("..2026", join(folder, "..data"));
    symlinkSync("..data/pillion.yaml", join(folder, "mounted.yaml"));
    const { sidecars } = await readSidecarFile(join(folder, "mounted.yaml"), catalogue);
    expect(sidecars.map(({ name, gates, container }) => ({ name, gates, container }))).toEqual([
      { name: "a", gates: "traffic", container: "shared" },
    ]);
  });

  test("refuses what is no text file of a sensible size", async () => {
    const huge = write("huge.yaml", "");
    truncateSync(huge, 20_000_000_000);
    const at = (name: string) => `Cannot read the configuration "${join(folder, name)}"`;
    expect({
      missing: await problemOf(readSidecarFile(join(folder, "missing.yaml"), catalogue)),
      below: await problemOf(readSidecarFile(join(huge, "x"), catalogue)),
      folder: await problemOf(readSidecarFile(folder, catalogue)),
      device: await problemOf(readSidecarFile("/dev/zero", catalogue)),
      huge: await problemOf(readSidecarFile(huge, catalogue)),
      latin1: await problemOf(readSidecarFile(write("latin1.yaml", Uint8Array.of(97, 58, 0xe4)), catalogue)),
      nuls: await problemOf(readSidecarFile(write("nuls.yaml", new Uint8Array(4096)), catalogue)),
    }).toEqual({
      missing: `E_CONFIG_MISSING: ${at("missing.yaml")}: there is no such file`,
      below: `E_CONFIG_MISSING: ${at("huge.yaml/x")}: there is no such file`,
      folder: `E_CONFIG_UNREADABLE: Cannot read the configuration "${folder}": it is not a file`,
      device: 'E_CONFIG_UNREADABLE: Cannot read the configuration "/dev/zero": it is not a file',
      huge: `E_CONFIG_UNREADABLE: ${at("huge.yaml")}: it is larger than 1 MiB`,
      latin1: `E_CONFIG_UNREADABLE: ${at("latin1.yaml")}: it is not UTF-8 text`,
      nuls: `E_CONFIG_SYNTAX: ${at("nuls.yaml")}: it is not valid YAML`,
    });
  });
});

describe("parseSidecarFile()", () => {
  test("loads only the kinds that a file uses", async () => {
    const loaded: string[] = [];
    const kind = (name: string) => (): Promise<Sidecar> => {
      loaded.push(name);
      return Promise.resolve({ ...exampleSidecar, kind: name });
    };
    const kinds = { one: kind("one"), two: kind("two") };
    const { sidecars } = await parseSidecarFile("f", "sidecars: { a: { kind: two, say: x } }", kinds);
    expect({ loaded, kinds: sidecars.map(({ sidecar }) => sidecar.kind) }).toEqual({
      loaded: ["two"],
      kinds: ["two"],
    });
  });

  test("hands a kind its own keys only, checked and filled in", async () => {
    const text = "sidecars: { a: { kind: example, say: x, gates: none, container: own, every: 1s } }";
    const { sidecars } = await parseSidecarFile("f", text, catalogue);
    expect(sidecars.map(({ config }) => config)).toEqual([
      { say: "x", every: 1000, buffer: 2 ** 20, mode: "loud", parse: "none", to: [{ stdout: {} }] },
    ]);
  });

  test("gives a fingerprint that changes with a sidecar's own keys and with nothing else", async () => {
    const before = await fingerprintsOf(
      "sidecars: { a: { kind: example, say: x }, b: { kind: example, say: y } }",
    );
    const reordered = await fingerprintsOf(
      "state: /other\nsidecars:\n  # why\n  b: { say: y, kind: example }\n  a:\n    say: 'x'\n    kind: example\n",
    );
    const changed = await fingerprintsOf(
      "sidecars: { a: { kind: example, say: x, gates: none }, b: { kind: example, say: y } }",
    );
    expect(reordered).toEqual(before);
    expect(changed["b"]).toBe(before["b"] ?? "");
    expect(changed["a"]).toMatch(/^[0-9a-f]{64}$/);
    expect(changed["a"]).not.toBe(before["a"]);
  });

  test("explains deep nesting instead of running out of stack", async () => {
    const tries = ["[".repeat(20_000), `sidecars: ${"{a: ".repeat(20_000)}`, "- ".repeat(20_000)];
    for (const text of tries)
      expect(await problemOf(parseSidecarFile("f", text, catalogue))).toStartWith("E_CONFIG");
  });

  test("ends with a configuration or a problem, whatever the text", async () => {
    const words = fc.constantFrom(
      "sidecars:",
      "\n  a:",
      "\n    kind: example",
      "\n    say: x",
      " { ",
      " }",
      "[",
      "]",
      "&x ",
      "*x",
      "- ",
      "\t",
      "!!binary ",
      "!!js/function ",
      "? ",
      "<<: ",
      "to: ",
      "http: ",
      "\u0000",
      "'",
      '"',
      "\n",
      "%YAML 9.9\n",
      "---\n",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(words, fc.string({ unit: "grapheme", maxLength: 4 })), { maxLength: 30 }),
        async (parts) => {
          const outcome = await problemOf(parseSidecarFile("f", parts.join(""), catalogue));
          expect(outcome).toMatch(/^(?:fine|E_CONFIG_(?:SYNTAX|INVALID): )/);
        },
      ),
      { numRuns: 400 },
    );
  });
});

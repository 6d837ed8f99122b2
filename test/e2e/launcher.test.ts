/** `bin/pillion.js`, the way npm starts the program. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LAUNCHER = join(import.meta.dirname, "../../bin/pillion.js");
const node = Bun.which("node");

async function filesLeft(env: (home: string) => Record<string, string>): Promise<readonly string[]> {
  const home = mkdtempSync(join(tmpdir(), "pillion-home-"));
  try {
    const child = Bun.spawn([node ?? "node", LAUNCHER, "run", "--check", "-c", "missing.yaml"], {
      cwd: home,
      env: { PATH: process.env["PATH"] ?? "", ...env(home) },
      stdio: ["ignore", "ignore", "ignore"],
    });
    expect(await child.exited).toBe(1);
    return readdirSync(home, { recursive: true, encoding: "utf8" })
      .filter((name) => !name.endsWith(".pile"))
      .toSorted();
  } finally {
    rmSync(home, { recursive: true });
  }
}

describe.skipIf(node === null)("bin/pillion.js", () => {
  test("lets Bun write nothing outside of the state folder", async () => {
    const inHome = [".local", ".local/state", ".local/state/pillion", ".local/state/pillion/.transpiled"];
    expect(await filesLeft((home) => ({ HOME: home }))).toEqual(inHome);
    expect(await filesLeft((home) => ({ HOME: home, PILLION_HOME: join(home, "p") }))).toEqual([
      "p",
      "p/.transpiled",
    ]);
    expect(await filesLeft(() => ({}))).toEqual([]);
  });

  test("leaves the user's own choice alone", async () => {
    const env = (home: string) => ({ HOME: home, BUN_RUNTIME_TRANSPILER_CACHE_PATH: join(home, "mine") });
    expect(await filesLeft(env)).toEqual(["mine"]);
  });
});
